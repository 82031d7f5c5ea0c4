"""Exact inner products by FAISS."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lifecycle.errors import BundleError, StorageError
from rag.dense import Allowed, Positions, Scores, best, checked
from rag.types import Vectors

if TYPE_CHECKING:
    import faiss

_FILE = "vectors.faiss"


class FlatIndex:
    """FAISS ``IndexFlatIP``, a `Dense`, memory-mapped from its file.

    All scores of 20,000 vectors of 384 take a millisecond on one core. One question uses one
    thread: FAISS spreads only batches, and a second BLAS pool beside torch's slows both.
    """

    engine = "flat"
    recall = 1.0

    def __init__(self, index: "faiss.IndexFlatIP") -> None:
        self._index = index

    @classmethod
    def build(cls, vectors: Vectors) -> "FlatIndex":
        """Index ``vectors``, shape (n, d)."""
        import faiss

        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(index)

    @classmethod
    def load(cls, folder: Path) -> "FlatIndex":
        """Map the index in ``folder``. Raises BundleError where it is missing or damaged."""
        import faiss

        path = folder / _FILE
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise BundleError(f"the vector index {path} cannot be read: {error}.") from error
        if not isinstance(index, faiss.IndexFlatIP):
            raise BundleError(f"{path} holds a {type(index).__name__}, not an IndexFlatIP.")
        return cls(index)

    def save(self, folder: Path) -> None:
        """Write the index into ``folder``. Raises StorageError where the disk refuses."""
        import faiss

        path = folder / _FILE
        try:
            faiss.write_index(self._index, str(path))
        except RuntimeError as error:
            raise StorageError(f"cannot write the vector index {path}: {error}.") from error

    @property
    def dimension(self) -> int:
        return int(self._index.d)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def scores(self, query: Vectors, positions: Positions | None = None) -> Scores:
        import faiss

        query = checked(query, self.dimension)
        if positions is not None:
            some: Scores = np.einsum("ij,j->i", self.vectors(positions), query)
            return some
        out = np.empty(len(self), dtype=np.float32)
        if len(self):
            stored = self._index.get_xb()
            # FAISS' own kernel: `search` would sort all n, and BLAS takes five times as long.
            faiss.fvec_inner_products_ny(  # type: ignore[attr-defined]
                faiss.swig_ptr(out), faiss.swig_ptr(query), stored, self.dimension, len(self)
            )
        return out

    def search(
        self, query: Vectors, k: int, allowed: Allowed | None = None
    ) -> tuple[Positions, Scores]:
        scores = self.scores(query)
        found = np.arange(len(self)) if allowed is None else np.flatnonzero(allowed)
        return best(found, scores[found], k)

    def warm_up(self) -> None:
        """Nothing to do: FAISS is compiled."""

    def vectors(self, positions: Positions) -> Vectors:
        found: Vectors = self._index.reconstruct_batch(np.asarray(positions, dtype=np.int64))
        return found
