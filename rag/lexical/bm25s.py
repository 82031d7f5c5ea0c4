"""BM25 by the library bm25s: scores precomputed in sparse matrices, memory-mapped from disk."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rag.lexical import Scores


class BM25S:
    """A `Lexical` over bm25s' matrix of scores, one column a term."""

    engine = "bm25s"

    def __init__(self, bm25: Any) -> None:
        self._bm25 = bm25
        self._vocabulary: dict[str, int] = bm25.vocab_dict
        self._columns = bm25.scores["indptr"]

    @classmethod
    def build(cls, documents: Iterable[Sequence[str]], k1: float, b: float) -> "BM25S":
        # Numbered in order of appearance: bm25s itself numbers by a set, in no fixed order.
        vocabulary: dict[str, int] = {}
        ids = [[vocabulary.setdefault(t, len(vocabulary)) for t in terms] for terms in documents]
        bm25 = _bm25s()(k1=k1, b=b, method="lucene", backend="numpy")
        if vocabulary:
            bm25.index((ids, vocabulary), create_empty_token=False, show_progress=False)
        else:
            _leave_empty(bm25, len(ids))
        return cls(bm25)

    @classmethod
    def load(cls, folder: Path) -> "BM25S":
        return cls(_bm25s().load(folder, mmap=True, show_progress=False, verbosity=0))

    def save(self, folder: Path) -> None:
        self._bm25.save(folder, show_progress=False)

    def __len__(self) -> int:
        return int(self._bm25.scores["num_docs"])

    def scores(self, question: str) -> "Scores":
        from rag.lexical import known_terms

        terms = known_terms(question, self._vocabulary, self._frequency)
        if not terms:
            return np.zeros(len(self), dtype=np.float32)
        ids = self._bm25.get_tokens_ids(terms)
        scores: Scores = self._bm25.get_scores_from_ids(ids)
        return scores

    def warm_up(self) -> None:
        """Compile the scorer with numba: about a second once, then half the time a question.

        bm25s 0.3.16 does not compile by itself: it reads NUMBA_DISABLE_JIT the wrong way round.
        """
        self._bm25.activate_numba_scorer()
        if self._vocabulary:
            self._bm25.get_scores_from_ids([0])

    def _frequency(self, term: str) -> int:
        column = self._vocabulary[term]
        return int(self._columns[column + 1] - self._columns[column])


def _bm25s() -> Any:
    from bm25s import BM25

    return BM25


def _leave_empty(bm25: Any, texts: int) -> None:
    """What `index` would leave where no text holds a term, which it cannot do itself."""
    nothing = np.zeros(0, dtype=np.float32)
    bm25.scores = {
        "data": nothing,
        "indices": nothing.astype(np.int32),
        "indptr": np.zeros(1, dtype=np.int64),
        "num_docs": texts,
    }
    bm25.vocab_dict = {}
    bm25.nonoccurrence_array = None
