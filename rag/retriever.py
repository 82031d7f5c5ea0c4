"""From a question to passages: ranked, filtered, reranked."""

import threading
from typing import Literal, get_args

from lifecycle.errors import BundleError, InputError, UsageError, did_you_mean
from rag.config import RetrievalConfig
from rag.embedder import Embedder
from rag.filters import Mask, Wanted
from rag.index import RagIndex
from rag.ranking import Ranker, Ranking, Timings
from rag.rerank import Reranker, rerank
from rag.types import Passage

Mode = Literal["hybrid", "lexical", "dense"]


class Retriever:
    """Searches one index. Safe to use from several threads.

    Raises BundleError where ``embedder`` is not the one that made the index's vectors.
    """

    def __init__(
        self,
        index: RagIndex,
        embedder: Embedder,
        config: RetrievalConfig,
        reranker: Reranker | None = None,
    ) -> None:
        if embedder.name != index.settings.embedder:
            raise BundleError(
                f"the index holds vectors of {index.settings.embedder!r}, "
                f"questions would be embedded by {embedder.name!r}.",
                "Name that embedder (embedding.model), or run the pipeline again.",
            )
        self.index = index
        self.embedder = embedder
        self.config = config
        self.reranker = reranker
        ranker = Ranker(index, embedder, config)
        self._rankings = {
            "hybrid": ranker.by_both,
            "lexical": ranker.by_words,
            "dense": ranker.by_meaning,
        }
        self._last = threading.local()

    def search(
        self,
        question: str,
        k: int | None = None,
        mode: Mode = "hybrid",
        filters: Wanted | None = None,
    ) -> list[Passage]:
        """The ``k`` best passages (by default as configured), best first.

        ``filters`` (see ``rag.filters``) leaves chunks out of the ranking; the others score as
        they do without it, but for ``rrf``, which counts ranks among those left. A reranker orders
        hybrid searches only.

        ``lexical`` finds only chunks that share a term with the question and leaves
        ``similarity`` NaN, as nothing is embedded. Of a long question the embedder reads what
        fits it. Raises InputError for an empty question and UsageError for another mode or k.
        """
        _check(mode, k)
        question = _clean(question)
        k = k or self.config.k
        timings = Timings()
        allowed = self._allowed(filters, timings) if filters else None
        reranker = self.reranker if mode == "hybrid" else None
        depth = max(k, self.config.rerank.depth) if reranker else k
        ranking = self._rankings[mode](question, depth, allowed, timings)
        passages = self._passages(ranking, timings)
        if reranker:
            with timings.measure("rerank"):
                passages = rerank(question, passages, reranker, self.config.rerank)[:k]
        self._last.timings = timings.stages
        return passages

    @property
    def timings(self) -> dict[str, float]:
        """Milliseconds a stage of this thread's last search: {"embed_ms": …, "lexical_ms": …}."""
        return dict(getattr(self._last, "timings", {}))

    def warm_up(self) -> None:
        """Load and compile what would make the first question slow."""
        self.index.lexical.warm_up()
        self.index.dense.warm_up()
        self.search("warm up")

    def _allowed(self, filters: Wanted, timings: Timings) -> Mask:
        with timings.measure("filter"):
            return self.index.filters.mask(filters)

    def _passages(self, ranking: Ranking, timings: Timings) -> list[Passage]:
        with timings.measure("fetch"):
            chunks = self.index.take(ranking.positions)
            return [
                Passage(chunk, float(score), float(similarity), rank)
                for rank, (chunk, score, similarity) in enumerate(
                    zip(chunks, ranking.scores, ranking.similarity, strict=True), 1
                )
            ]


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
