"""Chooses settings on a validation set that was carved out of the training data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classic.recommend import settings
from classic.recommend.blend import standardised
from classic.recommend.evaluate import evaluate, metrics_of, ranks
from classic.recommend.histories import Histories, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.recommender import Recommender
from classic.recommend.settings import Settings, Simple
from classic.recommend.threads import in_threads

Grid = Mapping[str, Sequence[Any]]
GRIDS: Mapping[str, Grid] = {
    "ease": {
        "regularisation": (50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0),
        "item_power": (0.0, 0.3, 0.5),
        "dropout": (0.0, 0.3, 0.5, 0.7),
        "user_power": (0.0, 0.25, 0.5, 0.75),
        "popularity_power": (0.0, 0.05, 0.1, 0.2),
    },
    "item_knn": {
        "similarity": ("cosine", "jaccard", "bm25"),
        "neighbours": (20, 50, 100, 200),
        "shrinkage": (0.0, 10.0, 50.0),
    },
    "als": {
        "regularisation": (1.0, 10.0, 30.0, 100.0),
        "factors": (32, 64, 128, 256),
        "alpha": (1.0, 2.0, 5.0, 10.0),
    },
    "low_pass": {
        "factors": (20, 35, 50, 70, 100),
        "user_power": (0.3, 0.4, 0.5),
        "item_power": (0.4, 0.5, 0.6),
    },
    "markov": {
        "window": (5, 10, 20),
        "step_decay": (0.7, 0.8, 0.9),
        "age_decay": (0.7, 0.8, 0.9),
        "to_power": (0.0, 0.3, 0.5),
        "from_power": (0.3, 0.5, 0.8),
    },
}
ROUNDS = 2
WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


def tune(
    start: Settings, grid: Grid, train: Interactions, valid: Interactions, metric: str
) -> tuple[Settings, float]:
    """The best settings found, and their ``metric`` on ``valid``.

    Each key of ``grid`` in turn takes its best value while the others stay, twice: about twice as
    many fits as the grid has values, not as many as it has combinations.
    """
    chosen, best = start, _measure(start, train, valid, metric)
    known = [start]
    for key, values in [*grid.items()] * ROUNDS:
        tried = [chosen.model_copy(update={key: value}) for value in values]
        for one in tried:
            if one in known:
                continue
            known.append(one)
            if (reached := _measure(one, train, valid, metric)) > best:
                chosen, best = one, reached
    return chosen, best


def tune_blend(
    members: Sequence[Simple], train: Interactions, valid: Interactions, metric: str
) -> tuple[settings.Blend, float]:
    """Weights for ``members``, found in two rounds of one at a time over WEIGHTS.

    The first member has weight 1. Members that end with weight 0 are left out.
    """
    parts = _parts(members, train, valid)

    def reached(weights: Sequence[float]) -> float:
        found: dict[int, NDArray[np.float64]] = {}

        def fill(one: slice) -> None:
            found[one.start] = parts[one.start].metric(weights, metric)

        in_threads(fill, [slice(number, number + 1) for number in range(len(parts))])
        return float(np.concatenate([found[number] for number in range(len(parts))]).mean())

    weights = [1.0] + [0.0] * (len(members) - 1)
    best = reached(weights)
    for place in [*range(1, len(members))] * 2:
        for value in WEIGHTS:
            tried = [*weights[:place], value, *weights[place + 1 :]]
            if tried != weights and (score := reached(tried)) > best:
                weights, best = tried, score
    kept = [number for number, weight in enumerate(weights) if weight]
    chosen = tuple(members[number] for number in kept)
    return settings.Blend(members=chosen, weights=tuple(weights[n] for n in kept)), best


@dataclass(frozen=True)
class _Part:
    """Some users: what they had, what they should be told, and each member's scores."""

    seen: Histories
    wanted: Histories
    scores: list[Scores]

    def metric(self, weights: Sequence[float], name: str) -> NDArray[np.float64]:
        """Of each user, with the members weighted so."""
        total = weights[0] * self.scores[0]
        for weight, one in zip(weights[1:], self.scores[1:], strict=True):
            if weight:
                total += np.float32(weight) * one
        total[self.seen.rows, self.seen.items] = np.nan
        places = ranks(total, self.wanted.rows, self.wanted.items)
        return metrics_of(places, self.wanted.rows, len(self.wanted))[name]


def _parts(members: Sequence[Simple], train: Interactions, valid: Interactions) -> list[_Part]:
    seen, wanted = Histories.of(train), Histories.of(valid)
    users = np.flatnonzero((wanted.lengths > 0) & (seen.lengths > 0))
    fitted = [Recommender(one).fit(train) for one in members]
    parts = []
    for block in fitted[0].blocks(len(users)):
        before = seen.take(users[block])
        scores = [standardised(one.scorer.scores(before)) for one in fitted]
        parts.append(_Part(before, wanted.take(users[block]), scores))
    return parts


def _measure(one: Settings, train: Interactions, valid: Interactions, metric: str) -> float:
    scores, _ = evaluate(Recommender(one).fit(train), valid)
    return float(scores[metric].mean())
