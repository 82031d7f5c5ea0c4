"""Inner loops for many users at once, compiled by numba; both let Python's other threads run.

Nothing is compiled before the first large batch: until then NumPy does the work, so that a single
user's list is there at once.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROWS = 64
"""Rows from which on compiled loops are used."""
TILE = 128
"""Columns summed at a time: so many of all rows of the weights stay in a processor's cache."""


class Kernels(NamedTuple):
    sums: Callable[..., None]
    best: Callable[..., None]


@cache
def compiled() -> Kernels:
    """Takes about two seconds, once in a process."""
    from numba import njit

    compile_ = njit(nogil=True, fastmath={"reassoc", "nsz", "contract"})
    return Kernels(compile_(sums), njit(nogil=True)(best))


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
            for at in range(starts[row], starts[row + 1]):
                part = weights[items[at], left:right]
                for column in range(right - left):
                    total[column] += part[column]
            out[row, left:right] = total


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
