"""Markdown by markdown-it's block grammar, which keeps line numbers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from rag.parsers.base import Mark, Parsed, blocks_from_marks, first_heading, one_line
from rag.parsers.encoding import decode

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MEDIA = "text/markdown"
SUFFIXES = (".md", ".markdown", ".mdown", ".mkd")

_WHOLE = frozenset({"fence", "code_block", "table_open"})
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HTML_HEADING = re.compile(r"<h([1-6])\b[^>]*>(.*?)</h\1>", re.S | re.I)
_TITLE_KEY = re.compile(r"title\s*[:=]\s*(.+?)\s*$", re.I)
_SEGMENT = 1_000_000  # characters parsed at a time; the grammar's tokens take 20 times as much,
_LINE = 20  # and each line some more


def parse(data: bytes) -> Parsed:
    """Blocks: headings, fenced and indented code, tables (as code: cut between rows only), text.

    Front matter's ``title`` is a heading of level 1 where the document has no other of that level.
    """
    return parse_text(decode(data))


def parse_text(text: str) -> Parsed:
    lines = text.split("\n")
    matter = _front_matter_end(lines)
    marks = [mark for first, end in _segments(lines, matter) for mark in _marks(lines, first, end)]
    title = _front_title(lines[:matter])
    if title and not any(mark.level == 1 for mark in marks):
        marks.insert(0, Mark(0, matter, "heading", 1, title))
    elif matter:
        marks.insert(0, Mark(0, matter, "text"))
    blocks = blocks_from_marks(lines, marks)
    return Parsed(text, blocks, title or first_heading(blocks))


def _front_matter_end(lines: Sequence[str]) -> int:
    """Lines that YAML (``---``) or TOML (``+++``) front matter takes; 0 where there is none."""
    fence = lines[0].rstrip()
    if fence not in ("---", "+++"):
        return 0
    closing = (fence, "...") if fence == "---" else (fence,)
    for number, line in enumerate(lines[1:200], start=1):
        if line.rstrip() in closing:
            return number + 1
        if not line.strip() and number == 1:
            break  # a rule, not front matter
    return 0


def _front_title(lines: Sequence[str]) -> str:
    found = (_TITLE_KEY.match(line) for line in lines)
    return next((one_line(match[1].strip("\"'")) for match in found if match), "")


def _segments(lines: Sequence[str], first: int) -> Iterator[tuple[int, int]]:
    """Runs of lines that parse on their own, so that memory does not grow with the file.

    A file of usual size is one run. A large one is cut before a heading that follows a blank
    line outside of fenced code, or at any such blank line where headings are too far apart.
    """
    start, size, fence = first, 0, ""
    for number in range(first, len(lines)):
        line = lines[number]
        blank_before = number > start and not lines[number - 1].strip()
        enough = size > _SEGMENT and (line.startswith("#") or size > 2 * _SEGMENT)
        if enough and blank_before and not fence:
            yield start, number
            start, size = number, 0
        size += len(line) + _LINE
        fence = _open_fence(line, fence)
    yield start, len(lines)


def _open_fence(line: str, fence: str) -> str:
    """The fence that is open after ``line``, where ``fence`` was before; empty for none."""
    match = _FENCE.match(line)
    if not match:
        return fence
    if not fence:
        return match[1]
    closes = match[1].startswith(fence) and not line[match.end() :].strip()
    return "" if closes else fence


def _marks(lines: Sequence[str], first: int, end: int) -> Iterator[Mark]:
    tokens = _block_grammar().parse("\n".join(lines[first:end]))
    for token, following in pairwise([*tokens, None]):
        if token and token.map and (mark := _mark(token, following)):
            yield replace(mark, first=first + mark.first, end=first + mark.end)


def _mark(token: "Token", following: "Token | None") -> Mark | None:
    first, end = token.map or (0, 0)
    if token.type in _WHOLE:
        return Mark(first, end, "code")
    if token.level > 0:
        return None  # a heading inside a list or a quotation opens no section
    if token.type == "heading_open" and following:
        return Mark(first, end, "heading", int(token.tag[1]), _plain(following.content))
    if token.type == "html_block" and (match := _HTML_HEADING.search(token.content)):
        title = one_line(re.sub(r"<[^>]*>", "", match[2]))
        return Mark(first, end, "heading", int(match[1]), title) if title else None
    return None


def _plain(content: str) -> str:
    """A heading's words without their markup and without a ``{#anchor}``."""
    children = _inline_grammar().parseInline(content)[0].children or []
    words = "".join(
        " " if child.type.endswith("break") else child.content
        for child in children
        if child.type != "html_inline"
    )
    return one_line(re.sub(r"\s*\{#[\w:.-]+\}\s*$", "", words)) or one_line(content)


@cache
def _block_grammar() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").disable("inline")


@cache
def _inline_grammar() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark")
