"""Tables of comma-, semicolon-, tab- or bar-separated values, a row as ``column: value`` pairs.

Each row takes as many lines in the text as in the file, so that line numbers hold.
"""

import csv
import re
from collections.abc import Iterator, Sequence

from lifecycle.errors import SourceError
from rag.parsers.base import Mark, Parsed, blocks_from_marks, one_line
from rag.parsers.encoding import decode

MEDIA = "text/csv"
SUFFIXES = (".csv", ".tsv")

_SAMPLE = 8_000  # characters; the sniffer's patterns are slow on long texts
_NUMBER = re.compile(r"[-+(]?[\d.,:/\s-]*\d[\d.,:/\s%)-]*")


def parse(data: bytes) -> Parsed:
    """Blocks: each row as text. The first row names the columns unless it looks like data."""
    source = decode(data)
    try:
        rows = list(_rows(source))
    except csv.Error as error:
        raise SourceError(f"is no readable CSV ({one_line(str(error), 80)}).") from error
    names = _header(rows[0][1]) if rows else []
    lines: list[str] = []
    marks: list[Mark] = []
    for number, (size, cells) in enumerate(rows):
        body = "; ".join(filter(None, cells)) if names and not number else _line(names, cells)
        marks.append(Mark(len(lines), len(lines) + size, "text"))
        lines += (body + "\n" * (size - 1 - body.count("\n"))).split("\n")
    return Parsed("\n".join(lines), blocks_from_marks(lines, marks))


def _rows(source: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of lines that it takes."""
    lines = source.removesuffix("\n").split("\n")
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=_delimiter(source))
    done = 0
    for row in reader:
        yield reader.line_num - done, [cell.strip() for cell in row]
        done = reader.line_num


def _delimiter(source: str) -> str:
    sample = source[:_SAMPLE]
    if len(source) > _SAMPLE:
        sample = sample.rpartition("\n")[0] or sample
    try:
        return csv.Sniffer().sniff(sample, delimiters=",;\t|").delimiter
    except csv.Error:
        return max(",;\t|", key=sample.partition("\n")[0].count)


def _header(cells: Sequence[str]) -> list[str]:
    """Names of the columns; empty where the first row holds numbers, copies or nothing."""
    names = [one_line(cell, 80) for cell in cells]
    given = [name for name in names if name]
    is_data = len(set(given)) < len(given) or any(map(_NUMBER.fullmatch, given))
    return [] if is_data or not given else names


def _line(names: Sequence[str], cells: Sequence[str]) -> str:
    pairs = enumerate(cells)
    return "; ".join(f"{_name(names, place)}: {cell}" for place, cell in pairs if cell)


def _name(names: Sequence[str], place: int) -> str:
    return (names[place] if place < len(names) else "") or f"column {place + 1}"
