"""A low-pass filter: of the histories only what a few smooth patterns of taste explain is kept.

Shen et al., How powerful is graph convolution for recommendation?, CIKM 2021 (arXiv:2108.07567):
with R the users by items, divided by powers of the users' and the items' number of events, and V
the first right singular vectors of R, a history h is scored with h D⁻ᵇ V Vᵀ Dᵇ (D: the items'
number of events).
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classic.recommend import settings
from classic.recommend.arrays import read_array, write_arrays
from classic.recommend.histories import Histories, Numbers, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.scorer import Catalogue

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class LowPass:
    """``into`` (items, factors): D⁻ᵇ V; ``back`` (factors, items): Vᵀ Dᵇ."""

    def __init__(self, chosen: settings.LowPass) -> None:
        self.settings = chosen
        self.into: Scores = np.zeros((0, 0), dtype=np.float32)
        self.back: Scores = np.zeros((0, 0), dtype=np.float32)

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None:
        from scipy.sparse import csr_array, diags_array

        matrix = interactions.matrix()
        activity, counts = (np.maximum(matrix.sum(axis=axis), 1.0) for axis in (1, 0))
        scale = counts**self.settings.item_power
        users = diags_array(activity**-self.settings.user_power)
        found = _patterns(csr_array(users @ matrix @ diags_array(1 / scale)), self.settings.factors)
        self.into = (found / scale).T.astype(np.float32)
        self.back = (found * scale).astype(np.float32)

    def scores(self, histories: Histories) -> Scores:
        smooth: Scores = (histories.matrix(len(self.into)) @ self.into) @ self.back
        return smooth

    def contributions(self, history: Histories, items: Numbers) -> Scores:
        """(events, items): what each event of one history adds to each item's score."""
        return self.into[history.items] @ self.back[:, items]

    def save(self, folder: Path) -> None:
        write_arrays(folder, {"into": self.into, "back": self.back})

    def load(self, folder: Path) -> None:
        self.into, self.back = read_array(folder, "into"), read_array(folder, "back")


def _patterns(matrix: "csr_array", factors: int) -> Scores:
    """The first right singular vectors, one a row; fewer where the matrix is small."""
    from scipy.sparse.linalg import svds

    if min(matrix.shape) <= 2 * factors:
        found: Scores = np.linalg.svd(matrix.toarray(), full_matrices=False)[2][:factors]
        return found
    start = np.random.default_rng(0).standard_normal(min(matrix.shape))
    _, _, vectors = svds(matrix, k=factors, v0=start, return_singular_vectors="vh")
    iterated: Scores = vectors
    return iterated
