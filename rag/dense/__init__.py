"""Vectors and their similarity to a question, behind one small interface, with two engines.

``flat`` compares a question with every vector, in FAISS, and is exact. ``codes`` compares one bit a
direction first and only the best of those in full (int8); its recall is measured when it is built.
It is the engine from 20,000 vectors up: of 1,000,000 vectors a scan takes 58 ms, codes 2 to 3.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lifecycle.atomic import storage_errors
from lifecycle.errors import BundleError, InvalidDataError
from rag.types import Vectors

EngineName = Literal["auto", "flat", "codes"]
Scores = NDArray[np.float32]
Positions = NDArray[np.int64]
Allowed = NDArray[np.bool_]

LARGEST_FLAT = 20_000
_SETTINGS, _MOMENTS = "dense.json", "moments.npy"
_ROWS_AT_ONCE = 16_384
_SHRINKAGE = 0.1


class Dense(Protocol):
    """An index of unit vectors; safe to query from several threads.

    ``query`` is one vector, shape (dimension,), and scores are inner products with it: cosines
    where its length is 1. ``recall`` is the share of the true first ten that `search` finds,
    measured when the index was built.
    """

    engine: str

    @property
    def dimension(self) -> int: ...

    @property
    def recall(self) -> float: ...

    def __len__(self) -> int: ...

    def scores(self, query: Vectors, positions: Positions | None = None) -> Scores:
        """The similarity of the vectors at ``positions``, of all where None."""
        ...

    def search(
        self, query: Vectors, k: int, allowed: Allowed | None = None
    ) -> tuple[Positions, Scores]:
        """The min(k, n) most similar, best first; only those that ``allowed`` (n,) marks."""
        ...

    def vectors(self, positions: Positions) -> Vectors:
        """Vectors as they are stored, shape (len(positions), dimension)."""
        ...

    def warm_up(self) -> None:
        """Do now what would make the first questions slow."""
        ...

    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class Moments:
    """Mean vector μ (d,) and covariance Σ (d, d) of all vectors of an index, and what they tell of
    a question's vector.

    ``whitening`` (d, d): ``(Σ + 0.1 c I)^-p`` with c the mean of Σ's eigenvalues.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    whitening: NDArray[np.float64]

    @classmethod
    def of(cls, vectors: Vectors, power: float = 0.0) -> "Moments":
        """Those of ``vectors`` (n, d); ``power`` is p."""
        count, dimension = vectors.shape
        starts = range(0, count, _ROWS_AT_ONCE)
        blocks = [vectors[start : start + _ROWS_AT_ONCE] for start in starts]
        total = sum((b.sum(axis=0, dtype=np.float64) for b in blocks), np.zeros(dimension))
        mean = total / max(count, 1)
        squares = np.zeros((dimension, dimension))
        for block in blocks:
            centred = block - mean.astype(np.float32)
            squares += centred.T @ centred
        # Rounded, as sums differ in their last digits from one BLAS to another.
        covariance = np.round(squares / max(count, 1), 9)
        return cls(np.round(mean, 9), covariance, np.round(_whitening(covariance, power), 6))

    def of_scores(self, query: Vectors) -> tuple[float, float]:
        """Mean and standard deviation of the inner products of ``query`` with all vectors: ``q·μ``
        and ``√(qᵀΣq)``, without computing the products."""
        exact = query.astype(np.float64)
        variance = _dot(_product(self.covariance, exact), exact)
        return _dot(exact, self.mean), max(variance, 0.0) ** 0.5

    def whitened(self, query: Vectors) -> Vectors:
        """``query`` with directions in which all vectors differ anyway made to count less."""
        return _product(self.whitening, query.astype(np.float64)).astype(np.float32)


@dataclass(frozen=True)
class DenseIndex:
    """Vectors under their engine, and the moments of their similarities."""

    engine: Dense
    moments: Moments

    def save(self, folder: Path) -> None:
        """Write the index into ``folder``; equal vectors give equal bytes on one machine."""
        stored = {
            "engine": self.engine.engine,
            "vectors": len(self.engine),
            "recall@10": self.engine.recall,
        }
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _SETTINGS).write_text(json.dumps(stored, indent=1), encoding="utf-8")
            of = self.moments
            moments = np.vstack([of.mean, of.covariance, of.whitening])
            np.save(folder / _MOMENTS, moments, allow_pickle=False)
        self.engine.save(folder)


def build_dense(
    vectors: Vectors, engine: EngineName = "auto", whitening: float = 0.0
) -> DenseIndex:
    """Index ``vectors``, shape (n, d); ``auto`` takes flat up to 20,000 of them, codes beyond.

    ``whitening``: the power of `Moments.whitening`.

    Raises InvalidDataError for another shape and for NaN or infinite values.
    """
    _check(vectors)
    moments = Moments.of(vectors, whitening)
    if engine == "flat" or (engine == "auto" and len(vectors) <= LARGEST_FLAT):
        from rag.dense.flat import FlatIndex

        return DenseIndex(FlatIndex.build(vectors), moments)
    from rag.dense.codes import CodesIndex

    return DenseIndex(CodesIndex.build(vectors, moments.whitened), moments)


def load_dense(folder: Path) -> DenseIndex:
    """The index in ``folder``, memory-mapped. Raises BundleError where it is damaged."""
    try:
        settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
        stored = np.load(folder / _MOMENTS, allow_pickle=False)
        engine = _load_engine(settings["engine"], folder, float(settings["recall@10"]))
        d = engine.dimension
        if len(engine) != settings["vectors"] or stored.shape != (2 * d + 1, d):
            raise ValueError("its parts differ in size")
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"the vector index in {folder} cannot be read: {error}.") from error
    return DenseIndex(engine, Moments(stored[0], stored[1 : d + 1], stored[d + 1 :]))


def _load_engine(name: str, folder: Path, recall: float) -> Dense:
    if name == "flat":
        from rag.dense.flat import FlatIndex

        return FlatIndex.load(folder)
    from rag.dense.codes import CodesIndex

    return CodesIndex.load(folder, recall)


def _whitening(covariance: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    values, axes = np.linalg.eigh(covariance)
    floor = _SHRINKAGE * float(values.mean())
    if not power or floor <= 0:
        return np.eye(len(covariance))
    scaled: NDArray[np.float64] = (axes * (np.maximum(values, 0) + floor) ** -power) @ axes.T
    return scaled


# einsum, as BLAS would wake threads of its own for products of this size.
def _product(matrix: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    product: NDArray[np.float64] = np.einsum("ij,j->i", matrix, vector)
    return product


def _dot(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.einsum("i,i->", one, other))


def checked(query: Vectors, dimension: int) -> Vectors:
    """``query`` as float32. Raises InvalidDataError where it has another dimension."""
    if query.shape != (dimension,):
        raise InvalidDataError(
            f"a question's vector must have the shape ({dimension},), not {query.shape}.",
            "The index was built with another embedder; run the pipeline again.",
        )
    return np.ascontiguousarray(query, dtype=np.float32)


def best(positions: Positions, scores: Scores, k: int) -> tuple[Positions, Scores]:
    """The ``k`` highest of ``scores`` and where they stand, best first, the earlier of equals."""
    if k < len(scores):
        least = np.partition(scores, -k)[-k]
        kept = scores >= least
        positions, scores = positions[kept], scores[kept]
    order = np.lexsort((positions, -scores))[:k]
    return positions[order], scores[order]


def _check(vectors: Vectors) -> None:
    if vectors.ndim != 2 or vectors.shape[1] == 0:
        raise InvalidDataError(f"vectors must have the shape (n, d), not {vectors.shape}.")
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        if not np.isfinite(vectors[start : start + _ROWS_AT_ONCE]).all():
            raise InvalidDataError("some vectors hold NaN or infinite values.")
