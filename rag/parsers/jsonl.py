"""JSON Lines: each record as ``key: value`` pairs on one line, which is its line in the file."""

import json
from collections.abc import Iterator

from lifecycle.errors import SourceError
from rag.parsers.base import Mark, Parsed, blocks_from_marks, one_line
from rag.parsers.encoding import decode

MEDIA = "application/x-ndjson"
SUFFIXES = (".jsonl", ".ndjson")


def parse(data: bytes) -> Parsed:
    """Blocks: each record as text; nested keys are joined with dots, empty values left out."""
    lines = [_record(number, line) for number, line in enumerate(decode(data).split("\n"), start=1)]
    marks = (Mark(number, number + 1, "text") for number in range(len(lines)))
    return Parsed("\n".join(lines), blocks_from_marks(lines, marks))


def _record(number: int, line: str) -> str:
    if not line.strip():
        return ""
    try:
        pairs = list(_pairs("", json.loads(line)))
    except (ValueError, RecursionError) as error:
        reason = one_line(str(error), 80)
        raise SourceError(f"is no JSON Lines file (line {number}: {reason}).") from error
    return "; ".join(f"{key}: {value}" if key else value for key, value in pairs if value)


def _pairs(key: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _pairs(f"{key}.{_folded(name)}" if key else _folded(name), inner)
    elif isinstance(value, list):
        if any(isinstance(item, dict | list) for item in value):
            for item in value:
                yield from _pairs(key, item)
        else:
            yield key, ", ".join(filter(None, map(_scalar, value)))
    else:
        yield key, _scalar(value)


def _scalar(value: object) -> str:
    if value is None:
        return ""
    return _folded(value) if isinstance(value, str) else json.dumps(value)


def _folded(text: str) -> str:
    return " ".join(text.split())
