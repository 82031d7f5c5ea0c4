"""The pieces that chunks are packed from: sentences, whole code blocks, headings."""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from rag.sentences import Break, breaks
from rag.types import Block


class Unit(NamedTuple):
    """``text[start:end]`` of block number ``block``, which is not cut further.

    ``cost``: how bad it is to begin a chunk here, from 0 (a section's start) to about 1.
    ``prose``: may be repeated at the start of the next chunk. ``tokens``: set once counted.
    """

    start: int
    end: int
    block: int
    cost: float
    prose: bool
    tokens: int = 0


SECTION = 0.0
_COSTS = {Break.PARAGRAPH: 0.05, Break.ITEM: 0.1, Break.SENTENCE: 0.3}
_AFTER_HEADING = 2.0
_AFTER_INTRODUCTION = 0.6  # what a colon announces, and code behind any text
_CODE_PARAGRAPH = 0.35
_CODE_LINE = 0.6
_INSIDE_SENTENCE = 0.8

_LEAST = 40  # characters; shorter sentences are joined with what follows
_WIDEST_GAP = 400  # characters of white space inside a unit
_DEEPEST_INDENT = 200
_NOT_BLANK = re.compile(r"\S")
# Where to cut what is too long, best first: lines, clauses, words.
_CUTS = (re.compile(r"\n"), re.compile(r"[,;:)\]}>–—、，；：।]+\s*"), re.compile(r"\s+"))


def units_of(text: str, block: Block, number: int, before: Block | None) -> Iterator[Unit]:
    """The units of a block; ``before`` is the block above it in the same section."""
    start = _first_character(text, block.start, block.end)
    if start is None:
        return
    end = block.start + len(text[block.start : block.end].rstrip())
    cost = _first_cost(block, before)
    start = line_start(text, start, block.start)
    if block.kind == "text":
        yield from _sentences(text, start, end, number, cost)
    else:
        yield Unit(start, end, number, cost, prose=False)


def _first_cost(block: Block, before: Block | None) -> float:
    if before is None or block.kind == "heading" or block.level:
        return SECTION
    if before.kind == "heading":
        return _AFTER_HEADING
    return _AFTER_INTRODUCTION if block.kind == "code" else _COSTS[Break.PARAGRAPH]


def _first_character(text: str, start: int, end: int) -> int | None:
    match = _NOT_BLANK.search(text, start, end)
    return match.start() if match else None


def line_start(text: str, start: int, least: int) -> int:
    """``start`` moved left over its line's indentation, which readers of code need."""
    left = max(least, start - _DEEPEST_INDENT)
    edge = left + len(text[left:start].rstrip(" \t"))
    return edge if edge == least or text[edge - 1] == "\n" else start


def _sentences(text: str, start: int, end: int, number: int, cost: float) -> Iterator[Unit]:
    """Sentences and list items; short ones joined with what follows in the same block."""
    for stop, following, kind in breaks(text, start, end):
        if stop - start < _LEAST and following - stop < _WIDEST_GAP:
            continue
        yield Unit(start, stop, number, cost, prose=True)
        introduces = text[start:stop].rstrip().endswith((":", "："))
        start, cost = following, _AFTER_INTRODUCTION if introduces else _COSTS[kind]
        if kind is not Break.SENTENCE:
            start = line_start(text, start, stop)
    if start < end:
        yield Unit(start, end, number, cost, prose=True)


def smaller(text: str, unit: Unit, size: int) -> list[Unit]:
    """``unit`` in at least two pieces: code by its lines, other text into about ``size``
    characters, or halves where it is no longer than that. A single character stays whole."""
    if unit.end - unit.start < 2:
        return [unit]
    if not unit.prose and "\n" in text[unit.start : unit.end]:
        pieces = list(_code_lines(text, unit))
        if len(pieces) > 1:
            return pieces
    size = min(size, (unit.end - unit.start + 1) // 2)
    return list(_pieces(text, unit, size))


def _code_lines(text: str, unit: Unit) -> Iterator[Unit]:
    start, cost = unit.start, unit.cost
    for match in re.finditer(r"\n(?:[^\S\n]*\n)*", text[unit.start : unit.end]):
        stop, following = unit.start + match.start(), unit.start + match.end()
        if stop - start < _LEAST and match.end() - match.start() == 1:
            continue
        yield unit._replace(start=start, end=stop, cost=cost)
        start = following
        cost = _CODE_LINE if match.end() - match.start() == 1 else _CODE_PARAGRAPH
    if start < unit.end:
        yield unit._replace(start=start, end=unit.end, cost=cost)


def _pieces(text: str, unit: Unit, size: int) -> Iterator[Unit]:
    start, cost = unit.start, unit.cost
    while unit.end - start > size:
        stop = _cut(text, start + max(1, size // 2), start + size)
        yield unit._replace(start=start, end=stop, cost=cost)
        following = _first_character(text, stop, unit.end)
        if following is None:
            return
        start, cost = following, _INSIDE_SENTENCE
    yield unit._replace(start=start, end=unit.end, cost=cost)


def _cut(text: str, low: int, high: int) -> int:
    """The best place between ``low`` and ``high`` to cut a text that has no better one."""
    for pattern in _CUTS:
        ends = [match.end() for match in pattern.finditer(text, low, high)]
        if ends:
            return ends[-1]
    while high > low and _joins(text[high]):
        high -= 1
    return high


def _joins(character: str) -> bool:
    """Whether a character belongs to the one before it: accents, vowel signs, joiners."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf") or character == "\u200d"
