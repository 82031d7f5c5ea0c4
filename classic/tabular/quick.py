"""Rows that are plainly right, read without pandas: a single row takes microseconds.

What JSON gives for a column of its type is taken at once; anything else (numbers in text, times,
values out of range, what is missing where it must not be) is left to ``rows``, which knows all the
rules and the words for what is wrong. Both give the same values (tested).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.columns import Floats
from lifecycle.tables import Column, TableSchema

_EXACT = 2**53
Reader = Callable[[Any], float | str | None]
"""The value as a graph takes it, or None where it is not plainly right."""


class QuickReader:
    """Reads rows that fit ``schema`` plainly, in the layout of an exported model: ``numbers`` and
    ``texts`` are its columns, in order."""

    def __init__(self, schema: TableSchema, numbers: Sequence[str], texts: Sequence[str]) -> None:
        self.numbers, self.texts = list(numbers), list(texts)
        self._known = frozenset(schema.columns)
        names = [*self.numbers, *self.texts]
        self._readers = [(name, _reader(schema.columns[name])) for name in names]

    def read(
        self, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[Floats, NDArray[np.object_], list[int]]:
        """Numbers (n, columns) and texts (n, columns) of the rows that are plainly right, and the
        places of these."""
        read = [self._row(row) for row in rows]
        kept = [values for values in read if values is not None]
        cut = len(self.numbers)
        numbers = np.array([values[:cut] for values in kept], dtype=np.float64)
        texts = np.array([values[cut:] for values in kept], dtype=object)
        places = [place for place, values in enumerate(read) if values is not None]
        shapes = (len(kept), cut), (len(kept), len(self.texts))
        return numbers.reshape(shapes[0]), texts.reshape(shapes[1]), places

    def _row(self, row: Mapping[str, Any]) -> list[float | str] | None:
        if not row.keys() <= self._known:
            return None
        values: list[float | str] = []
        for name, reader in self._readers:
            value = reader(row.get(name))
            if value is None:
                return None
            values.append(value)
        return values


def _reader(column: Column) -> Reader:
    if column.type == "category":
        return _category(column)
    if column.type == "boolean":
        return _boolean(column)
    if column.type in ("number", "integer"):
        return _number(column)
    return lambda value: None


def _category(column: Column) -> Reader:
    allowed, nullable = frozenset(column.values), column.nullable

    def read(value: Any) -> str | None:
        if value is None:
            return "" if nullable else None
        # Text of nothing, or with blanks around it, is for the long way.
        if type(value) is not str or not value or value[0].isspace() or value[-1].isspace():
            return None
        return value if not allowed or value in allowed else None

    return read


def _boolean(column: Column) -> Reader:
    nullable = column.nullable

    def read(value: Any) -> float | None:
        if value is None:
            return math.nan if nullable else None
        return float(value) if type(value) is bool else None

    return read


def _number(column: Column) -> Reader:
    low = -math.inf if column.min is None else column.min
    high = column.max if isinstance(column.max, int | float) else math.inf
    nullable, whole = column.nullable, column.type == "integer"

    def read(value: Any) -> float | None:
        if value is None:
            return math.nan if nullable else None
        kind = type(value)
        if kind is int:
            if not -_EXACT <= value <= _EXACT:
                return None
        elif kind is not float or (whole and not value.is_integer()):
            return None
        # NaN and the infinite fail one of these.
        return float(value) if low <= value <= high and abs(value) < math.inf else None

    return read
