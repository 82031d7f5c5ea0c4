"""PDF to text by pypdf, page by page; entries of the outline become headings.

Lines are those of the extracted text, pages those of the file.
"""

import io
import logging
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lifecycle.errors import SourceError
from rag.parsers.base import Mark, Parsed, blocks_from_marks, first_heading, one_line
from rag.types import Block

if TYPE_CHECKING:
    from pypdf import PdfReader

MEDIA = "application/pdf"
SUFFIXES = (".pdf",)

_FILE_NAME = re.compile(r"\.\w{2,5}$|^untitled|^microsoft \w+ - |^\(.*\)$", re.I)
# Beside its own errors, pypdf lets these through for damaged files (seen by altering bytes).
_DAMAGE = (
    *(AssertionError, AttributeError, LookupError, OverflowError, RecursionError),
    *(NotImplementedError, TypeError, ValueError, struct.error, zlib.error),
)


def parse(data: bytes) -> Parsed:
    """Blocks: the text of each page, cut at the headings that the outline names on it."""
    pages, outline, title = _read(data)
    if not any(page.strip() for page in pages):
        raise SourceError("holds no text (scanned pages?).")
    blocks: list[Block] = []
    offset, line = 0, 0
    for number, page in enumerate(pages, start=1):
        lines = page.split("\n")
        for block in blocks_from_marks(lines, _headings(lines, outline.get(number, ()))):
            blocks.append(
                replace(
                    block,
                    start=block.start + offset,
                    end=block.end + offset,
                    line=block.line + line,
                    page=number,
                )
            )
        offset += len(page) + 2
        line += len(lines) + 1
    return Parsed("\n\n".join(pages), tuple(blocks), title or first_heading(blocks))


_Outline = dict[int, list[tuple[int, str]]]  # page, from 1, to (level, title) of its entries


def _read(data: bytes) -> tuple[list[str], _Outline, str]:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, DeprecationError, PyPdfError

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of each odd object it mends
    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise SourceError("is encrypted: it needs a password.")
        pages = [_tidy(page.extract_text()) for page in reader.pages]
        return pages, _outline(reader), _title(reader)
    except (PyPdfError, DependencyError, DeprecationError, *_DAMAGE) as error:
        raise SourceError(f"is no readable PDF ({one_line(str(error), 80)}).") from error


def _title(reader: "PdfReader") -> str:
    """The title that the file states, unless a program put a file name there."""
    stated = one_line(str((reader.metadata and reader.metadata.title) or ""))
    return "" if _FILE_NAME.search(stated) else stated


def _tidy(page: str) -> str:
    """Words broken over lines made whole, blank lines folded."""
    text = re.sub(r"[^\S\n]+\n", "\n", page.replace("\r\n", "\n").replace("\r", "\n"))
    text = re.sub(r"(?<=[^\W\d_])-\n(?=[a-zß-ÿ])", "", text.replace("\x00", ""))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def _outline(reader: "PdfReader") -> _Outline:
    found: _Outline = {}
    for level, title, page in _entries(reader, reader.outline, 1):
        found.setdefault(page, []).append((level, title))
    return found


def _entries(
    reader: "PdfReader", entries: "Sequence[object]", level: int
) -> Iterator[tuple[int, str, int]]:
    from pypdf.generic import Destination

    for entry in entries:
        if isinstance(entry, list):
            yield from _entries(reader, entry, level + 1)
        elif isinstance(entry, Destination):
            page = reader.get_destination_page_number(entry)
            if page is not None and entry.title:
                yield level, one_line(entry.title), page + 1


def _headings(lines: Sequence[str], entries: Sequence[tuple[int, str]]) -> Iterator[Mark]:
    places = _places(lines) if entries else {}
    for level, title in entries:
        number = places.get(_key(title))
        if number is not None:
            yield Mark(number, number + 1, "heading", level, title)


def _places(lines: Sequence[str]) -> Mapping[str, int]:
    """Where each line stands first, by its key."""
    return {_key(line): number for number, line in reversed(list(enumerate(lines)))}


def _key(line: str) -> str:
    """Letters alone, so that ``2.1  Set-up`` on the page matches ``Set-up`` in the outline."""
    return re.sub(r"[\W\d_]+", "", line).casefold()
