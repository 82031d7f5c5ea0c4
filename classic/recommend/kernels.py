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

# Where the only bit of a word is: no other word has the same five bits on top after multiplication
# with this (Leiserson, Prokop and Randall, Using de Bruijn sequences to index a 1, 1998).
_SPREAD, _WORD, _TOP = np.uint64(0x077CB531), np.uint64(0xFFFFFFFF), np.uint64(27)
_ALL = np.uint32(0xFFFFFFFF)
_PLACES = np.argsort([((0x077CB531 << place) & 0xFFFFFFFF) >> 27 for place in range(32)])


class Kernels(NamedTuple):
    sums: Callable[..., None]
    sparse_sums: Callable[..., None]
    best: Callable[..., None]
    union: Callable[..., int]
    trees: Callable[..., None]
    places: Callable[..., None]
    add_standardised: Callable[..., None]


@cache
def compiled() -> Kernels:
    """Each is compiled at its first call, once in a process; all of them take some seconds."""
    from numba import njit
    from numba.extending import register_jitable

    plain = njit(nogil=True)
    register_jitable(_sink)  # for best
    fast = njit(nogil=True, fastmath={"reassoc", "nsz", "contract"})
    quick: dict[str, Any] = {
        one.__name__: fast(one) for one in (sums, sparse_sums, add_standardised)
    }
    exact: dict[str, Any] = {one.__name__: plain(one) for one in (best, union, trees, places)}
    return Kernels(**quick, **exact)


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
        listed, held = items[row], values[row]
        for item in range(scores.shape[1]):
            if scores[row, item] > held[0]:
                _sink(listed, held, k, item, scores[row, item])
        for end in range(k - 1, 0, -1):  # the worst goes last, and what stood there sinks
            item, score = listed[end], held[end]
            listed[end], held[end] = listed[0], held[0]
            _sink(listed, held, end, item, score)


def _sink(
    items: NDArray[np.int32], values: NDArray[np.float32], size: int, item: int, value: float
) -> None:
    """Put an item at the top of a heap, instead of the worst that stands there, and let it sink.
    Of equals the one with the larger number is worse."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        other = child + 1
        if other < size and (
            values[other] < values[child]
            or (values[other] == values[child] and items[other] > items[child])
        ):
            child = other
        if values[child] > value or (values[child] == value and items[child] < item):
            break
        values[place], items[place] = values[child], items[child]
        place = child
    values[place], items[place] = value, item


def union(
    places: NDArray[np.int32], marks: NDArray[np.int64], picked: NDArray[Any], ranks: NDArray[Any]
) -> int:
    """Every item of ``places`` (lists, rows, k; -1 is none) once a row: how many there are.

    ``picked`` (2, room) gets row and item of each, ``ranks`` (room, lists) its place in each list
    that has it. ``marks``: -1 for every item; for use in here.
    """
    count = 0
    for row in range(places.shape[1]):
        first = count
        for one in range(places.shape[0]):
            for rank in range(places.shape[2]):
                item = places[one, row, rank]
                if item < 0:
                    break
                if marks[item] < first:
                    marks[item] = count
                    picked[0, count], picked[1, count] = row, item
                    count += 1
                ranks[marks[item], one] = rank
    return count


def trees(
    columns: NDArray[np.float32],
    tests: tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]],
    leaves: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Add to ``out`` (n,) what every tree says of ``columns`` (features, n): see `trees.Trees`."""
    features, thresholds, masks, starts = tests
    for left in range(0, len(out), TILE):
        size = min(TILE, len(out) - left)
        bits = np.empty(size, dtype=np.uint32)
        for tree in range(len(starts) - 1):
            bits[:] = _ALL
            for node in range(starts[tree], starts[tree + 1]):
                column = columns[features[node], left : left + size]
                threshold, kept = thresholds[node], ~masks[node]
                for one in range(size):
                    bits[one] &= kept if column[one] > threshold else _ALL
            for one in range(size):
                lowest = np.uint64(bits[one] & (~bits[one] + np.uint32(1)))
                out[left + one] += leaves[tree, _PLACES[(lowest * _SPREAD & _WORD) >> _TOP]]


def places(
    scores: NDArray[np.float32], rows: NDArray[Any], items: NDArray[Any], out: NDArray[np.float64]
) -> None:
    """Into ``out`` (n,) the place of item ``items[i]`` in row ``rows[i]``; equals share theirs."""
    for one in range(len(rows)):
        row = scores[rows[one]]
        own = row[items[one]]
        better, equal = np.int32(0), np.int32(0)
        for score in row:
            better += np.int32(score > own)
            equal += np.int32(score == own)
        out[one] = better + (equal + 1) / 2


def add_standardised(scores: NDArray[np.float32], weight: float, total: NDArray[Any]) -> None:
    """Rows of ``scores`` with mean 0 and standard deviation ``weight``, added to ``total``."""
    width = np.float32(max(scores.shape[1], 1))
    for row in range(len(scores)):
        summed, squares = np.float32(0), np.float32(0)
        for score in scores[row]:
            summed += score
        mean = summed / width
        for score in scores[row]:
            squares += (score - mean) * (score - mean)
        deviation = np.sqrt(squares / width)
        if deviation > 1e-9:
            factor = np.float32(weight / deviation)
            for column in range(scores.shape[1]):
                total[row, column] += (scores[row, column] - mean) * factor
