"""Word documents by python-docx: paragraphs, headings by their style, tables.

Lines are those of the extracted text.
"""

import io
import re
import zipfile
import zlib
from typing import TYPE_CHECKING

from lifecycle.errors import SourceError
from rag.parsers.base import Parsed, Stack, one_line

if TYPE_CHECKING:
    from docx.document import Document
    from docx.table import Table
    from docx.text.paragraph import Paragraph

MEDIA = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SUFFIXES = (".docx",)

_HEADING = re.compile(r"heading ([1-9])", re.I)
_LARGEST = 1_000_000_000  # bytes unpacked: a small archive can hold any number of zeros
# What python-docx lets through for damaged archives and parts that are not there.
_DAMAGE = (
    *(AttributeError, EOFError, LookupError, NotImplementedError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, zipfile.BadZipFile, zlib.error),
)


def parse(data: bytes) -> Parsed:
    """Blocks: headings, paragraphs, list items; a table as code, a row a line."""
    from docx import Document
    from docx.opc.exceptions import OpcError

    try:
        _check_size(data)
        document = Document(io.BytesIO(data))
        return _read(document)
    except (OpcError, *_DAMAGE) as error:
        reason = one_line(str(error), 80)
        raise SourceError(f"is no readable Word document ({reason}).") from error


def _check_size(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(part.file_size for part in archive.infolist()) > _LARGEST:
            raise ValueError("it unpacks to more than 1 GB")


def _read(document: "Document") -> Parsed:
    from docx.text.paragraph import Paragraph

    stack = Stack()
    for item in document.iter_inner_content():
        if isinstance(item, Paragraph):
            _add_paragraph(stack, item)
        elif table := _rows(item):
            stack.add_block("code", table)
    return stack.parsed(one_line(document.core_properties.title))


def _add_paragraph(stack: Stack, paragraph: "Paragraph") -> None:
    text = paragraph.text.strip()
    if not text:
        return
    style = (paragraph.style.name if paragraph.style else "") or ""
    heading = _HEADING.match(style)
    if heading or style == "Title":
        level = int(heading[1]) if heading else 1
        stack.add_block("heading", text, level=level, title=one_line(text))
    else:
        stack.add_block("text", f"- {text}" if style.startswith("List") else text)


def _rows(table: "Table") -> str:
    rows = [[one_line(cell.text, 10_000) for cell in row.cells] for row in table.rows]
    return "\n".join(" | ".join(row) for row in rows if any(row))
