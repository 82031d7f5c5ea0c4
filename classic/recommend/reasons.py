"""Why an item was recommended, in a word that a service can show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from classic.recommend.content import Content
from classic.recommend.histories import Histories, Numbers, Scores


@dataclass(frozen=True)
class Reason:
    """``similar_to``: ``of`` is the item of the history that spoke most for it; ``genre``: ``of``
    is the genre that it shares with the history; ``popular``, ``new``: ``of`` is empty."""

    kind: Literal["similar_to", "genre", "popular", "new"]
    of: str = ""


@runtime_checkable
class Explained(Protocol):
    """A model whose scores are sums over a history."""

    def contributions(self, history: Histories, items: Numbers) -> Scores:
        """(events of the one history, items): what each event adds to each item's score."""
        ...


def contributed(
    members: Sequence[object], weights: Sequence[float], history: Histories, items: Numbers
) -> Scores:
    """The weighted sum of the members' contributions, each divided by its largest; members that are
    no sums over a history have none."""
    total = np.zeros((len(history.items), len(items)), dtype=np.float32)
    for member, weight in zip(members, weights, strict=True):
        if isinstance(member, Explained):
            part = member.contributions(history, items)
            total += weight / max(float(np.abs(part).max(initial=0)), 1e-9) * part
    return total


def explain(
    scorer: object, content: Content, history: Histories, items: Numbers
) -> list[tuple[str, int | str]]:
    """Kind of the reason for each of ``items``, and the item of the history or the genre."""
    parts = contributed([scorer], [1.0], history, items)
    found: list[tuple[str, int | str]] = []
    for item, part in zip(items, parts.T, strict=True):
        genre = content.genre(history.items, item)
        if part.max(initial=0) > 0:
            found.append(("similar_to", int(history.items[part.argmax()])))
        else:
            found.append(("genre", genre) if genre else ("popular", ""))
    return found
