"""Answers, citations in text and the sentence of abstention, shared by all generators.

A citation is a passage's number in square brackets, ``[2]``; numbers count the passages given to
the generator from 1. Brackets inside code are no citations.
"""

import re
from collections.abc import Iterable, Sequence

from rag.types import Answer, Citation, Passage

ABSTENTION = "The documents do not answer this question."
# What could still become a citation when more text arrives.
_UNFINISHED = re.compile(r"[ \t]*\[[\d,; ]{0,80}$|[ \t]+$|`+$")
_MARKER = re.compile(r"([ \t]*)\[ ?(\d{1,4}(?: ?[,;] ?\d{1,4}){0,9}) ?\]")
_ANY = 10_000  # more than a citation's digits can say
_TURNS = re.compile(r"(`+|\n)")  # where code may begin or end


def abstention(confidence: float) -> Answer:
    """The answer that says there is none."""
    return Answer(text=ABSTENTION, citations=(), confidence=confidence, abstained=True)


def is_abstention(text: str) -> bool:
    """Whether ``text`` opens with the sentence of abstention, whatever its case and quotes."""
    said = text.strip().strip("\"'*`“”").casefold()
    return said.startswith(ABSTENTION.rstrip(".").casefold())


def marker(number: int) -> str:
    """How an answer refers to a passage: ``[2]``."""
    return f"[{number}]"


def without_citations(text: str, instead: str = "") -> str:
    """``text`` without the numbers in brackets, or with ``instead`` in their place."""
    return _MARKER.sub(instead, text)


def citations(numbers: Iterable[int], passages: Sequence[Passage]) -> tuple[Citation, ...]:
    """Citations of the passages with these numbers, each once, in order of first mention."""
    unique = dict.fromkeys(numbers)
    return tuple(Citation(number, passages[number - 1].chunk) for number in unique)


def quoted(text: str) -> str:
    """A document's ``text`` as an answer quotes it: numbers in brackets, which would read as
    citations of the answer, stand in parentheses. Code in backticks is left as it is."""
    reader = _QuoteReader(_ANY)
    return reader.feed(text) + reader.flush()


class CitationReader:
    """Reads citations out of streamed text and drops those to passages that were not given.

    ``feed`` and ``flush`` return text that is ready to be shown: what may still turn out to be a
    citation is held back. ``[1, 7]`` with five passages becomes ``[1]``. ``numbers`` collects what
    was cited. Code in backticks passes untouched, and so does a bracket with an unknown number
    that touches a word: ``rows[0]`` is no citation.
    """

    def __init__(self, given: int) -> None:
        self.given = given
        self.numbers: list[int] = []
        self._held = ""
        self._fence = ""  # the backticks that opened the code that the text is in
        self._last = ""  # character read

    def feed(self, piece: str) -> str:
        text = self._held + piece
        unfinished = _UNFINISHED.search(text)
        end = unfinished.start() if unfinished else len(text)
        self._held = text[end:]
        return self._read(text[:end])

    def flush(self) -> str:
        rest, self._held = self._held, ""
        return self._read(rest)

    def _read(self, text: str) -> str:
        return "".join(map(self._part, filter(None, _TURNS.split(text))))

    def _part(self, part: str) -> str:
        if part[0] == "`":
            self._turn(part)
        elif part == "\n" and len(self._fence) < 3:
            self._fence = ""
        shown = part if self._fence else _MARKER.sub(self._replace, part)
        self._last = part[-1]
        return shown

    def _turn(self, backticks: str) -> None:
        if not self._fence:
            self._fence = backticks
        elif self._fence == backticks:
            self._fence = ""

    def _replace(self, match: re.Match[str]) -> str:
        valid = self._valid(match)
        if not valid and self._touches_word(match):
            return match[0]
        self.numbers += valid
        return match[1] + "".join(map(marker, valid)) if valid else ""

    def _valid(self, match: re.Match[str]) -> list[int]:
        said = [int(number) for number in re.findall(r"\d+", match[2])]
        return [number for number in said if 1 <= number <= self.given]

    def _touches_word(self, match: re.Match[str]) -> bool:
        before = match.string[match.start() - 1] if match.start() else self._last
        return not match[1] and bool(re.match(r"[\w)]", before))


class _QuoteReader(CitationReader):
    def _replace(self, match: re.Match[str]) -> str:
        return f"{match[1]}({match[2]})" if self._valid(match) else match[0]
