"""Sections of a document (what stands under one heading, up to the next of any level); lines."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rag.types import Block, Document
from rag.units import Unit


class Trail(NamedTuple):
    """Headings from the outermost in, and the tokens that they take joined."""

    titles: tuple[str, ...]
    tokens: int


NO_TRAIL = Trail((), 0)


@dataclass
class Section:
    """``path``: the headings above, its own last; ``level``: that of its own, 0 before the first;
    ``blocks``: numbers of its blocks; ``units`` and ``trail`` are filled in once counted."""

    path: tuple[str, ...]
    level: int
    blocks: range
    units: list[Unit] = field(default_factory=list)
    trail: Trail = NO_TRAIL


def sections(blocks: Sequence[Block]) -> list[Section]:
    """The sections of a document with these blocks, in order, parents before their children."""
    return list(_sections(blocks))


def _sections(blocks: Sequence[Block]) -> Iterator[Section]:
    above: list[tuple[int, str]] = []
    first, level = 0, 0
    for number, block in enumerate(blocks):
        heading = block.kind == "heading"
        resumes = 0 < block.level < max((depth for depth, _ in above), default=0)
        if not heading and not resumes:
            continue
        if number > first:
            yield Section(_path(above), level, range(first, number))
        kept = block.level - heading  # a heading also closes those of its own level
        above = [(depth, title) for depth, title in above if depth <= kept]
        if heading:
            above.append((block.level, block.title))
        first, level = number, block.level
    yield Section(_path(above), level, range(first, len(blocks)))


def _path(headings: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(title for _, title in headings if title)


def groups(parts: Sequence[Section], tiny: float) -> Iterator[Sequence[Section]]:
    """Sections to pack together: each by itself, but one of less than ``tiny`` tokens with the
    subsections that follow, until they have as many. None reaches past the parent's end."""
    first = 0
    while first < len(parts):
        end = first + 1
        tokens = _tokens(parts[first])
        while end < len(parts) and tokens < tiny and parts[end].level > parts[first].level:
            tokens += _tokens(parts[end])
            end += 1
        yield parts[first:end]
        first = end


def _tokens(section: Section) -> int:
    return sum(unit.tokens for unit in section.units)


class Lines:
    """Line numbers of positions; quick where one lies near the one asked for before."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._block, self._position, self._line = -1, 0, 0

    def at(self, position: int, block: int) -> int:
        if block != self._block:
            found = self._document.blocks[block]
            self._block, self._position, self._line = block, found.start, found.line
        low, high = sorted((position, self._position))
        step = self._document.text.count("\n", low, high)
        self._line += step if position > self._position else -step
        self._position = position
        return self._line
