"""BM25 by the library rank_bm25: counts and no index, so nothing to compile and little to load.

Every question visits every text once for each term: 1,000 texts take a millisecond or two,
1,000,000 take seconds. It is the engine for small corpora, and the oracle of the other one.
"""

import json
from collections import Counter
from math import log
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag.kernels import Summary, summarised
from rag.lexical.counts import TermCounts, by_term

if TYPE_CHECKING:
    from rank_bm25 import BM25Okapi

    from rag.lexical import Scores

Counts = dict[str, int]
_COUNTS = "counts.json"


class RankBM25:
    """A `Lexical` over the term counts of each text."""

    engine = "rank-bm25"

    def __init__(self, counts: list[Counts], k1: float, b: float) -> None:
        self._counts = counts
        self._frequency = Counter(term for text in counts for term in text)
        self._k1 = k1
        self._b = b
        self._bm25 = _okapi(counts, self._frequency, k1, b) if self._frequency else None

    @classmethod
    def build(cls, counts: TermCounts, k1: float, b: float) -> "RankBM25":
        return cls(list(by_term(counts)), k1, b)

    @classmethod
    def load(cls, folder: Path) -> "RankBM25":
        stored = json.loads((folder / _COUNTS).read_text(encoding="utf-8"))
        return cls(stored["counts"], stored["k1"], stored["b"])

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        stored = {"k1": self._k1, "b": self._b, "counts": self._counts}
        text = json.dumps(stored, ensure_ascii=False, separators=(",", ":"))
        (folder / _COUNTS).write_text(text, encoding="utf-8")

    def __len__(self) -> int:
        return len(self._counts)

    def scores(self, question: str) -> "Scores":
        from rag.lexical import known_terms

        terms = known_terms(question, self._frequency, self._frequency.__getitem__)
        if not terms or self._bm25 is None:
            return np.zeros(len(self), dtype=np.float32)
        with np.errstate(invalid="ignore"):  # with b = 1 it divides 0 by 0 for an empty text
            scores = np.nan_to_num(self._bm25.get_scores(terms))
        # The library multiplies by k1 + 1, which Lucene's variant leaves out.
        return np.asarray(scores / (self._k1 + 1), dtype=np.float32)

    def summary(self, question: str) -> Summary:
        return summarised(self.scores(question))

    def warm_up(self) -> None:
        """Nothing to do: there is nothing to compile."""


def _okapi(counts: list[Counts], frequency: Counter[str], k1: float, b: float) -> "BM25Okapi":
    """rank_bm25's scorer over counts made before, with Lucene's idf, which is never negative."""
    from rank_bm25 import BM25Okapi

    class Lucene(BM25Okapi):  # type: ignore[misc]
        def _initialize(self, corpus: list[Counts]) -> Counter[str]:
            self.corpus_size = len(corpus)
            self.doc_freqs = corpus
            self.doc_len = [sum(text.values()) for text in corpus]
            self.avgdl = sum(self.doc_len) / len(corpus)
            return frequency

        def _calc_idf(self, nd: Counter[str]) -> None:
            n = self.corpus_size
            self.idf = {term: log(1 + (n - df + 0.5) / (df + 0.5)) for term, df in nd.items()}

    return Lucene(counts, k1=k1, b=b)
