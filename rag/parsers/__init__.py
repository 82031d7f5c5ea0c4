"""Files to documents: one module a format, chosen by the file's suffix."""

import hashlib
import re
from pathlib import PurePath

from lifecycle.errors import SourceError
from lifecycle.sources import RawFile
from rag.parsers import csv, docx, html, ipynb, jsonl, markdown, pdf, python, rst, text
from rag.parsers.base import NothingToReadError, Parsed, Parser
from rag.types import Document

PARSERS: tuple[Parser, ...] = (
    *(markdown, text, rst, html, pdf),
    *(docx, csv, jsonl, ipynb, python),
)
SUFFIXES: dict[str, str] = {
    suffix: parser.MEDIA for parser in PARSERS for suffix in parser.SUFFIXES
}
_BY_SUFFIX: dict[str, Parser] = {suffix: parser for parser in PARSERS for suffix in parser.SUFFIXES}
_SURROGATES = re.compile("[\ud800-\udfff]")


def parse(raw: RawFile) -> Document:
    """The document in ``raw``. Raises SourceError whose problem is the reason, without the name,
    where it is unreadable: not read, of an unknown format, empty, binary, damaged, encrypted."""
    if raw.data is None:
        raise SourceError(raw.problem or "cannot be read.")
    parser = _parser(raw.uri)
    if not raw.data:
        # An empty module, such as most __init__.py, is no damage.
        raise (NothingToReadError if parser is python else SourceError)("is empty.")
    parsed = parser.parse(raw.data)
    if not parsed.text.strip():
        raise SourceError("holds no text, only white space.")
    return _document(raw.uri, parser.MEDIA, parsed)


def _parser(uri: str) -> Parser:
    suffix = PurePath(uri).suffix.lower()
    if suffix not in _BY_SUFFIX:
        known = " ".join(sorted(_BY_SUFFIX))
        raise SourceError(f"is in no known format ({suffix or 'no suffix'}; known: {known}).")
    return _BY_SUFFIX[suffix]


def _document(uri: str, media: str, parsed: Parsed) -> Document:
    # A lone surrogate has no UTF-8 form; the replacement is as long, so that offsets still hold.
    body = _SURROGATES.sub("\ufffd", parsed.text)
    return Document(
        doc_id=hashlib.sha256(body.encode()).hexdigest(),
        uri=uri,
        title=_SURROGATES.sub("\ufffd", parsed.title) or PurePath(uri).name,
        text=body,
        media=media,
        blocks=parsed.blocks,
    )
