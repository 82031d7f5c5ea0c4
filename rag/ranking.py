"""From a question to the places of chunks in an index, best first: BM25 and vectors, fused.

Up to 20,000 chunks every one gets both scores. Beyond, the best by words and the best by meaning
are candidates, scored exactly by both and measured against the spread of all scores of the index,
which is known without computing them (``rag.dense.Moments``): so the fused scores of the candidates
are those that scoring everything would give.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifecycle.tracing import span
from rag.config import RetrievalConfig
from rag.dense import Allowed, Positions, best
from rag.embedder import Embedder
from rag.fusion import Spread, rrf, spread_of, zscore
from rag.index import RagIndex
from rag.types import Vectors

Scores = NDArray[np.float32]
NO_SIMILARITY = float("nan")
SCORED_WHOLLY = 20_000

_POSITIVE = float(np.finfo(np.float32).tiny)
_LED = 3  # chunks of a document up to which the first one counts fully


class Ranking(NamedTuple):
    """Chunks best first: where they stand, what they are ranked by, and their cosines."""

    positions: Positions
    scores: Scores
    similarity: Scores


class _Words(NamedTuple):
    """BM25 of every chunk, the spread of that, and the best chunks with a shared term."""

    scores: Scores
    spread: Spread
    found: Positions


@dataclass
class Timings:
    """Milliseconds of one search by stage: embed, lexical, dense, fuse, fetch."""

    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        start = perf_counter()
        with span(stage):
            yield
        self.stages[f"{stage}_ms"] = (perf_counter() - start) * 1000


class Ranker:
    """Ranks the chunks of one index. Safe to use from several threads.

    ``allowed`` (n,) marks the chunks that may be found; the others still count in the spread of
    scores, so that a chunk's score does not depend on what else may be found.
    """

    def __init__(self, index: RagIndex, embedder: Embedder, config: RetrievalConfig) -> None:
        self.index = index
        self.embedder = embedder
        self.config = config

    def by_words(self, question: str, k: int, allowed: Allowed | None, timings: Timings) -> Ranking:
        """The first ``k`` chunks that share a term with the question."""
        words = self._words(question, k, allowed, timings)
        unknown = np.full(len(words.found), NO_SIMILARITY, dtype=np.float32)
        return Ranking(words.found, words.scores[words.found], unknown)

    def by_meaning(
        self, question: str, k: int, allowed: Allowed | None, timings: Timings
    ) -> Ranking:
        vector = self._embed(question, timings)
        with timings.measure("dense"):
            found, scores = self.index.dense.search(vector, k, allowed)
        return Ranking(found, scores, scores)

    def by_both(self, question: str, k: int, allowed: Allowed | None, timings: Timings) -> Ranking:
        depth = max(k, self.config.candidates)
        words = self._words(question, depth, allowed, timings)
        vector = self._embed(question, timings)
        index = self.index
        with timings.measure("dense"):
            steered = index.moments.whitened(vector)
            candidates = self._candidates(words.found, steered, depth, allowed)
            meaning = self._led(steered, candidates)
        with timings.measure("fuse"):
            of_meaning = Spread(*index.moments.of_scores(steered))
            some = words.scores if candidates is None else words.scores[candidates]
            fused = self._fused(some, meaning, words.spread, of_meaning)
            found = top(fused, k)
            positions = found if candidates is None else candidates[found]
        return Ranking(positions, fused[found], index.dense.scores(vector, positions))

    def _candidates(
        self, by_words: Positions, vector: Vectors, depth: int, allowed: Allowed | None
    ) -> Positions | None:
        """The chunks to score by both, rising; None means all."""
        if len(self.index) <= SCORED_WHOLLY or (
            allowed is not None and np.count_nonzero(allowed) <= SCORED_WHOLLY
        ):
            return None if allowed is None else np.flatnonzero(allowed)
        by_meaning, _ = self.index.dense.search(vector, depth, allowed)
        candidates: Positions = np.union1d(by_words, by_meaning)
        return candidates

    def _led(self, vector: Vectors, candidates: Positions | None) -> Scores:
        """The similarity of the candidates, with a share of that of their documents' first chunk,
        which says what the document is about: less where there are more than three chunks."""
        scores = self.index.dense.scores(vector, candidates)
        leads = self.index.leads if candidates is None else self.index.leads[candidates]
        first, chunks = leads[:, 0].astype(np.int64), leads[:, 1]
        of_first = scores[first] if candidates is None else self.index.dense.scores(vector, first)
        share = self.config.lead_share * np.minimum(1, _LED / chunks.astype(np.float32))
        return np.asarray((1 - share) * scores + share * of_first, dtype=np.float32)

    def _words(
        self, question: str, depth: int, allowed: Allowed | None, timings: Timings
    ) -> _Words:
        with timings.measure("lexical"):
            summary = self.index.lexical.summary(question)
            bound = _bound(summary.maxima, depth) if allowed is None else -np.inf
            found = top(_masked(summary.scores, allowed), depth, max(bound, _POSITIVE))
            return _Words(summary.scores, spread_of(summary), found)

    def _embed(self, question: str, timings: Timings) -> Vectors:
        with timings.measure("embed"):
            vector: Vectors = self.embedder.encode_queries([question])[0]
            return vector

    def _fused(
        self, words: Scores, meaning: Scores, of_words: Spread, of_meaning: Spread
    ) -> Scores:
        weight = self.config.lexical_weight
        if self.config.fusion == "rrf":
            return rrf(words, meaning, weight, self.config.candidates)
        return zscore(words, meaning, weight, of_words, of_meaning)


def top(scores: Scores, k: int, least: float = -np.inf) -> Positions:
    """Positions of the ``k`` highest scores of at least ``least``, best first; of equal ones the
    earlier first."""
    found = np.flatnonzero(scores >= least)
    return best(found, scores[found], k)[0]


def _bound(maxima: Scores, k: int) -> float:
    """A score that at least ``k`` reach: the k-th highest maximum of a block."""
    return float(np.partition(maxima, -k)[-k]) if k <= len(maxima) else -np.inf


def _masked(scores: Scores, allowed: Allowed | None) -> Scores:
    """BM25 with 0, as of a chunk without a shared term, where a chunk is not allowed."""
    return scores if allowed is None else np.where(allowed, scores, np.float32(0))
