"""One ranking out of two: pure functions over the two full lists of scores.

Both take the lexical and the dense scores of the same n texts and return n fused scores, of which
only the order and the distances within one question mean something. ``weight``, 0 to 1, is the
lexical share. Fusing is symmetric: swapping the lists and their shares changes nothing.
"""

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]

RRF_CONSTANT = 60
# Spread below what float32 scores of this size can mean.
_NO_SPREAD = 1e-6


def zscore(lexical: Scores, dense: Scores, weight: float) -> Scores:
    """``weight · z(lexical) + (1 − weight) · z(dense)`` with ``z(x) = (x − mean) / deviation``.

    Mean and deviation are those of the full list, zeros included: a list in which few texts stand
    out speaks louder than one in which all are alike. A constant list says nothing and adds 0.
    """
    return (weight * standardise(lexical) + (1 - weight) * standardise(dense)).astype(np.float32)


def rrf(lexical: Scores, dense: Scores, weight: float, depth: int) -> Scores:
    """Reciprocal rank fusion over the top ``depth`` of each list (Cormack et al., SIGIR 2009).

    ``weight / (60 + lexical rank) + (1 − weight) / (60 + dense rank)``; equal scores share the
    worst of their ranks, so that texts without any common term do not count as found.
    """
    fused = weight * _reciprocal(lexical, depth) + (1 - weight) * _reciprocal(dense, depth)
    return fused.astype(np.float32)


def standardise(scores: Scores) -> NDArray[np.float64]:
    """``scores`` with mean 0 and standard deviation 1; zeros where they are all alike."""
    if scores.size == 0:
        return np.zeros(0)
    centred = scores - scores.mean(dtype=np.float64)
    spread = float(centred.std())
    if spread <= _NO_SPREAD * float(np.abs(scores).max()):
        return np.zeros(len(scores))
    return np.asarray(centred / spread, dtype=np.float64)


def _reciprocal(scores: Scores, depth: int) -> NDArray[np.float64]:
    ranks = len(scores) - np.searchsorted(np.sort(scores), scores, side="left")
    return np.where(ranks <= depth, 1 / (RRF_CONSTANT + ranks), 0.0)
