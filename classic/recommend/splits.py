"""Parts interactions into what is learned from and what is asked: both under the same ids."""

import numpy as np
from numpy.typing import NDArray

from classic.recommend.histories import Histories
from classic.recommend.interactions import Interactions
from lifecycle.errors import DataError


def by_time(interactions: Interactions, share: float) -> tuple[Interactions, Interactions]:
    """One cut for everybody: the latest ``share`` of the events is the test set.

    All events of one second fall on one side: that of the test set where the cut is among them.
    """
    return _parted(interactions, latest(interactions, share))


def leave_last_out(interactions: Interactions, n: int = 1) -> tuple[Interactions, Interactions]:
    """The last ``n`` events of each user who has more than ``n`` are the test set."""
    return _parted(interactions, last_of_each(interactions, n))


def latest(interactions: Interactions, share: float) -> NDArray[np.bool_]:
    """Which events ``by_time`` holds out. Raises DataError where there are none at all."""
    if not len(interactions):
        raise DataError("there are no interactions to split.", "Widen the window of data.")
    at = min(int(len(interactions) * (1 - share)), len(interactions) - 1)
    held: NDArray[np.bool_] = interactions.times >= interactions.times[at]
    return held


def last_of_each(interactions: Interactions, n: int = 1) -> NDArray[np.bool_]:
    """Which events ``leave_last_out`` holds out."""
    histories = Histories.of(interactions)
    late = (histories.ages < n) & (histories.lengths > n)[histories.rows]
    held = np.zeros(len(interactions), dtype=np.bool_)
    held[np.argsort(interactions.users, kind="stable")[late]] = True
    return held


def random_share(
    interactions: Interactions, share: float, seed: int = 0
) -> tuple[Interactions, Interactions]:
    """``share`` of each user's events, drawn at random and rounded down, is the test set."""
    drawn = np.random.default_rng(seed).random(len(interactions))
    order = np.lexsort((drawn, interactions.users))
    histories = Histories.of(interactions)
    held = np.zeros(len(interactions), dtype=np.bool_)
    held[order] = histories.ages < np.floor(histories.lengths * share)[histories.rows]
    return _parted(interactions, held)


def _parted(
    interactions: Interactions, held: NDArray[np.bool_]
) -> tuple[Interactions, Interactions]:
    return interactions.where(~held), interactions.where(held)
