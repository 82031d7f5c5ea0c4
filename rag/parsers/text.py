"""Plain text: one block; paragraphs and sentences are found when it is cut into chunks."""

from rag.parsers.base import Parsed
from rag.parsers.encoding import decode
from rag.types import Block

MEDIA = "text/plain"
SUFFIXES = (".txt", ".text")


def parse(data: bytes) -> Parsed:
    text = decode(data)
    return Parsed(text, (Block("text", 0, len(text), 1),))
