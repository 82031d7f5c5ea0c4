"""PDF to text by pypdf, page by page; the outline's entries become headings.

Lines are those of the extracted text, pages those of the file.
"""

import io
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lifecycle.errors import SourceError
from rag.parsers.base import Mark, Parsed, blocks_from_marks, first_heading, one_line
from rag.types import Block

if TYPE_CHECKING:
    from pypdf import PdfReader

MEDIA = "application/pdf"
SUFFIXES = (".pdf",)
