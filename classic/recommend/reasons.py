"""Why an item was recommended, in a word that a service can show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

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
    scorer: object,
    content: Content,
    history: Histories,
    item_ids: Sequence[str],
    items: Numbers,
    known: NDArray[np.bool_],
) -> list[Reason]:
    """Why each of ``items``, numbers into ``item_ids``, was recommended; ``known``: that training
    had an item."""
    parts = contributed([scorer], [1.0], history, items)
    found = []
    for item, part in zip(items, parts.T, strict=True):
        genre = content.genre(history.items, item)
        if part.max(initial=0) > 0:
            found.append(Reason("similar_to", item_ids[history.items[part.argmax()]]))
        elif genre:
            found.append(Reason("genre", genre))
        else:
            found.append(Reason("popular" if known[item] else "new"))
    return found
