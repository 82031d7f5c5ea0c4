"""Whether an index's vectors are those of its chunks: what scores alone would only show as bad."""

from dataclasses import dataclass

import numpy as np

from rag.embedder import Embedder
from rag.index import RagIndex
from rag.types import Vectors

# int8 engines stay above 0.99 of the full-precision vector; other texts stay below 0.98 unless
# they are all but equal.
SAME_VECTOR = 0.98


@dataclass(frozen=True)
class IndexHealth:
    """Of ``sampled`` chunks embedded anew: ``misplaced_share`` stand at another chunk's place
    (the vectors are out of order), ``foreign_share`` stand nowhere in the index (another embedder
    made the vectors, or they are corrupt). Shares are 0 to 1, and 0 where nothing was sampled."""

    chunks: int
    vectors: int
    sampled: int
    misplaced_share: float
    foreign_share: float


def health(index: RagIndex, embedder: Embedder, sample: int = 200, seed: int = 0) -> IndexHealth:
    """Embed ``sample`` chunks drawn with ``seed`` anew and look for their vectors."""
    size = min(sample, len(index))
    if size == 0:
        return IndexHealth(len(index), len(index.dense), 0, 0.0, 0.0)
    drawn = np.sort(np.random.default_rng(seed).choice(len(index), size, replace=False))
    fresh = embedder.encode([chunk.embedded_text for chunk in index.take(drawn)])
    if fresh.shape[1] != index.dense.dimension:
        return IndexHealth(len(index), len(index.dense), size, 0.0, 1.0)
    stored = index.dense.vectors(drawn)
    # A NaN compares as False and so counts as wrong.
    wrong = ~(np.einsum("ij,ij->i", fresh, stored) >= SAME_VECTOR)
    elsewhere = sum(_stands_somewhere(index, vector) for vector in fresh[wrong])
    foreign = int(wrong.sum()) - elsewhere
    return IndexHealth(len(index), len(index.dense), size, elsewhere / size, foreign / size)


def _stands_somewhere(index: RagIndex, vector: Vectors) -> bool:
    _, scores = index.dense.search(vector, 1)
    return bool(scores[0] >= SAME_VECTOR)
