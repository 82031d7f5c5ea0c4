"""A weighted sum of models whose scores are brought to one scale, history by history."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from classic.recommend import settings
from classic.recommend.histories import Histories, Numbers, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.kernels import ROWS, compiled
from classic.recommend.reasons import contributed
from classic.recommend.scorer import Catalogue, Scorer
from lifecycle.errors import ConfigError


class Blend:
    """Scores are standardised over all items of a history: mean 0, standard deviation 1."""

    def __init__(self, chosen: settings.Blend, members: Sequence[Scorer]) -> None:
        if len(chosen.weights) != len(members):
            raise ConfigError(
                f"blend: {len(chosen.weights)} weights for {len(members)} members.",
                "Give one weight for each member.",
            )
        self.settings, self.members = chosen, list(members)

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None:
        for member in self.members:
            member.fit(interactions, catalogue)

    def scores(self, histories: Histories) -> Scores:
        first, *others = zip(self.members, self.settings.weights, strict=True)
        total = standardised(first[0].scores(histories), first[1])
        for member, weight in others:
            _add(member.scores(histories), weight, total)
        return total

    def contributions(self, history: Histories, items: Numbers) -> Scores:
        """(events, items): the members', each divided by its largest, weighted and added up."""
        return contributed(self.members, self.settings.weights, history, items)

    def save(self, folder: Path) -> None:
        save_members(self.members, folder)

    def load(self, folder: Path) -> None:
        load_members(self.members, folder)


def standardised(scores: Scores, weight: float = 1.0) -> Scores:
    """Rows of mean 0 and standard deviation ``weight``, in place; a constant row becomes 0."""
    width = max(scores.shape[1], 1)
    means = scores.mean(axis=1, keepdims=True)
    squares = np.einsum("ij,ij->i", scores, scores)[:, None] / width
    deviations = np.sqrt(np.maximum(squares - means**2, 0))
    factors = np.where(deviations > 1e-9, weight / np.maximum(deviations, 1e-9), 0)
    scores *= factors.astype(np.float32)
    scores -= (means * factors).astype(np.float32)
    return scores


def _add(scores: Scores, weight: float, total: Scores) -> None:
    """Add `standardised` scores to ``total``; overwrites ``scores``."""
    if len(scores) < ROWS:
        total += standardised(scores, weight)
    else:
        compiled().add_standardised(scores, np.float32(weight), total)


def save_members(members: Sequence[Scorer], folder: Path) -> None:
    for number, member in enumerate(members):
        (folder / str(number)).mkdir()
        member.save(folder / str(number))


def load_members(members: Sequence[Scorer], folder: Path) -> None:
    for number, member in enumerate(members):
        member.load(folder / str(number))
