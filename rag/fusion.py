"""One ranking out of two: pure functions over scores of the same n texts by words and by meaning.

Both return n fused scores, of which only the order and the distances within one question mean
something. ``weight``, 0 to 1, is the lexical share. Fusing is symmetric: swapping the lists and
their shares changes nothing.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.kernels import Summary

Scores = NDArray[np.float32]

RRF_CONSTANT = 60
# Spread below what float32 scores of this size can mean.
_NO_SPREAD = 1e-6
_ONE_PASS = 1 << 16


class Spread(NamedTuple):
    """Mean and standard deviation of a list of scores."""

    mean: float
    deviation: float


def spread(scores: Scores) -> Spread:
    exact = scores.astype(np.float64)
    return Spread(float(exact.mean()), float(exact.std())) if len(exact) else Spread(0.0, 0.0)


def spread_of(summary: Summary) -> Spread:
    """That of scores that are summed up already; for a short list, more exactly from them."""
    count = len(summary.scores)
    if count < _ONE_PASS:
        return spread(summary.scores)
    mean = summary.total / count
    return Spread(mean, max(summary.squares / count - mean * mean, 0.0) ** 0.5)


def zscore(
    lexical: Scores,
    dense: Scores,
    weight: float,
    of_lexical: Spread | None = None,
    of_dense: Spread | None = None,
) -> Scores:
    """``weight · z(lexical) + (1 − weight) · z(dense)`` with ``z(x) = (x − mean) / deviation``.

    Mean and deviation are those of all texts of the index, zeros included (``of_lexical`` and
    ``of_dense``, where n is only some of them): a list in which few texts stand out speaks louder
    than one in which all are alike. A constant list says nothing and adds 0.
    """
    words = standardise(lexical, of_lexical or spread(lexical))
    meaning = standardise(dense, of_dense or spread(dense))
    return (weight * words + (1 - weight) * meaning).astype(np.float32)


def standardise(scores: Scores, of: Spread) -> NDArray[np.float64]:
    """How many deviations each score lies above the mean; zeros where all are alike."""
    if of.deviation <= _NO_SPREAD * float(np.abs(scores).max(initial=0)):
        return np.zeros(len(scores))
    return np.asarray((scores - of.mean) / of.deviation, dtype=np.float64)


def rrf(lexical: Scores, dense: Scores, weight: float, depth: int) -> Scores:
    """Reciprocal rank fusion over the top ``depth`` of each list (Cormack et al., SIGIR 2009).

    Ranks count within the n texts, which must hold the first ``depth`` of both lists.
    ``weight / (60 + lexical rank) + (1 − weight) / (60 + dense rank)``; equal scores share the
    worst of their ranks, so that texts without any common term do not count as found.
    """
    fused = weight * _reciprocal(lexical, depth) + (1 - weight) * _reciprocal(dense, depth)
    return fused.astype(np.float32)


def _reciprocal(scores: Scores, depth: int) -> NDArray[np.float64]:
    ranks = len(scores) - np.searchsorted(np.sort(scores), scores, side="left")
    return np.where(ranks <= depth, 1 / (RRF_CONSTANT + ranks), 0.0)
