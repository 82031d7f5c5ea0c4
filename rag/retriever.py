"""From a question to ranked passages: BM25 and vectors, fused over their full lists of scores."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import BundleError, InputError, UsageError, did_you_mean
from lifecycle.tracing import span
from rag.config import RetrievalConfig
from rag.embedder import Embedder
from rag.fusion import rrf, zscore
from rag.index import RagIndex
from rag.types import Passage

Mode = Literal["hybrid", "lexical", "dense"]
Scores = NDArray[np.float32]
NO_SIMILARITY = float("nan")


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
        scores, similarity = self._score(question, mode, timings)
        with timings.measure("fetch"):
            found = top(scores, k or self.config.k)
            if mode == "lexical":
                found = found[scores[found] > 0]
            chunks = self.index.take(found)
            passages = [
                Passage(chunk, float(scores[at]), float(similarity[at]), rank)
                for rank, (at, chunk) in enumerate(zip(found, chunks, strict=True), 1)
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

    def _score(self, question: str, mode: Mode, timings: Timings) -> tuple[Scores, Scores]:
        """The scores to rank by and the cosines, of every chunk."""
        lexical = similarity = np.full(len(self.index), NO_SIMILARITY, dtype=np.float32)
        if mode != "dense":
            with timings.measure("lexical"):
                lexical = self.index.lexical.scores(question)
        if mode == "lexical":
            return lexical, similarity
        with timings.measure("embed"):
            vector = self.embedder.encode_queries([question])[0]
        with timings.measure("dense"):
            similarity = self.index.dense.scores(vector)
        if mode == "dense":
            return similarity, similarity
        with timings.measure("fuse"):
            return self._fuse(lexical, similarity), similarity

    def _fuse(self, lexical: Scores, dense: Scores) -> Scores:
        if self.config.fusion == "rrf":
            return rrf(lexical, dense, self.config.lexical_weight, self.config.candidates)
        return zscore(lexical, dense, self.config.lexical_weight)


def top(scores: Scores, k: int) -> NDArray[np.int64]:
    """Positions of the ``k`` highest scores, best first; of equal ones the earlier first."""
    if k < len(scores):
        least = np.partition(scores, -k)[-k]
        chosen = np.flatnonzero(scores >= least)
    else:
        chosen = np.arange(len(scores))
    best: NDArray[np.int64] = chosen[np.argsort(-scores[chosen], kind="stable")][:k]
    return best


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
