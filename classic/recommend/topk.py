"""The best of many scores."""

import numpy as np
from numpy.typing import NDArray

from classic.recommend.histories import Numbers, Scores
from classic.recommend.kernels import ROWS, compiled

NOBODY = -1
_FEW = 64
"""So many are cheaper to keep in order while reading than to select."""


def top_k(scores: Scores, k: int) -> tuple[Numbers, Scores]:
    """The ``k`` best items of each row of ``scores`` (n, items), best first, and their scores.

    Where fewer than ``k`` scores of a row are finite, item −1 and score −inf fill it up.
    """
    rows, width = scores.shape
    kept = min(k, width)
    if rows >= ROWS and kept <= _FEW:
        return _compiled(scores, k)
    some = _partition(scores, kept)
    values = np.take_along_axis(scores, some, axis=1)
    order = np.lexsort((some, -values), axis=1)
    items = np.full((rows, k), NOBODY, dtype=np.int32)
    best = np.full((rows, k), -np.inf, dtype=np.float32)
    items[:, :kept] = np.take_along_axis(some, order, axis=1)
    best[:, :kept] = np.take_along_axis(values, order, axis=1)
    items[~np.isfinite(best)] = NOBODY
    return items, best


def with_new(scores: Scores, new: NDArray[np.bool_], k: int, places: int) -> tuple[Numbers, Scores]:
    """As `top_k`, but the last ``places`` of each list go to the best of the items that are
    ``new``, as far as there are any; above them stands none."""
    old, behind = scores.copy(), scores.copy()
    old[:, new], behind[:, ~new] = -np.inf, -np.inf
    (items, values), (others, others_values) = top_k(old, k), top_k(behind, k)
    room = np.minimum(np.isfinite(others_values).sum(axis=1), min(places, k))
    start = np.minimum(k - room, np.isfinite(values).sum(axis=1))[:, None]
    from_new = np.arange(k) >= start
    at = np.maximum(np.arange(k) - start, 0)
    return (
        np.where(from_new, np.take_along_axis(others, at, axis=1), items),
        np.where(from_new, np.take_along_axis(others_values, at, axis=1), values),
    )


def _compiled(scores: Scores, k: int) -> tuple[Numbers, Scores]:
    items = np.full((len(scores), k), NOBODY, dtype=np.int32)
    best = np.full((len(scores), k), -np.inf, dtype=np.float32)
    compiled().best(scores, items, best)
    return items, best


def _partition(scores: Scores, k: int) -> NDArray[np.int64]:
    width = scores.shape[1]
    if k == width:
        return np.broadcast_to(np.arange(width), scores.shape)
    return np.argpartition(scores, width - k, axis=1)[:, width - k :]
