"""What answers questions from a bundle."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lifecycle.bundle import Bundle, open_bundle
from lifecycle.resources import Resources, gpu_count
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
        return self.retriever.search(question, k or self.passages)

    def ask(self, question: str, k: int | None = None) -> Iterator[str | Answer]:
        """Pieces of text as they are generated, then the Answer."""
        return self.generator.stream(question, self.search(question, k))

    def answer(self, question: str, k: int | None = None) -> dict[str, Any]:
        """The answer to one question, ready for JSON."""
        passages = self.search(question, k)
        return as_json(question, generate(self.generator, question, passages))

    def predict(self, rows: list[Any]) -> list[dict[str, Any]]:
        """An answer for each question, in order."""
        return [self.answer(str(question)) for question in rows]


def load(path: Path, device: str = "") -> RagPredictor:
    """The predictor of the bundle at ``path``, its hashes checked. Raises BundleError."""
    return predictor_of(open_bundle(path), device)


def predictor_of(bundle: Bundle, device: str = "") -> RagPredictor:
    """The predictor of an opened bundle; without a ``device``, on a GPU where there is one and the
    bundle was not made to do without."""
    device = device or _device(bundle)
    settings = bundle.manifest.settings
    retrieval = RetrievalConfig.model_validate(settings["retrieval"])
    generation = GenerationConfig.model_validate(settings["generation"])
    embedding = EmbeddingConfig.model_validate(settings["embedding"])
    embedder = from_bundle(bundle.path, embedding, device)
    retriever = Retriever(RagIndex.load(bundle.path), embedder, retrieval)
    generator = load_generator(generation, embedder, device)
    return RagPredictor(bundle, retriever, generator, retrieval.k)


def _device(bundle: Bundle) -> str:
    wanted = Resources.model_validate(bundle.manifest.resources)
    return "cuda" if wanted.gpus != 0 and gpu_count() else "cpu"


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
