"""The values that pass between the parts of `rag/`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

TRAIL_JOINT = " > "
_RULE = re.compile(r"([^\w\s]|_)\1{3,}")


def embedded_text(trail: Sequence[str], text: str) -> str:
    """What the embedder and BM25 read of a passage under the headings ``trail``."""
    return f"{TRAIL_JOINT.join(trail)}\n{squeezed(text)}" if trail else squeezed(text)


def squeezed(text: str) -> str:
    """``text`` with runs of one punctuation mark cut to three.

    The line under a title or between a table's rows would take a token for each mark.
    """
    return _RULE.sub(r"\1\1\1", text)


@dataclass(frozen=True)
class Block:
    """A piece of a document that a chunk does not cut if it can help it.

    ``start`` and ``end`` are character offsets into the document's ``text``; ``line`` is the
    1-based line of ``start`` in the file itself (for a PDF, in the extracted text); ``level`` is
    a heading's depth, from 1. Other blocks belong to the last heading before (``level`` 0), or
    close the headings deeper than their ``level``, as text does after an indented definition.
    ``code`` is any text whose lines matter, tables too.
    """

    kind: Literal["heading", "text", "code"]
    start: int
    end: int
    line: int
    level: int = 0
    page: int | None = None
    title: str = ""


@dataclass(frozen=True)
class Document:
    """A parsed file. ``text`` is what offsets point into; ``doc_id`` the SHA-256 of ``text``."""

    doc_id: str
    uri: str
    title: str
    text: str
    media: str
    blocks: tuple[Block, ...] = field(repr=False)


@dataclass(frozen=True)
class Chunk:
    """A passage of a document, small enough for the embedder.

    ``start``/``end``: character offsets into the document's text (``text`` is exactly that slice);
    ``line_start``/``line_end``: 1-based and inclusive, in the file; ``trail``: headings from the
    outermost in; ``tokens``: length of what is embedded, in the embedder's own tokens.
    """

    chunk_id: str
    doc_id: str
    uri: str
    title: str
    trail: tuple[str, ...]
    text: str
    start: int
    end: int
    line_start: int
    line_end: int
    page: int | None
    tokens: int

    @property
    def heading(self) -> str:
        return TRAIL_JOINT.join(self.trail)

    @property
    def embedded_text(self) -> str:
        """What the embedder and BM25 read: the heading trail, then the passage, squeezed."""
        return embedded_text(self.trail, self.text)


@dataclass(frozen=True)
class Passage:
    """A chunk found for a question, or several that follow each other as one.

    ``score``: fused, comparable within one question only; ``similarity``: cosine between question
    and chunk, −1 to 1; ``rank``: from 1; ``members``: ids of the chunks that were put together,
    in the order of the text, empty where it is one chunk as indexed.
    """

    chunk: Chunk
    score: float
    similarity: float
    rank: int
    members: tuple[str, ...] = ()

    @property
    def chunk_ids(self) -> tuple[str, ...]:
        """Of every chunk in it."""
        return self.members or (self.chunk.chunk_id,)


@dataclass(frozen=True)
class Citation:
    """Passage ``number`` (from 1, as in ``[1]``) as the answer refers to it."""

    number: int
    chunk: Chunk


@dataclass(frozen=True)
class Answer:
    """What a generator made of the passages.

    ``citations`` holds the passages cited in ``text``, in order of first mention; ``confidence``
    is between 0 and 1; where ``abstained``, ``text`` says so and nothing is cited.
    """

    text: str
    citations: tuple[Citation, ...]
    confidence: float
    abstained: bool
