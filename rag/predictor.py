"""What answers questions from a bundle."""

from collections.abc import Generator as Stream
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from lifecycle.bundle import Bundle, open_bundle
from lifecycle.tracing import annotate, annotate_text, span, spanned
from rag.config import EmbeddingConfig, GenerationConfig, RetrievalConfig
from rag.engines import from_bundle
from rag.generators import Generator, generate, load_generator
from rag.index import RagIndex
from rag.retriever import Retriever
from rag.types import Answer, Passage


class RagPredictor:
    """Answers from one bundle. Safe to use from several threads."""

    def __init__(
        self, bundle: Bundle, retriever: Retriever, generator: Generator, passages: int
    ) -> None:
        self.bundle = bundle
        self.retriever = retriever
        self.generator = generator
        self.passages = passages

    def search(self, question: str, k: int | None = None) -> list[Passage]:
        """The ``k`` best passages (by default as configured), best first. InputError if empty."""
        with span("retrieve"):
            passages = self.retriever.search(question, k or self.passages)
            annotate(passages=len(passages))
        return passages

    def ask(self, question: str, k: int | None = None) -> Iterator[str | Answer]:
        """Pieces of text as they are generated, then the Answer."""
        return spanned("ask", lambda: self._events(question, k))

    def answer(self, question: str, k: int | None = None) -> dict[str, Any]:
        """The answer to one question, ready for JSON."""
        with span("ask"):
            annotate_text(question=question)
            passages = self.search(question, k)
            with span("generate", generator=self.generator.name):
                answer = generate(self.generator, question, passages)
            _note(answer)
        return as_json(question, answer)

    def _events(self, question: str, k: int | None) -> Iterator[str | Answer]:
        annotate_text(question=question)
        passages = self.search(question, k)
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


def load(path: Path, device: str = "cpu") -> RagPredictor:
    """The predictor of the bundle at ``path``, its hashes checked. Raises BundleError."""
    return predictor_of(open_bundle(path), device)


def predictor_of(bundle: Bundle, device: str = "cpu") -> RagPredictor:
    """The predictor of an opened bundle."""
    settings = bundle.manifest.settings
    retrieval = RetrievalConfig.model_validate(settings["retrieval"])
    generation = GenerationConfig.model_validate(settings["generation"])
    embedding = EmbeddingConfig.model_validate(settings["embedding"])
    embedder = from_bundle(bundle.path, embedding, device)
    retriever = Retriever(RagIndex.load(bundle.path), embedder, retrieval)
    return RagPredictor(bundle, retriever, load_generator(generation, embedder), retrieval.k)


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
