"""From a question to ranked passages: BM25 and vectors, fused.

Up to 20,000 chunks every one gets both scores. Beyond, the best by words and the best by meaning
are candidates, scored exactly by both and measured against the spread of all scores of the index,
which is known without computing them (``rag.dense.Moments``): so the fused scores of the candidates
are those that scoring everything would give.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import BundleError, InputError, UsageError, did_you_mean
from rag.config import RetrievalConfig
from rag.dense import Positions, best
from rag.embedder import Embedder
from rag.fusion import Spread, rrf, spread, zscore
from rag.index import RagIndex
from rag.types import Passage, Vectors

Mode = Literal["hybrid", "lexical", "dense"]
Scores = NDArray[np.float32]
NO_SIMILARITY = float("nan")
SCORED_WHOLLY = 20_000
_POSITIVE = float(np.finfo(np.float32).tiny)
_BLOCK = 1024


class Ranking(NamedTuple):
    """Chunks for one question, best first: where they stand, what they are ranked by, and their
    cosines."""

    positions: Positions
    scores: Scores
    similarity: Scores


@dataclass
class Timings:
    """Milliseconds of one search by stage: embed, lexical, dense, fuse, fetch."""

    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self.stages[f"{stage}_ms"] = (perf_counter() - start) * 1000


class Retriever:
    """Searches one index. Safe to use from several threads.

    Raises BundleError where ``embedder`` is not the one that made the index's vectors.
    """

    def __init__(self, index: RagIndex, embedder: Embedder, config: RetrievalConfig) -> None:
        if embedder.name != index.settings.embedder:
            raise BundleError(
                f"the index holds vectors of {index.settings.embedder!r}, "
                f"questions would be embedded by {embedder.name!r}.",
                "Name that embedder (embedding.model), or run the pipeline again.",
            )
        self.index = index
        self.embedder = embedder
        self.config = config
        self._last = threading.local()

    def search(self, question: str, k: int | None = None, mode: Mode = "hybrid") -> list[Passage]:
        """The ``k`` best passages (by default as configured), best first.

        ``lexical`` finds only chunks that share a term with the question and leaves
        ``similarity`` NaN, as nothing is embedded. Of a long question the embedder reads what
        fits it. Raises InputError for an empty question and UsageError for another mode or k.
        """
        _check(mode, k)
        question = _clean(question)
        timings = Timings()
        ranking = self._rank(question, mode, k or self.config.k, timings)
        with timings.measure("fetch"):
            chunks = self.index.take(ranking.positions)
            passages = [
                Passage(chunk, float(score), float(similarity), rank)
                for rank, (chunk, score, similarity) in enumerate(
                    zip(chunks, ranking.scores, ranking.similarity, strict=True), 1
                )
            ]
        self._last.timings = timings.stages
        return passages

    @property
    def timings(self) -> dict[str, float]:
        """Milliseconds a stage of this thread's last search: {"embed_ms": …, "lexical_ms": …}."""
        return dict(getattr(self._last, "timings", {}))

    def warm_up(self) -> None:
        """Load and compile what would make the first question slow."""
        self.index.lexical.warm_up()
        self.search("warm up")

    def _rank(self, question: str, mode: Mode, k: int, timings: Timings) -> Ranking:
        if mode == "lexical":
            scores = self._lexical(question, timings)
            found = top(scores, k, _POSITIVE)
            return Ranking(
                found, scores[found], np.full(len(found), NO_SIMILARITY, dtype=np.float32)
            )
        if mode == "dense":
            vector = self._embed(question, timings)
            with timings.measure("dense"):
                found, scores = self.index.dense.search(vector, k)
            return Ranking(found, scores, scores)
        if len(self.index) > SCORED_WHOLLY:
            # Words are looked up while the question is embedded: neither waits for the other.
            words = self._pool.submit(self._lexical, question, timings)
            vector = self._embed(question, timings)
            lexical = words.result()
        else:
            lexical, vector = self._lexical(question, timings), self._embed(question, timings)
        return self._hybrid(lexical, vector, k, timings)

    def _hybrid(self, lexical: Scores, vector: Vectors, k: int, timings: Timings) -> Ranking:
        with timings.measure("dense"):
            candidates = self._candidates(lexical, vector, max(k, self.config.candidates))
            similarity = self.index.dense.scores(vector, candidates)
        with timings.measure("fuse"):
            words = lexical if candidates is None else lexical[candidates]
            of_dense = Spread(*self.index.moments.of_scores(vector))
            fused = self._fuse(words, similarity, spread(lexical), of_dense)
            found = top(fused, k)
        positions = found if candidates is None else candidates[found]
        return Ranking(positions, fused[found], similarity[found])

    def _candidates(self, lexical: Scores, vector: Vectors, depth: int) -> Positions | None:
        """The chunks to score by both, rising; None means all."""
        if len(self.index) <= SCORED_WHOLLY:
            return None
        by_words = top(lexical, depth, _POSITIVE)
        by_meaning, _ = self.index.dense.search(vector, depth)
        candidates: Positions = np.union1d(by_words, by_meaning)
        return candidates

    def _lexical(self, question: str, timings: Timings) -> Scores:
        with timings.measure("lexical"):
            return self.index.lexical.scores(question)

    def _embed(self, question: str, timings: Timings) -> Vectors:
        with timings.measure("embed"):
            vector: Vectors = self.embedder.encode_queries([question])[0]
            return vector

    def _fuse(self, lexical: Scores, dense: Scores, of_lexical: Spread, of_dense: Spread) -> Scores:
        weight = self.config.lexical_weight
        if self.config.fusion == "rrf":
            return rrf(lexical, dense, weight, self.config.candidates)
        return zscore(lexical, dense, weight, of_lexical, of_dense)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(thread_name_prefix="words")


def top(scores: Scores, k: int, least: float = -np.inf) -> Positions:
    """Positions of the ``k`` highest scores of at least ``least``, best first; of equal ones the
    earlier first."""
    found = np.flatnonzero(scores >= max(_bound(scores, k), least))
    if k < len(found):
        of_found = scores[found]
        found = found[of_found >= np.partition(of_found, -k)[-k]]
    return best(found, scores[found], k)[0]


def _bound(scores: Scores, k: int) -> float:
    """A score that at least ``k`` reach, quick to find: the k-th highest maximum of a block."""
    blocks = len(scores) // _BLOCK
    if blocks <= k:
        return -np.inf
    maxima = scores[: blocks * _BLOCK].reshape(blocks, _BLOCK).max(axis=1)
    return float(np.partition(maxima, -k)[-k])


def _check(mode: str, k: int | None) -> None:
    if mode not in get_args(Mode):
        raise UsageError(
            f"there is no retrieval mode {mode!r}.", did_you_mean(mode, get_args(Mode))
        )
    if k is not None and k < 1:
        raise UsageError(f"k must be at least 1, not {k}.")


def _clean(question: str) -> str:
    """Trimmed, and free of half characters that a terminal may hand over (lone surrogates)."""
    cleaned = question.encode("utf-8", errors="replace").decode().strip()
    if not cleaned:
        raise InputError("the question is empty.", 'Ask something: run.py ask "How do I …?"')
    return cleaned
