"""Inner loops of searching a large index, compiled by numba when an index is warmed up.

Each reads memory once where NumPy would read it three times. Nothing is compiled before `compiled`
is called, and until then NumPy does the work, so that a single question starts at once.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BLOCK = 1024
"""Scores that are summed up together: short float32 sums are exact enough."""


class Summary(NamedTuple):
    """``scores`` (n,), their sum, the sum of their squares, and the highest of each full block."""

    scores: Floats
    total: float
    squares: float
    maxima: Floats


class Kernels(NamedTuple):
    """`bm25` and `dots`, compiled; both let Python's other threads run."""

    bm25: Callable[..., Summary]
    dots: Callable[..., None]


@cache
def compiled() -> Kernels:
    """Takes about two seconds, once in a process."""
    from numba import njit

    compile_ = njit(nogil=True, fastmath={"reassoc", "nsz"})
    return Kernels(compile_(bm25), compile_(dots))


def summarised(scores: Floats) -> Summary:
    whole = len(scores) - len(scores) % BLOCK
    blocks, rest = scores[:whole].reshape(-1, BLOCK), scores[None, whole:]
    total = sum(float(part.sum(axis=1).sum(dtype=np.float64)) for part in (blocks, rest))
    squares = sum(
        float(np.einsum("ij,ij->i", part, part).sum(dtype=np.float64)) for part in (blocks, rest)
    )
    return Summary(scores, total, squares, blocks.max(axis=1))


def bm25(
    terms: NDArray[np.int64], data: Floats, indptr: NDArray[Any], texts: NDArray[Any], count: int
) -> Summary:
    """The sums of the columns ``terms`` of a sparse matrix over ``count`` texts."""
    scores = np.zeros(count, dtype=np.float32)
    for term in terms:
        for at in range(indptr[term], indptr[term + 1]):
            scores[texts[at]] += data[at]
    maxima = np.zeros(count // BLOCK, dtype=np.float32)
    total: Any = 0.0
    squares: Any = 0.0
    for block in range(count // BLOCK + 1):
        some = some_squares = highest = np.float32(0)
        for score in scores[block * BLOCK : (block + 1) * BLOCK]:
            some += score
            some_squares += score * score
            highest = max(highest, score)
        total += some
        squares += some_squares
        if block < len(maxima):
            maxima[block] = highest
    return Summary(scores, total, squares, maxima)


def dots(
    vectors: NDArray[np.int8], scales: Floats, rows: NDArray[np.int64], query: Floats, out: Floats
) -> None:
    """Put ``scales[r] · (vectors[r] · query)`` of each r in ``rows`` into ``out``."""
    for at in range(len(rows)):
        row = rows[at]
        product = np.float32(0)
        for place in range(len(query)):
            product += np.float32(vectors[row, place]) * query[place]
        out[at] = product * scales[row]
