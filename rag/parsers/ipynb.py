"""Jupyter notebooks: Markdown and code cells in their order, without outputs.

Lines are those of the extracted text, a blank line between cells.
"""

import json

from lifecycle.errors import SourceError
from rag.parsers import markdown
from rag.parsers.base import Parsed, Stack, one_line
from rag.parsers.encoding import decode

MEDIA = "application/x-ipynb+json"
SUFFIXES = (".ipynb",)


def parse(data: bytes) -> Parsed:
    """Blocks: those of the Markdown in each cell; a code cell is one block of code."""
    stack = Stack()
    for kind, source in _cells(decode(data)):
        if not source.strip():
            continue
        if kind == "markdown":
            part = markdown.parse_text(source)
            stack.add(part.text, part.blocks)
        else:
            stack.add_block("code" if kind == "code" else "text", source)
    if not stack.blocks:
        raise SourceError("holds no text, only empty cells.")
    return stack.parsed()


def _cells(text: str) -> list[tuple[str, str]]:
    """Kind and source of each cell, in version 4 of the format and the ones before."""
    try:
        book = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"is no notebook ({one_line(str(error), 80)}).") from error
    sheets = [book, *_items(book, "worksheets")]
    cells = [cell for sheet in sheets for cell in _items(sheet, "cells")]
    if not cells:
        raise SourceError("is no notebook, or one without cells.")
    return [
        (str(cell.get("cell_type", "")), _source(cell.get("source", cell.get("input"))))
        for cell in cells
        if isinstance(cell, dict)
    ]


def _items(value: object, key: str) -> list[object]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _source(source: object) -> str:
    lines = source if isinstance(source, list) else [source]
    text = "".join(line for line in lines if isinstance(line, str))
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
