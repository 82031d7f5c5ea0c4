"""The sentences of a chunk in plain words: what an answer is made of.

Markup is resolved by the format that the chunk's source is in; text of other formats is quoted as
it stands, with its line breaks folded. Headings are left out, as the chunk's trail has them.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from lifecycle.errors import SourceError
from rag.parsers import markdown, rst
from rag.parsers.layout import is_code
from rag.sentences import Break, breaks
from rag.types import Chunk

MOST_CODE_LINES = 15
MOST_LIST_WORDS = 50

_BULLET = re.compile(r"\s*(?:[-*+•‣▪◦]|\(?(?:\d{1,3}|[a-zA-Z])[.)])\s+(?:\[[ xX]\]\s+)?")
# "A. Smith" may begin a paragraph.
_SURE_BULLET = re.compile(r"\s*(?:[-*+•‣▪◦]|\d{1,3}[.)]|\([a-zA-Z]\))\s+(?:\[[ xX]\]\s+)?")
# Says nothing by itself: "Note:", "[3]", "* * *".
_EMPTY = re.compile(r"[\w ]{1,20}[:：]|[\W\d]*")
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})")
_BORDER = re.compile(r"[\s|+:=-]+$")
_DIRECTIVE = re.compile(r"(?m)^[ \t]*\.\. (?:[\w:+.-]+::[ \t]*|_[^\n]*$)")
_CODE_SPAN = re.compile(r"(`+[^`]+`+)")
_BOTH = (
    (re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*"), r"\1"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]*?[^\s*])\*(?![\w*])"), r"\1"),
)
_MARKDOWN = (
    (re.compile(r"<!--.*?(?:-->|$)", re.S), ""),
    (re.compile(r"!?\[([^\]]*)\]\([^)\s]*(?:\s+\"[^\"]*\")?\)"), r"\1"),
    (re.compile(r"\[([^\]]+)\]\[[^\]]*\]"), r"\1"),
    (re.compile(r"<((?:https?|mailto):[^>\s]+)>"), r"\1"),
    (re.compile(r"</?(?:br|b|i|em|strong|p|div|span|a|img|su[bp]|kbd|details)\b[^>]*>"), ""),
    (re.compile(r"(?<!\w)__(?=\S)(.+?)(?<=\S)__(?!\w)"), r"\1"),
    (re.compile(r"(?<!\w)_(?=[^\s_])([^_\n]*?[^\s_])_(?!\w)"), r"\1"),
    (re.compile(r"(?m)^\s*>\s?"), ""),
    *_BOTH,
    (re.compile(r"\\([\\`*_{}\[\]()#+.!|>-])"), r"\1"),
)
_RST_SPANS = (
    (re.compile(r":(?:ref|doc|term|numref|any|abbr):`([^`<]+?)(?:\s*<[^`>]*>)?`"), r"\1"),
    (re.compile(r":[\w:+.-]+:`(?:([^`<]+?)\s*<[^`>]*>|!?~?([^`]*))`"), r"`\1\2`"),
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`__?"), r"\1"),
    (re.compile(r"``([^`]+)``"), r"`\1`"),
    (re.compile(r"`([^`]+)`__?(?!\w)"), r"\1"),
    (re.compile(r"\s?\[[#*\d]*\]_"), ""),
)


@dataclass(frozen=True)
class Unit:
    """A sentence, a list item, a table row, or code with the sentence that leads to it.

    ``text`` is what an answer shows; ``lead`` what stood before and says what it is about.
    """

    text: str
    lead: str = ""


@dataclass(frozen=True)
class _Piece:
    text: str
    opens: Break = Break.PARAGRAPH  # what begins with it
    code: bool = False


def units(chunk: Chunk) -> list[Unit]:
    """The units of ``chunk`` in the order of its text; its text as one where it has none."""
    suffix = PurePath(chunk.uri).suffix.lower()
    pieces = [piece for piece in _pieces(chunk.text, suffix) if piece.text]
    found = [unit for unit in _joined(pieces) if not _EMPTY.fullmatch(unit.text)]
    whole = " ".join(chunk.text.split())
    return found or ([Unit(whole)] if whole else [])


def _pieces(text: str, suffix: str) -> Iterator[_Piece]:
    for kind, body in _blocks(text, suffix):
        if kind == "text":
            yield from _sentences(body, suffix)
        elif kind == "code":
            yield from _code_or_rows(body, suffix)


def _blocks(text: str, suffix: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each block, by the grammar of the source's format where it has one."""
    parser = next((one for one in (markdown, rst) if suffix in one.SUFFIXES), None)
    try:
        parsed = parser.parse(text.encode()) if parser else None
    except SourceError:  # as a file of its own, this piece would be taken for no text
        parsed = None
    if parsed is None:
        return _paragraphs(text)
    return ((block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks)


def _paragraphs(text: str) -> Iterator[tuple[str, str]]:
    for paragraph in re.split(r"\n[^\S\n]*\n", text):
        lines = [line for line in paragraph.split("\n") if line.strip()]
        indented = bool(lines) and all(line.startswith(("  ", "\t")) for line in lines)
        yield ("code" if indented and is_code(lines, False) else "text"), paragraph


def _sentences(body: str, suffix: str) -> Iterator[_Piece]:
    if suffix in rst.SUFFIXES:
        body = _DIRECTIVE.sub("", body)
    start, opens = len(body) - len(body.lstrip()), Break.PARAGRAPH
    for stop, following, what in breaks(body, start, len(body.rstrip())):
        yield _sentence(body[start:stop], suffix, opens)
        start, opens = following, what
    yield _sentence(body[start:], suffix, opens)


def _sentence(text: str, suffix: str, opens: Break) -> _Piece:
    bullet = _BULLET.match(text) if opens is Break.ITEM else _SURE_BULLET.match(text)
    if bullet and opens is not Break.SENTENCE:
        text, opens = text[bullet.end() :], Break.ITEM
    return _Piece(_folded(_inline(text, suffix)), opens)


def _inline(text: str, suffix: str) -> str:
    if suffix in rst.SUFFIXES:
        for pattern, kept in _RST_SPANS:
            text = pattern.sub(kept, text)
        return _outside_code(text, _BOTH)
    return _outside_code(text, _MARKDOWN) if suffix in markdown.SUFFIXES else text


def _outside_code(text: str, rules: Sequence[tuple[re.Pattern[str], str]]) -> str:
    parts = _CODE_SPAN.split(text)
    for number in range(0, len(parts), 2):
        for pattern, kept in rules:
            parts[number] = pattern.sub(kept, parts[number])
    return "".join(parts)


def _folded(text: str) -> str:
    """Line breaks as blanks; blanks within a line stay as they are, so that quotes are exact."""
    return re.sub(r"[^\S\n]*\n\s*", " ", text).strip()


def _code_or_rows(body: str, suffix: str) -> Iterator[_Piece]:
    lines = [line for line in body.split("\n") if not _FENCE.match(line)]
    filled = [line.strip() for line in lines if line.strip()]
    if filled and all(line[0] in "|+" for line in filled):
        yield from (_Piece(row) for row in _rows(filled, suffix))
    elif filled:
        yield _Piece(_fenced(lines), code=True)


def _fenced(lines: Sequence[str]) -> str:
    code = textwrap.dedent("\n".join(lines)).strip("\n").split("\n")
    kept = [*code[:MOST_CODE_LINES], "…"] if len(code) > MOST_CODE_LINES else code
    return "\n".join(["```", *kept, "```"])


def _rows(lines: Sequence[str], suffix: str) -> Iterator[str]:
    """Rows of a Markdown or grid table as words: ``key – Meaning: …; Default: …``."""
    rows, header = _cells(lines), list[str]()
    if len(rows) > 1 and any(_BORDER.match(line) for line in lines[1:4]):
        header, rows = rows[0], rows[1:]
    for row in rows:
        first, *rest = (_inline(cell, suffix) for cell in row)
        named = [
            f"{name}: {cell}" if name else cell
            for name, cell in zip([*header[1:], *[""] * len(rest)], rest, strict=False)
            if cell
        ]
        yield " – ".join(part for part in (first, "; ".join(named)) if part)


def _cells(lines: Sequence[str]) -> list[list[str]]:
    """Cells by row. In a grid table, the lines between two borders are one row."""
    grid = any(line.startswith("+") for line in lines)
    rows: list[list[str]] = []
    fresh = True
    for line in lines:
        if _BORDER.match(line):
            fresh = True
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if grid and not fresh and len(rows[-1]) == len(cells):
            cells = [f"{a} {b}".strip() for a, b in zip(rows.pop(), cells, strict=True)]
        rows.append(cells)
        fresh = False
    return rows


def _joined(pieces: Sequence[_Piece]) -> Iterator[Unit]:
    """Sentences with what they introduce: code, or a list if it is short."""
    number = 0
    while number < len(pieces):
        piece, end = pieces[number], _list_end(pieces, number + 1)
        introduces = not piece.code and piece.text.endswith((":", "：", "::"))
        following = pieces[number + 1] if number + 1 < len(pieces) else None
        if introduces and following and following.code:
            yield Unit(f"{piece.text}\n{following.text}")
            number += 2
        elif introduces and end > number + 1:
            yield from _list(piece, pieces[number + 1 : end])
            number = end
        else:
            yield Unit(piece.text, pieces[number - 1].text if piece.code and number else "")
            number += 1


def _list_end(pieces: Sequence[_Piece], number: int) -> int:
    """Where the list items from ``number`` end, with the sentences that follow in them."""
    end = number
    while end < len(pieces) and not pieces[end].code:
        inside = end > number and pieces[end].opens is Break.SENTENCE
        if pieces[end].opens is not Break.ITEM and not inside:
            break
        end += 1
    return end


def _list(lead: _Piece, items: Sequence[_Piece]) -> Iterator[Unit]:
    if sum(len(item.text.split()) for item in items) > MOST_LIST_WORDS:
        yield from (Unit(item.text, lead.text) for item in items)
        return
    lines = [("- " if item.opens is Break.ITEM else "  ") + item.text for item in items]
    yield Unit("\n".join([lead.text, *lines]))
