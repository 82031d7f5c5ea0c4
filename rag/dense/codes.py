"""Nearest neighbours by one-bit codes, checked in int8: for indexes from tens of thousands up.

A vector is centred and turned onto its 256 principal directions, weak ones raised and all rotated
so that signs lose as little as they can (iterative quantization: Gong et al., TPAMI 2013), and only
the signs are kept: 32 bytes. A question's signs are compared with all codes by Hamming distance, in
one pass of FAISS over memory, and the nearest few thousand are scored with their full vectors, held
in int8 with a scale each (cosines within 0.003).

How many candidates are scored in full is chosen when the index is built, by probes that are harder
than questions: as few as give 96 % of the true first ten.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.atomic import storage_errors
from rag.dense import Allowed, Positions, Scores, best, checked
from rag.kernels import compiled
from rag.types import Vectors

Steer = Callable[[Vectors], Vectors]

BITS = 256
RECALL = 0.96
CANDIDATES = (500, 750, 1000, 1500, 2000, 2500, 3000, 4000, 5000, 6000, 8000, 12_000, 16_000)
_BYTES = BITS // 8
_SAMPLE = 20_000  # vectors that the rotation is computed from
_FLATTENED = 0.1  # the power of a direction's variance by which weak ones are raised
_ROTATIONS = 30
_PROBES = 200
_NEAR = 10
_WITHIN = 4  # candidates for each one wanted, at least
_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class _Arrays:
    """``codes`` (n, 32) bits; ``vectors`` (n, d) int8, each times its ``scales`` (n,); ``centre``
    (d,) and ``directions`` (d, 256) make a vector's bits, ``asked`` (d, 256) those of a question;
    ``depth`` (1,) candidates to score."""

    codes: NDArray[np.uint8]
    vectors: NDArray[np.int8]
    scales: NDArray[np.float32]
    centre: NDArray[np.float32]
    directions: NDArray[np.float32]
    asked: NDArray[np.float32]
    depth: NDArray[np.int64]


class CodesIndex:
    """A `Dense` over codes and int8 vectors, all memory-mapped."""

    engine = "codes"

    def __init__(self, arrays: _Arrays, recall: float) -> None:
        self._arrays = arrays
        self._depth = int(arrays.depth[0])
        self._kernel: Callable[..., None] | None = None
        self.recall = recall

    @classmethod
    def build(cls, vectors: Vectors, steer: Steer = np.asarray) -> "CodesIndex":
        """Index ``vectors``, shape (n, d), and measure the recall of questions after ``steer``."""
        centre, directions, asked = _directions(vectors)
        n, d = vectors.shape
        codes, small = np.empty((n, _BYTES), np.uint8), np.empty((n, d), np.int8)
        scales = np.empty(n, np.float32)
        for start in range(0, n, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            codes[part] = _signs((vectors[part] - centre) @ directions)
            small[part], scales[part] = _int8(vectors[part])
        depth = np.array([CANDIDATES[-1]])
        arrays = _Arrays(codes, small, scales, centre, directions, asked, depth)
        depth[0], recall = _measured(cls(arrays, 1.0), vectors, steer)
        return cls(arrays, recall)

    @classmethod
    def load(cls, folder: Path, recall: float) -> "CodesIndex":
        """Map the index in ``folder``. Raises OSError or ValueError where it is damaged."""
        # As plain arrays over the mapped memory: every slice of a memmap costs extra.
        arrays = _Arrays(
            *(
                np.load(_file(folder, f.name), "r", allow_pickle=False).view(np.ndarray)
                for f in fields(_Arrays)
            )
        )
        n, d = arrays.vectors.shape
        shapes = [getattr(arrays, f.name).shape for f in fields(_Arrays)]
        if shapes != [(n, _BYTES), (n, d), (n,), (d,), (d, BITS), (d, BITS), (1,)]:
            raise ValueError(f"its arrays do not fit together: {shapes}")
        return cls(arrays, recall)

    def save(self, folder: Path) -> None:
        with storage_errors(folder):
            for field in fields(_Arrays):
                array = getattr(self._arrays, field.name)
                np.save(_file(folder, field.name), array, allow_pickle=False)

    @property
    def dimension(self) -> int:
        return int(self._arrays.vectors.shape[1])

    def __len__(self) -> int:
        return len(self._arrays.vectors)

    def scores(self, query: Vectors, positions: Positions | None = None) -> Scores:
        query = checked(query, self.dimension)
        if positions is not None:
            return self._exact(query, positions)
        blocks = (
            self._exact(query, np.arange(start, min(start + _ROWS_AT_ONCE, len(self))))
            for start in range(0, len(self), _ROWS_AT_ONCE)
        )
        return np.concatenate([np.zeros(0, np.float32), *blocks])

    def search(
        self, query: Vectors, k: int, allowed: Allowed | None = None
    ) -> tuple[Positions, Scores]:
        return self._search(checked(query, self.dimension), k, self._depth, allowed)

    def vectors(self, positions: Positions) -> Vectors:
        small, scales = self._arrays.vectors[positions], self._arrays.scales[positions]
        found: Vectors = small.astype(np.float32) * scales[:, None]
        return found

    def warm_up(self) -> None:
        self._kernel = compiled().dots
        self._exact(np.zeros(self.dimension, np.float32), np.zeros(0, np.int64))

    def _search(
        self, query: Vectors, k: int, depth: int, allowed: Allowed | None = None
    ) -> tuple[Positions, Scores]:
        wanted = max(depth, _WITHIN * k)
        bits = _signs((query @ self._arrays.asked)[None])
        if allowed is None:
            found = _nearest(bits, self._arrays.codes, wanted)
        else:
            rows = np.flatnonzero(allowed)
            found = rows[_nearest(bits, self._arrays.codes[rows], wanted)]
        return best(found, self._exact(query, found), k)

    def _exact(self, query: Vectors, positions: Positions) -> Scores:
        if self._kernel is not None:
            out = np.empty(len(positions), dtype=np.float32)
            self._kernel(self._arrays.vectors, self._arrays.scales, positions, query, out)
            return out
        # einsum, as BLAS would wake threads of its own for a product of this size.
        small = self._arrays.vectors.take(positions, axis=0).astype(np.float32)
        scores: Scores = np.einsum("ij,j->i", small, query) * self._arrays.scales.take(positions)
        return scores


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _directions(vectors: Vectors) -> tuple[Vectors, Vectors, Vectors]:
    """The mean of ``vectors``, 256 directions, and the same for questions, from a sample at even
    steps.

    What is raised in vectors is lowered in questions, so that inner products stay what they were.
    """
    sample = np.asarray(vectors[:: max(1, len(vectors) // _SAMPLE)], dtype=np.float32)
    dimension = vectors.shape[1]
    if len(sample) < 2:
        nothing = np.zeros((dimension, BITS), np.float32)
        return np.zeros(dimension, np.float32), nothing, nothing
    centre = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    rng = np.random.default_rng(0)
    if dimension <= BITS:
        random = rng.standard_normal((dimension, BITS)).astype(np.float32)
        return centre, random, random
    values, axes = np.linalg.eigh(np.cov((sample - centre).T))
    values, axes = values[::-1][:BITS], axes[:, ::-1][:, :BITS]
    raised = np.maximum(values, 1e-12 * values[0]) ** -_FLATTENED
    rotation = _balanced((sample - centre) @ (axes * raised), rng)
    turned = (axes * raised) @ rotation, (axes / raised) @ rotation
    return centre, *(np.ascontiguousarray(one, dtype=np.float32) for one in turned)


def _balanced(projected: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """The rotation (256, 256) after which ``projected`` (n, 256) are nearest to their signs."""
    rotation, _ = np.linalg.qr(rng.standard_normal((BITS, BITS)))
    projected = projected.astype(np.float32)
    for _ in range(_ROTATIONS):
        signs = np.sign(projected @ rotation.astype(np.float32))
        left, _, right = np.linalg.svd(signs.T @ projected)
        rotation = (left @ right).T
    return rotation


def _signs(projected: NDArray[Any]) -> NDArray[np.uint8]:
    return np.packbits(projected > 0, axis=1)


def _int8(vectors: Vectors) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """``vectors`` as int8 and the scale of each."""
    scales = np.abs(vectors).max(axis=1, initial=1e-12) / 127
    return np.rint(vectors / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def _nearest(bits: NDArray[np.uint8], codes: NDArray[np.uint8], k: int) -> Positions:
    """Positions of the ``k`` codes with the least Hamming distance, in no order."""
    import faiss

    if k >= len(codes):
        return np.arange(len(codes))
    distances, found = np.empty((1, k), np.int32), np.empty((1, k), np.int64)
    faiss.hammings_knn_mc(
        faiss.swig_ptr(bits),
        faiss.swig_ptr(codes),
        1,
        len(codes),
        k,
        _BYTES,
        faiss.swig_ptr(distances),
        faiss.swig_ptr(found),
    )
    nearest: Positions = found[0]
    return nearest


def _measured(index: CodesIndex, vectors: Vectors, steer: Steer) -> tuple[int, float]:
    """The fewest candidates that reach RECALL, and the recall that they reach.

    A probe stands for a question: a vector and as much chance again, spread as vectors are, as a
    question is about something in the index and is not a text of the index. Questions find more
    than probes (`benchmarks/scale.py`).
    """
    if not len(vectors):
        return CANDIDATES[0], 1.0
    rng = np.random.default_rng(0)
    near, one, other = (_drawn(vectors, rng) for _ in range(3))
    # The difference of two vectors has twice their covariance.
    probes = near + (one - other[rng.permutation(_PROBES)]) / np.float32(2**0.5)
    probes = np.stack([steer(probe) for probe in probes])
    truth = true_nearest(probes, vectors)
    for depth in CANDIDATES:
        recall = _recall(index, probes, truth, depth)
        if recall >= RECALL:
            break
    return depth, recall


def _drawn(vectors: Vectors, rng: np.random.Generator) -> Vectors:
    return np.asarray(vectors[np.sort(rng.integers(0, len(vectors), _PROBES))])


def _recall(index: CodesIndex, probes: Vectors, truth: Positions, depth: int) -> float:
    found = (index._search(probe, truth.shape[1], depth)[0] for probe in probes)
    shares = [len(set(one) & set(true)) / len(true) for one, true in zip(found, truth, strict=True)]
    return float(np.mean(shares))


def true_nearest(probes: Vectors, vectors: Vectors) -> Positions:
    """The true first ten of each probe, by comparing it with every vector, shape (probes, 10)."""
    near = min(_NEAR, len(vectors))
    scores: NDArray[Any] = np.empty((len(probes), 0), np.float32)
    rows: NDArray[Any] = np.empty((len(probes), 0), np.int64)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        block = probes @ vectors[start : start + _ROWS_AT_ONCE].T
        here = np.broadcast_to(np.arange(start, start + block.shape[1]), block.shape)
        scores, rows = np.hstack([scores, block]), np.hstack([rows, here])
        kept = np.argpartition(-scores, near - 1, axis=1)[:, :near]
        scores, rows = (np.take_along_axis(a, kept, axis=1) for a in (scores, rows))
    return rows
