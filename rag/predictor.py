"""What answers questions from a bundle."""

from collections.abc import Generator as Stream
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lifecycle.bundle import Bundle, open_bundle
from lifecycle.resources import Resources, gpu_count
from lifecycle.tracing import annotate, annotate_text, span, spanned
from rag.config import EmbeddingConfig, GenerationConfig, RetrievalConfig
from rag.engines import from_bundle
from rag.filters import Wanted
from rag.generators import Generator, generate, load_generator
from rag.index import RagIndex
from rag.neighbours import merged
from rag.remembered import RememberingEmbedder
from rag.rerank import load_reranker
from rag.retriever import Retriever
from rag.types import Answer, Passage


class RagPredictor:
    """Answers from one bundle. Safe to use from several threads."""

    def __init__(
        self, bundle: Bundle, retriever: Retriever, generator: Generator, merge_tokens: int
    ) -> None:
        self.bundle = bundle
        self.retriever = retriever
        self.generator = generator
        self.merge_tokens = merge_tokens

    def search(
        self, question: str, k: int | None = None, filters: Wanted | None = None
    ) -> list[Passage]:
        """The ``k`` best passages (by default as configured), best first, as the index has them.

        ``filters``: see ``rag.filters``. InputError for an empty question.
        """
        with span("retrieve"):
            passages = self.retriever.search(question, k, filters=filters)
            annotate(passages=len(passages))
        return passages

    def context(self, passages: Sequence[Passage]) -> list[Passage]:
        """What the generator reads of ``passages``: neighbouring ones as one, as configured."""
        index = self.retriever.index
        return merged(passages, lambda doc_id: index.document(doc_id).text, self.merge_tokens)

    def ask(
        self, question: str, k: int | None = None, filters: Wanted | None = None
    ) -> Iterator[str | Answer]:
        """Pieces of text as they are generated, then the Answer."""
        return spanned("ask", lambda: self._events(question, k, filters))

    def answer(
        self, question: str, k: int | None = None, filters: Wanted | None = None
    ) -> dict[str, Any]:
        """The answer to one question, ready for JSON."""
        with span("ask"):
            annotate_text(question=question)
            passages = self.context(self.search(question, k, filters))
            with span("generate", generator=self.generator.name):
                answer = generate(self.generator, question, passages)
            _note(answer)
        return as_json(question, answer)

    def _events(
        self, question: str, k: int | None, filters: Wanted | None
    ) -> Iterator[str | Answer]:
        annotate_text(question=question)
        passages = self.context(self.search(question, k, filters))
        return _noted(
            spanned(
                "generate",
                lambda: self.generator.stream(question, passages),
                generator=self.generator.name,
            )
        )

    def predict(self, rows: list[Any]) -> list[dict[str, Any]]:
        """An answer for each question, in order."""
        return [self.answer(str(question)) for question in rows]


def load(path: Path, device: str = "", receipts: Path | None = None) -> RagPredictor:
    """The predictor of the bundle at ``path``, checked as ``open_bundle`` does. BundleError."""
    return predictor_of(open_bundle(path, receipts), device)


def predictor_of(bundle: Bundle, device: str = "") -> RagPredictor:
    """The predictor of an opened bundle; without a ``device``, on a GPU where there is one and the
    bundle was not made to do without."""
    device = device or _device(bundle)
    settings = bundle.manifest.settings
    retrieval = RetrievalConfig.model_validate(settings["retrieval"])
    generation = GenerationConfig.model_validate(settings["generation"])
    embedding = EmbeddingConfig.model_validate(settings["embedding"])
    embedder = RememberingEmbedder(from_bundle(bundle.path, embedding, device))
    rerank = retrieval.rerank.model
    reranker = load_reranker(rerank, device) if rerank else None
    retriever = Retriever(RagIndex.load(bundle.path), embedder, retrieval, reranker)
    generator = load_generator(generation, embedder, device)
    return RagPredictor(bundle, retriever, generator, generation.merge_limit)


def _device(bundle: Bundle) -> str:
    wanted = Resources.model_validate(bundle.manifest.resources)
    return "cuda" if wanted.gpus != 0 and gpu_count() else "cpu"


def _noted(events: Stream[str | Answer, None, None]) -> Iterator[str | Answer]:
    with closing(events):
        for event in events:
            if isinstance(event, Answer):
                _note(event)
            yield event


def _note(answer: Answer) -> None:
    """What the open span says of the answer."""
    annotate(
        confidence=answer.confidence,
        abstained=answer.abstained,
        citations=len(answer.citations),
    )
    annotate_text(answer=answer.text)


def as_json(question: str, answer: Answer) -> dict[str, Any]:
    """An answer as JSON knows it: citations with source, lines and passage."""
    return {
        "question": question,
        "answer": answer.text,
        "confidence": answer.confidence,
        "abstained": answer.abstained,
        "citations": [
            {
                "number": citation.number,
                "source": citation.chunk.uri,
                "line_start": citation.chunk.line_start,
                "line_end": citation.chunk.line_end,
                "page": citation.chunk.page,
                "heading": citation.chunk.heading,
                "passage": citation.chunk.text,
            }
            for citation in answer.citations
        ],
    }
