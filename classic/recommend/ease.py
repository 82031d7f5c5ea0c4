"""EASE: every item predicted from all others by ridge regression, in closed form.

Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019 (arXiv:1905.03375):
P = (XᵀX + λI)⁻¹, B = I − P / diag(P). Steck, Autoencoders that don't overfit towards the identity,
NeurIPS 2020: training with dropout p adds p / (1 − p) · diag(XᵀX) to λI. λ in
proportion to a power of an item's events is from Rendle et al., Revisiting the performance of iALS,
RecSys 2022.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classic.recommend import settings
from classic.recommend.arrays import read_array, write_arrays
from classic.recommend.histories import Histories, Numbers, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.kernels import ROWS, compiled
from classic.recommend.scorer import Catalogue
from classic.recommend.threads import cores, limited
from lifecycle.errors import DataError

_BLOCK = 1024
_MANY = 4096
"""Items from which on threads are worth waiting for."""


class Ease:
    """``weights`` (items, items), float32: 4 bytes × items², also while it is fitted."""

    def __init__(self, chosen: settings.Ease) -> None:
        self.settings = chosen
        self.weights: Scores = np.zeros((0, 0), dtype=np.float32)

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None:
        gram = _gram(interactions, self.settings.user_power)
        counts = gram.diagonal().copy()
        np.fill_diagonal(gram, counts + self._penalties(counts))
        inverse = _invert(gram)
        inverse /= -inverse.diagonal().copy()
        np.fill_diagonal(inverse, 0)
        if self.settings.popularity_power:
            inverse /= np.maximum(counts, 1) ** self.settings.popularity_power
        self.weights = inverse

    def scores(self, histories: Histories) -> Scores:
        matrix = histories.matrix(len(self.weights))
        if len(histories) < ROWS:
            few: Scores = matrix @ self.weights
            return few
        summed = np.empty((len(histories), len(self.weights)), dtype=np.float32)
        compiled().sums(matrix.indptr, matrix.indices, self.weights, summed)
        return summed

    def _penalties(self, counts: Scores) -> Scores:
        """Added to the diagonal: the regularisation, which is the mean over the items that have
        events, and the dropout's."""
        chosen = self.settings
        scale = np.maximum(counts, 1) ** chosen.item_power
        scale /= scale[counts > 0].mean()
        return chosen.regularisation * scale + chosen.dropout / (1 - chosen.dropout) * counts

    def contributions(self, history: Histories, items: Numbers) -> Scores:
        """(events, items): what each event of one history adds to each item's score."""
        return self.weights[np.ix_(history.items, items)]

    def save(self, folder: Path) -> None:
        write_arrays(folder, {"weights": self.weights})

    def load(self, folder: Path) -> None:
        self.weights = read_array(folder, "weights")


def _gram(interactions: Interactions, user_power: float) -> Scores:
    """Xᵀ diag(w) X, dense, made in blocks of rows; w is activity ^ −user_power, scaled so that all
    events together weigh as much as without it."""
    from scipy.sparse import csr_array, diags_array

    matrix = interactions.matrix()
    activity = np.maximum(matrix.sum(axis=1), 1.0)
    weights = activity**-user_power
    weights *= activity.sum() / (activity * weights).sum()
    weighted = csr_array(diags_array(weights) @ matrix).astype(np.float32)
    columns = csr_array(matrix.T)
    items = matrix.shape[1]
    gram = np.empty((items, items), dtype=np.float32)
    for start in range(0, items, _BLOCK):
        gram[start : start + _BLOCK] = (columns[start : start + _BLOCK] @ weighted).toarray()
    return gram


def _invert(symmetric: Scores) -> Scores:
    """The inverse of a positive definite matrix, in its own memory (Cholesky)."""
    from scipy.linalg import lapack

    # LAPACK reads columns: the lower triangle of the transposed view is our upper one.
    with limited(cores() if len(symmetric) > _MANY else 1):
        factor, info = lapack.spotrf(symmetric.T, lower=1, clean=0, overwrite_a=1)
        if info == 0:
            factor, info = lapack.spotri(factor, lower=1, overwrite_c=1)
    if info:
        raise DataError(
            f"EASE: the items' matrix cannot be inverted (LAPACK says {info}).",
            "Raise its regularisation.",
        )
    _mirror(factor.T)
    inverse: Scores = factor.T
    return inverse


def _mirror(upper: NDArray[np.float32]) -> None:
    """Copy the upper triangle onto the lower one, in place."""
    for start in range(0, len(upper), _BLOCK):
        rows = slice(start, start + _BLOCK)
        square = upper[rows, rows]
        upper[rows, rows] = np.triu(square) + np.triu(square, 1).T
        upper[start + _BLOCK :, rows] = upper[rows, start + _BLOCK :].T
