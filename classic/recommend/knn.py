"""Item-kNN: an item's score is the sum of its similarity to the items of a history.

Sarwar et al., Item-based collaborative filtering recommendation algorithms, WWW 2001. BM25 weights
as in the library implicit, after Robertson: rare users of an item say more than common ones.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from classic.recommend import settings
from classic.recommend.arrays import read_array, write_arrays
from classic.recommend.histories import Histories, Numbers, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.kernels import product
from classic.recommend.scorer import Catalogue
from classic.recommend.topk import top_k

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_BLOCK = 512
_K1, _B = 1.2, 0.75


class ItemKnn:
    """``neighbours``, ``similarities`` (items, k): of each item; −1 and 0 where it has fewer."""

    def __init__(self, chosen: settings.ItemKnn) -> None:
        self.settings = chosen
        self._set(np.zeros((0, 0), dtype=np.int32), np.zeros((0, 0), dtype=np.float32))

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None:
        from scipy.sparse import csr_array

        matrix = interactions.matrix()
        if self.settings.similarity == "bm25":
            matrix = _bm25(matrix)
        columns = csr_array(matrix.T)
        sizes = np.asarray(columns.multiply(columns).sum(axis=1)).ravel()
        blocks = [
            self._nearest(columns[start : start + _BLOCK] @ matrix, start, sizes)
            for start in range(0, len(sizes), _BLOCK)
        ]
        neighbours, similarities = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        self._set(neighbours, similarities)

    def scores(self, histories: Histories) -> Scores:
        return product(histories.matrix(len(self.neighbours)), self._sparse)

    def contributions(self, history: Histories, items: Numbers) -> Scores:
        """(events, items): what each event of one history adds to each item's score."""
        part: Scores = self._sparse[history.items][:, items].toarray()
        return part

    def save(self, folder: Path) -> None:
        arrays = {"neighbours": self.neighbours, "similarities": self.similarities}
        write_arrays(folder, arrays)

    def load(self, folder: Path) -> None:
        self._set(read_array(folder, "neighbours"), read_array(folder, "similarities"))

    def _nearest(
        self, overlap: "csr_array", start: int, sizes: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], Scores]:
        shared = overlap.toarray()
        own = sizes[start : start + len(shared), None]
        np.divide(shared, self._norms(shared, own, sizes) + 1e-9, out=shared)
        shared[np.arange(len(shared)), np.arange(start, start + len(shared))] = 0
        shared[shared <= 0] = -np.inf
        neighbours, similarities = top_k(shared, min(self.settings.neighbours, len(sizes)))
        return neighbours, np.where(neighbours < 0, 0, similarities)

    def _norms(self, shared: Scores, own: Scores, sizes: NDArray[np.float32]) -> Scores:
        shrinkage = np.float32(self.settings.shrinkage)
        if self.settings.similarity == "cosine":
            norms: Scores = np.sqrt(own * sizes) + shrinkage
            return norms
        if self.settings.similarity == "jaccard":
            return own + sizes - shared + shrinkage
        return np.ones_like(shared)

    def _set(self, neighbours: NDArray[np.int32], similarities: Scores) -> None:
        from scipy.sparse import csr_array

        self.neighbours, self.similarities = neighbours, similarities
        known = neighbours >= 0
        starts = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
        shape = (len(neighbours), len(neighbours))
        # Row i of this holds the items that have i near them, so that history @ matrix sums up.
        rows = csr_array((similarities[known], neighbours[known], starts), shape=shape)
        self._sparse = csr_array(rows.T)


def _bm25(matrix: "csr_array") -> "csr_array":
    """Users by items, weighted with users as words and items as texts."""
    from scipy.sparse import csr_array

    activity = np.asarray(matrix.sum(axis=1)).ravel()
    lengths = np.asarray(matrix.sum(axis=0)).ravel()
    rarity = np.log(matrix.shape[1]) - np.log1p(activity)
    norms = 1 - _B + _B * lengths / max(lengths.mean(), 1e-9)
    weighted = matrix.tocoo()
    data = rarity[weighted.row] * (_K1 + 1) / (_K1 * norms[weighted.col] + 1)
    return csr_array((data.astype(np.float32), (weighted.row, weighted.col)), shape=matrix.shape)
