"""What writes an answer from passages: one module each behind one interface.

A new generator is one module here, one entry in ``load_generator`` and one subclass of the
contract test in ``tests/test_generators.py``; one that asks a language model builds on ``chat``.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from rag.types import Answer, Passage

if TYPE_CHECKING:
    from rag.config import GenerationConfig
    from rag.embedder import Embedder


class Generator(Protocol):
    """Answers a question from passages, or abstains.

    ``stream`` yields pieces of text as they are ready, then the ``Answer`` as its last item; the
    pieces joined are the answer's text. Citations refer to ``passages`` by position from 1. Without
    passages it abstains. Raises GenerationError where a language model does not answer.
    """

    @property
    def name(self) -> str: ...

    def stream(self, question: str, passages: Sequence[Passage]) -> Iterator[str | Answer]: ...


def generate(generator: Generator, question: str, passages: Sequence[Passage]) -> Answer:
    """The whole answer at once."""
    *_, answer = generator.stream(question, passages)
    if not isinstance(answer, Answer):
        raise TypeError(f"generator {generator.name!r} ended its stream without an Answer")
    return answer


def load_generator(
    config: "GenerationConfig", embedder: "Embedder", device: str = "cpu"
) -> Generator:
    """The generator that ``config.provider`` names; ``embedder`` weighs the evidence.

    ``device``: where a local language model runs. Raises ConfigError where the provider needs a
    setting that is missing.
    """
    if config.provider == "huggingface":
        from rag.generators.huggingface import HuggingFaceGenerator

        return HuggingFaceGenerator(config, embedder, device)
    if config.provider == "openai":
        from rag.generators.openai import OpenAIGenerator

        return OpenAIGenerator(config, embedder)
    from rag.generators.extractive import ExtractiveGenerator

    return ExtractiveGenerator(embedder, config.max_sentences, config.min_confidence)
