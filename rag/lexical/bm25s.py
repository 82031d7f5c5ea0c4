"""BM25 by the library bm25s: scores precomputed in sparse matrices, memory-mapped from disk.

The matrix is made here, from counts, block by block: bm25s would want the words of all texts in
memory as Python lists. It is stored as bm25s stores its own.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.kernels import Summary, compiled, summarised
from rag.lexical.counts import TermCounts

if TYPE_CHECKING:
    from rag.lexical import Scores

_ENTRIES_AT_ONCE = 1 << 22


class BM25S:
    """A `Lexical` over bm25s' matrix of scores, one column a term."""

    engine = "bm25s"

    def __init__(self, bm25: Any) -> None:
        self._bm25 = bm25
        self._vocabulary: dict[str, int] = bm25.vocab_dict
        # As plain arrays over the mapped memory: every slice of a memmap costs extra.
        names = "data", "indptr", "indices"
        self._matrix = tuple(np.asarray(bm25.scores[name]).view(np.ndarray) for name in names)
        self._columns = self._matrix[1]
        self._kernel: Callable[..., Summary] | None = None

    @classmethod
    def build(cls, counts: TermCounts, k1: float, b: float) -> "BM25S":
        bm25 = _bm25s()(k1=k1, b=b, method="lucene", backend="numpy")
        bm25.vocab_dict = {term: number for number, term in enumerate(counts.vocabulary)}
        bm25.nonoccurrence_array = None
        bm25.scores = _matrix(counts, k1, b) | {"num_docs": len(counts)}
        return cls(bm25)

    @classmethod
    def load(cls, folder: Path) -> "BM25S":
        return cls(_bm25s().load(folder, mmap=True, show_progress=False, verbosity=0))

    def save(self, folder: Path) -> None:
        self._bm25.save(folder, show_progress=False)

    def __len__(self) -> int:
        return int(self._bm25.scores["num_docs"])

    def scores(self, question: str) -> "Scores":
        return self.summary(question).scores

    def summary(self, question: str) -> Summary:
        from rag.lexical import known_terms

        terms = known_terms(question, self._vocabulary, self._frequency)
        if not terms:
            return summarised(np.zeros(len(self), dtype=np.float32))
        ids = np.array([self._vocabulary[term] for term in terms])
        if self._kernel is not None:
            return self._kernel(ids, *self._matrix, len(self))
        return summarised(self._bm25.get_scores_from_ids(ids))

    def warm_up(self) -> None:
        """Compile the scorer: seconds once, then half the time a question.

        bm25s' own, compiled, keeps Python's other threads waiting and leaves summing up to NumPy.
        """
        self._kernel = compiled().bm25
        if self._vocabulary:
            self._kernel(np.array([0]), *self._matrix, len(self))

    def _frequency(self, term: str) -> int:
        column = self._vocabulary[term]
        return int(self._columns[column + 1] - self._columns[column])


def _matrix(counts: TermCounts, k1: float, b: float) -> dict[str, NDArray[Any]]:
    """Scores by column: ``data`` (float32), the texts they belong to, and where columns begin."""
    from scipy.sparse import csr_array

    shape = (len(counts), len(counts.vocabulary))
    frequency = csr_array((counts.counts, counts.terms, counts.offsets), shape=shape).tocsc()
    indptr = frequency.indptr.astype(np.int64)
    texts = frequency.indices.astype(np.int32, copy=False)
    within = np.diff(indptr)
    idf = np.log(1 + (len(counts) - within + 0.5) / (within + 0.5))
    mean = counts.lengths.sum() / max(len(counts), 1) or 1.0
    norm = k1 * (1 - b + b * counts.lengths / mean)
    data = np.empty(len(texts), dtype=np.float32)
    for part, columns in _blocks(indptr):
        tf = frequency.data[part]
        weights = np.repeat(idf[columns], within[columns])
        data[part] = weights * tf / (tf + norm[texts[part]])
    return {"data": data, "indices": texts, "indptr": indptr}


def _blocks(indptr: NDArray[np.int64]) -> Iterator[tuple[slice, slice]]:
    """Entries and columns in blocks of whole columns, to bound the memory of what lies between."""
    first = 0
    while first < len(indptr) - 1:
        limit = indptr[first] + _ENTRIES_AT_ONCE
        last = max(first + 1, int(np.searchsorted(indptr, limit, side="right")) - 1)
        yield slice(int(indptr[first]), int(indptr[last])), slice(first, last)
        first = last


def _bm25s() -> Any:
    from bm25s import BM25

    return BM25
