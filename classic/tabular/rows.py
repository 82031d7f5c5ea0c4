"""Rows as they come when a model is asked, checked by the schema.

- A column that is not there is missing. Missing, None, NaN and blank are one: an error where the
  schema does not let the column be empty.
- A value that cannot be read as the column's type, an infinite one, one below ``min`` or above
  ``max``, and one that is none of the schema's ``values`` is an error.
- A category that training did not have is none, unless the schema lists what there may be.
- A key that is no column is passed over, unless it is near to the name of a column that is missing:
  then it is misspelt, and an error.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.columns import Columns, as_array
from lifecycle.columns import read
from lifecycle.problems import HIDDEN, shown
from lifecycle.tables import Column, TableSchema

if TYPE_CHECKING:
    import pandas as pd

Problems = dict[int, str]
_WANTED = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "category": "text",
    "time": "a time, such as 2024-10-31T18:30:00Z",
}
_ALIKE = 0.7
_LARGEST = 2**63 - 1


def frame_of(
    rows: Sequence[Mapping[str, Any]], schema: TableSchema, names: Sequence[str]
) -> "pd.DataFrame":
    """The columns ``names`` of ``rows`` as they came, None where a row has no such key."""
    import pandas as pd

    found = {}
    for name in names:
        values = [row.get(name) for row in rows]
        floats = schema.columns[name].type == "number" and set(map(type, values)) == {float}
        found[name] = pd.Series(values, dtype="float64" if floats else object)
    return pd.DataFrame(found)


def checked(
    frame: "pd.DataFrame", schema: TableSchema, names: Sequence[str]
) -> tuple[Columns, Problems]:
    """Columns as arrays, and what is wrong by the row's place; a bad row's values mean nothing."""
    problems: Problems = {}
    columns = {}
    for name in names:
        column = schema.columns[name]
        columns[name], wrong, why = _column(frame, name, column)
        for place in np.flatnonzero(wrong):
            problems.setdefault(int(place), why(int(place)))
    return columns, problems


def misspelt(keys: Iterable[str], schema: TableSchema, names: Sequence[str]) -> str:
    """What is wrong with the keys of a row; empty where nothing is."""
    given = list(keys)
    absent = [name for name in names if name not in given]
    for key in given:
        if key not in schema.columns and (near := get_close_matches(key, absent, 1, _ALIKE)):
            return f"there is no column {key!r}: did you mean {near[0]!r}?"
    return ""


def _column(frame: "pd.DataFrame", name: str, column: Column) -> tuple[NDArray[Any], Any, Any]:
    import pandas as pd

    empty = pd.Series([None] * len(frame), index=frame.index, dtype=object)
    given = frame.get(name, empty)
    odd = np.zeros(len(given), dtype=np.bool_)
    if given.dtype == object:
        odd = np.array([_is_odd(one) for one in given], dtype=np.bool_)
    plain = given.mask(odd) if odd.any() else given
    found, unreadable = read(plain, column.type, column.format)
    array = as_array(found, column.type)
    unread = unreadable.to_numpy(dtype=bool) | odd
    missing = found.isna().to_numpy() & ~unread
    outside = _outside(array, column) & ~missing & ~unread
    empty_ones = missing if not column.nullable else np.zeros(len(missing), dtype=np.bool_)

    def why(place: int) -> str:
        value = HIDDEN if column.sensitive else shown(given.iloc[place])
        if empty_ones[place]:
            return f"column {name!r} is missing: the schema does not let it be empty."
        if unread[place]:
            return f"column {name!r} is {value}, not {_WANTED[column.type]}."
        return f"column {name!r} is {value}, not {_limits(column)}."

    return array, unread | empty_ones | outside, why


def _is_odd(value: object) -> bool:
    """Whether pandas would stumble over it: what holds several values, and numbers without end."""
    if isinstance(value, int):
        return abs(value) > _LARGEST
    return isinstance(value, list | tuple | dict | set)


def _outside(array: NDArray[Any], column: Column) -> NDArray[np.bool_]:
    if column.type == "category":
        known: NDArray[np.bool_] = np.isin(array.astype(str), column.values)
        return ~known if column.values else np.zeros(len(array), dtype=np.bool_)
    outside: NDArray[np.bool_] = np.isinf(array)
    if column.min is not None:
        outside |= array < column.min
    if isinstance(column.max, int | float):
        outside |= array > column.max
    return outside


def _limits(column: Column) -> str:
    if column.values:
        return f"one of {', '.join(column.values)}"
    low = "" if column.min is None else f" from {column.min:.15g}"
    high = f" up to {column.max:.15g}" if isinstance(column.max, int | float) else ""
    return f"a finite number{low}{high}"
