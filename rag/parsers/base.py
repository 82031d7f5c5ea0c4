"""What every parser returns, and how marked lines become blocks.

A parser is a module with ``MEDIA``, ``SUFFIXES`` and ``parse(data: bytes) -> Parsed``; it knows
nothing of file names. A new format is one such module and one entry in ``rag.parsers.PARSERS``.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Protocol

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


def first_heading(blocks: Iterable[Block]) -> str:
    return next((block.title for block in blocks if block.kind == "heading" and block.title), "")


def one_line(text: str, limit: int = 200) -> str:
    """``text`` with its white space folded, cut at ``limit`` characters: fit for a title."""
    folded = re.sub(r"\s+", " ", text[: 4 * limit]).strip()
    return folded if len(folded) <= limit else folded[: limit - 1].rstrip() + "…"
