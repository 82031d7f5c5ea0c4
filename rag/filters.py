"""Metadata filters: which chunks of an index a search may find.

A filter maps fields to values: every field must fit, and one of its values is enough.

- ``uri``: a glob over the whole address, case included; ``*`` crosses folders.
- ``title``: of the document; ``heading``: any heading above the chunk. A value is looked for
  inside of it, or is a glob over the whole where it has ``*``, ``?`` or ``[``; case is ignored.
- ``suffix``: the file's ending, ``md`` or ``.md``.
- ``page``: a number or a range, ``3`` or ``3-7``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

FIELDS = ("uri", "title", "heading", "suffix", "page")
Mask = NDArray[np.bool_]
Value = str | int
Wanted = Mapping[str, Value | Sequence[Value]]

_EXAMPLE = "Example: 'uri=docs/*'."
_PAGES = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


class Filters:
    """What one table of chunks is filtered by; each field's distinct values are found once."""

    def __init__(self, table: "pa.Table") -> None:
        self._table = table
        self._columns: dict[str, _Column] = {}

    def mask(self, wanted: Wanted) -> Mask:
        """Which rows of the table fit ``wanted``, shape (n,); an empty filter fits all.

        Raises UsageError as ``checked`` does.
        """
        mask = np.ones(len(self._table), dtype=np.bool_)
        for field, values in checked(wanted).items():
            mask &= self._fits(field, values)
        return mask

    def _fits(self, field: str, values: Sequence[str]) -> Mask:
        tests = [_test(field, value) for value in values]
        if field == "heading":
            headings, starts = self._headings
            hits = np.concatenate(([0], np.cumsum(headings.fitting(tests))))
            return np.asarray(hits[starts[1:]] > hits[starts[:-1]])
        return self._column("uri" if field == "suffix" else field).fitting(tests)

    def _column(self, name: str) -> "_Column":
        if name not in self._columns:
            self._columns[name] = _Column.of(self._table[name].combine_chunks())
        return self._columns[name]

    @cached_property
    def _headings(self) -> tuple["_Column", NDArray[np.int32]]:
        """The headings of all chunks in a row, and where those of each chunk start and end."""
        trails = self._table["trail"].combine_chunks()
        starts = _numbers(trails.offsets)
        return _Column.of(trails.flatten()), starts - starts[0]


class _Column(NamedTuple):
    """Distinct values, and which of them stands in each row."""

    values: list[Any]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, column: "pa.Array") -> "_Column":
        encoded = column.dictionary_encode(null_encoding="encode")
        return cls(encoded.dictionary.to_pylist(), _numbers(encoded.indices))

    def fitting(self, tests: Sequence[Callable[[Any], object]]) -> Mask:
        """The rows whose value passes one of ``tests``."""
        hits = np.zeros(len(self.values), dtype=np.bool_)
        for test in tests:
            hits |= np.array([bool(test(value)) for value in self.values], dtype=np.bool_)
        return hits[self.codes]


def _numbers(array: "pa.Array") -> NDArray[np.int32]:
    """From the buffer: ``to_numpy`` would import pandas."""
    return np.frombuffer(array.buffers()[1], np.int32, len(array), array.offset * 4)


def parsed(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``["uri=docs/*", "page=3-7"]`` as a filter; values of a field given twice are alternatives.

    Raises UsageError as ``checked`` does, and for a word that is no field=value.
    """
    wanted: dict[str, list[str]] = {}
    for word in words:
        field, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"--filter {word!r} is no field=value.", _EXAMPLE)
        wanted.setdefault(field.strip(), []).append(value.strip())
    return checked(wanted)


def checked(wanted: Wanted) -> dict[str, tuple[str, ...]]:
    """``wanted`` with the values of each field as texts.

    Raises UsageError for an unknown field, naming the nearest, and for a value that does not fit.
    """
    return {field: _values(field, given) for field, given in wanted.items()}


def described(wanted: Wanted) -> str:
    """``uri=docs/* or *.md, page=3``."""
    return ", ".join(f"{field}={' or '.join(values)}" for field, values in checked(wanted).items())


def _values(field: str, given: Value | Sequence[Value]) -> tuple[str, ...]:
    if field not in FIELDS:
        raise UsageError(f"there is no field {field!r} to filter by.", did_you_mean(field, FIELDS))
    values = [given] if isinstance(given, str | int) else given
    if not isinstance(values, Sequence) or not values:
        raise UsageError(f"the filter {field}={given!r} has no value.", _EXAMPLE)
    return tuple(_value(field, value) for value in values)


def _value(field: str, value: Value) -> str:
    text = str(value)
    if not isinstance(value, str | int) or not text:
        raise UsageError(f"the filter {field}={value!r} is no text.", _EXAMPLE)
    if field == "page":
        _range(text)
    return text


def _range(text: str) -> tuple[int, int]:
    match = _PAGES.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if first > last:
        raise UsageError(f"the filter page={text!r} is no page.", "Examples: page=3, page=3-7.")
    return first, last


def _test(field: str, value: str) -> Callable[[Any], object]:
    if field == "uri":
        return re.compile(translate(value)).match
    if field == "page":
        first, last = _range(value)
        return lambda page: page is not None and first <= page <= last
    folded = value.casefold()
    if field == "suffix":
        ending = f".{folded.lstrip('.')}"
        return lambda uri: uri.casefold().endswith(ending)
    if not set("*?[") & set(folded):
        return lambda text: folded in text.casefold()
    whole = re.compile(translate(folded))
    return lambda text: whole.match(text.casefold())
