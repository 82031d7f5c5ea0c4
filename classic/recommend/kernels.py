"""Inner loops for many users at once, compiled by numba; all let Python's other threads run.

Nothing is compiled before the first large batch: until then NumPy does the work, so that a single
user's list is there at once.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

ROWS = 64
"""Rows from which on compiled loops are used."""
TILE = 256
"""Columns summed at a time: so many of all rows of the weights stay in a processor's cache."""


class Kernels(NamedTuple):
    sums: Callable[..., None]
    sparse_sums: Callable[..., None]
    best: Callable[..., None]


@cache
def compiled() -> Kernels:
    """Takes about two seconds, once in a process."""
    from numba import njit

    compile_ = njit(nogil=True, fastmath={"reassoc", "nsz", "contract"})
    return Kernels(compile_(sums), compile_(sparse_sums), njit(nogil=True)(best))


def product(histories: "csr_array", weights: "csr_array") -> NDArray[np.float32]:
    """``histories`` @ ``weights``, dense; of many rows several times as fast as SciPy has it."""
    if histories.shape[0] < ROWS:
        few: NDArray[np.float32] = (histories @ weights).toarray()
        return few
    out = np.zeros((histories.shape[0], weights.shape[1]), dtype=np.float32)
    left, right = ((one.indptr, one.indices, one.data) for one in (histories, weights))
    compiled().sparse_sums(left, right, out)
    return out


def sums(
    starts: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Row i of ``out`` becomes the sum of rows ``items[starts[i]:starts[i + 1]]`` of weights."""
    width = weights.shape[1]
    for left in range(0, width, TILE):
        right = min(left + TILE, width)
        for row in range(len(starts) - 1):
            total = np.zeros(right - left, dtype=np.float32)
            at, end = starts[row], starts[row + 1]
            while at + 4 <= end:  # four at a time: the total is read and written less often
                one, two = weights[items[at], left:right], weights[items[at + 1], left:right]
                three, four = weights[items[at + 2], left:right], weights[items[at + 3], left:right]
                for column in range(right - left):
                    total[column] += (one[column] + two[column]) + (three[column] + four[column])
                at += 4
            while at < end:
                one = weights[items[at], left:right]
                for column in range(right - left):
                    total[column] += one[column]
                at += 1
            out[row, left:right] = total


def sparse_sums(
    histories: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    weights: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    out: NDArray[np.float32],
) -> None:
    """The product of two sparse matrices (indptr, indices, data), added to ``out``, dense."""
    starts, items, events = histories
    indptr, indices, data = weights
    for row in range(len(starts) - 1):
        for at in range(starts[row], starts[row + 1]):
            event = events[at]
            for place in range(indptr[items[at]], indptr[items[at] + 1]):
                out[row, indices[place]] += event * data[place]


def best(scores: NDArray[np.float32], items: NDArray[np.int32], values: NDArray[Any]) -> None:
    """The best of each row, best first, into ``items`` (full of −1) and ``values`` (of −inf)."""
    k = items.shape[1]
    for row in range(len(scores)):
        for item in range(scores.shape[1]):
            score = scores[row, item]
            if score > values[row, k - 1]:
                place = k - 1
                while place > 0 and values[row, place - 1] < score:
                    values[row, place] = values[row, place - 1]
                    items[row, place] = items[row, place - 1]
                    place -= 1
                values[row, place] = score
                items[row, place] = item
