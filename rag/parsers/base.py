"""What every parser returns, and how marked lines become blocks.

A parser is a module with ``MEDIA``, ``SUFFIXES`` and ``parse(data: bytes) -> Parsed``; it knows
nothing of file names. A new format is one such module and one entry in ``rag.parsers.PARSERS``.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Literal, Protocol

from lifecycle.errors import SourceError
from rag.types import Block

Kind = Literal["heading", "text", "code"]


@dataclass(frozen=True)
class Parsed:
    """The text that offsets point into, and its blocks.

    Blocks are in order, do not overlap, and hold every character that is not white space.
    ``title`` is empty where the file names itself nowhere.
    """

    text: str
    blocks: tuple[Block, ...]
    title: str = ""


class NothingToReadError(SourceError):
    """The file is sound, but holds nothing for a reader: skipped, and not counted as damaged."""


class Parser(Protocol):
    """``parse`` raises SourceError, its problem being the reason alone, for unreadable bytes."""

    @property
    def MEDIA(self) -> str: ...

    @property
    def SUFFIXES(self) -> tuple[str, ...]: ...

    def parse(self, data: bytes) -> Parsed: ...


@dataclass(frozen=True)
class Mark:
    """Lines ``first`` up to but not including ``end`` (from 0) that are of one kind."""

    first: int
    end: int
    kind: Kind
    level: int = 0
    title: str = ""


def blocks_from_marks(lines: Sequence[str], marks: Iterable[Mark]) -> tuple[Block, ...]:
    """Blocks for the marked lines, and text blocks for what lies between them.

    ``lines`` are those of the text, without their newlines. A mark that begins inside the one
    before is cut off at the front; what is blank makes no block.
    """
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    return tuple(
        Block(
            mark.kind,
            starts[mark.first],
            starts[mark.end] - 1,
            mark.first + 1,
            mark.level,
            title=mark.title,
        )
        for mark in _without_gaps(marks, len(lines))
        if any(line.strip() for line in lines[mark.first : mark.end])
    )


def _without_gaps(marks: Iterable[Mark], total: int) -> Iterator[Mark]:
    done = 0
    for mark in sorted(marks, key=lambda mark: (mark.first, mark.end)):
        if mark.end <= done:
            continue
        if mark.first > done:
            yield Mark(done, mark.first, "text")
        yield Mark(max(mark.first, done), mark.end, mark.kind, mark.level, mark.title)
        done = mark.end
    if done < total:
        yield Mark(done, total, "text")


@dataclass
class Stack:
    """Text put together from parts, a blank line between them, with the parts' blocks moved.

    ``line`` of a part is where it starts in the file; without one, lines count in the text.
    """

    blocks: list[Block] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _length: int = 0
    _lines: int = 0

    def add(
        self, text: str, blocks: Iterable[Block], line: int | None = None, deeper: int = 0
    ) -> None:
        """Adds a part; levels of its blocks grow by ``deeper``."""
        first = self._lines if line is None else line - 1
        self.blocks += [
            replace(
                block,
                start=block.start + self._length,
                end=block.end + self._length,
                line=block.line + first,
                level=block.level + deeper if block.level else 0,
            )
            for block in blocks
        ]
        self._texts.append(text)
        self._length += len(text) + 2
        self._lines += text.count("\n") + 2

    def add_block(
        self, kind: Kind, text: str, line: int | None = None, level: int = 0, title: str = ""
    ) -> None:
        """Adds a part that is one block."""
        self.add(text, [Block(kind, 0, len(text), 1, level, title=title)], line)

    def parsed(self, title: str = "") -> Parsed:
        blocks = tuple(self.blocks)
        return Parsed("\n\n".join(self._texts), blocks, title or first_heading(blocks))


def first_heading(blocks: Iterable[Block]) -> str:
    return next((block.title for block in blocks if block.kind == "heading" and block.title), "")


def one_line(text: str, limit: int = 200) -> str:
    """``text`` with its white space folded, cut at ``limit`` characters: fit for a title."""
    folded = re.sub(r"\s+", " ", text[: 4 * limit]).strip()
    return folded if len(folded) <= limit else folded[: limit - 1].rstrip() + "…"
