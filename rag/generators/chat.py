"""What all generators do whose answers a language model writes."""

import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from lifecycle.errors import GenerationError
from rag import prompt
from rag.answers import CitationReader, abstention, citations, is_abstention
from rag.evidence import weigh
from rag.types import Answer, Passage

if TYPE_CHECKING:
    from rag.config import GenerationConfig
    from rag.embedder import Embedder


class ChatGenerator(ABC):
    """Streams an answer from a language model; see ``rag.generators.Generator``.

    On weak evidence it abstains without calling the model. ``confidence`` is that of the evidence,
    and 0 where the model cited none of it. A caller that stops reading stops the model.
    """

    def __init__(self, config: "GenerationConfig", embedder: "Embedder") -> None:
        self.config = config
        self.embedder = embedder

    @property
    @abstractmethod
    def name(self) -> str: ...

    @abstractmethod
    def error(self, problem: str, remedy: str) -> GenerationError:
        """The error that says of this language model that it ``problem``."""

    @abstractmethod
    def pieces(self, messages: Sequence[prompt.Message]) -> Generator[str, None, None]:
        """The model's reply as it is written. Raises GenerationError."""

    def fitting(self, question: str, passages: Sequence[Passage]) -> Sequence[Passage]:
        """The first of ``passages`` that the model can read, the last one perhaps shortened."""
        return passages

    def stream(self, question: str, passages: Sequence[Passage]) -> Iterator[str | Answer]:
        confidence = weigh(question, passages, self.embedder).confidence
        if not passages or confidence < self.config.min_confidence:
            declined = abstention(confidence)
            yield declined.text
            yield declined
            return
        yield from self._ask(question, passages, confidence)

    def _ask(
        self, question: str, passages: Sequence[Passage], confidence: float
    ) -> Iterator[str | Answer]:
        shown = self.fitting(question, passages)
        reader, said = CitationReader(len(shown)), []
        with closing(self.pieces(prompt.messages(question, shown))) as pieces:
            for piece in before_stop(pieces, self.config.stop):
                ready = reader.feed(piece)
                if ready:
                    said.append(ready)
                    yield ready
        if rest := reader.flush():
            said.append(rest)
            yield rest
        yield self._finished("".join(said), reader.numbers, passages, confidence)

    def _finished(
        self, text: str, numbers: Sequence[int], passages: Sequence[Passage], confidence: float
    ) -> Answer:
        if not text.strip():
            remedy = "Raise generation.max_tokens, or check generation.stop."
            raise self.error("sent an empty answer", remedy)
        if is_abstention(text):
            return Answer(text, (), confidence, abstained=True)
        cited = citations(numbers, passages)
        return Answer(text, cited, confidence if cited else 0.0, abstained=False)


def before_stop(pieces: Iterable[str], stops: Sequence[str]) -> Iterator[str]:
    """``pieces`` up to the first of ``stops``, wherever it is cut; then no more is read of them.

    What may be the beginning of one is held back until more arrives.
    """
    found = re.compile("|".join(map(re.escape, stops)) or r"(?!)")
    held = ""
    for piece in pieces:
        held += piece
        if match := found.search(held):
            yield held[: match.start()]
            return
        ready = len(held) - max((_begun(held, stop) for stop in stops), default=0)
        yield held[:ready]
        held = held[ready:]
    yield held


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of ``text`` are the beginning of ``stop``."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)


def one_line(text: str, limit: int = 200) -> str:
    """``text`` for an error's message."""
    folded = " ".join(text.split())
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"
