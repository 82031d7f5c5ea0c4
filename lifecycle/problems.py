"""What pandera says about a row or a table, in words that name the column and the value."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

HIDDEN = "(hidden)"
DUPLICATE = "is a duplicate"
_VALUE_WIDTH = 60

# What pandera calls its own checks, in words.
_CHECK_WORDS = {"not_nullable": "is missing", "field_uniqueness": DUPLICATE}
_DTYPE_CHECK = re.compile(r"(?:coerce_)?dtype\('(.*)'\)")
_NAMED_CHECK = re.compile(r"\w+\(.*\)", re.DOTALL)
_KINDS = {
    "int": "a whole number",
    "Int": "a whole number",
    "uint": "a whole number",
    "float": "a number",
    "Float": "a number",
    "datetime": "a time",
    "bool": "true or false",
}


def is_type_check(check: str) -> bool:
    """Whether this is pandera's name for a check of type, which other checks depend on."""
    return _DTYPE_CHECK.fullmatch(check) is not None


def words(check: str, schema: "pa.DataFrameSchema") -> str:
    """A check's name as what is wrong with the value; a check's own ``error`` text stays."""
    if check == "multiple_fields_uniqueness":
        return f"repeats another row's {', '.join(schema.unique or [])}"
    if dtype := _DTYPE_CHECK.fullmatch(check):
        kind = next((name for start, name in _KINDS.items() if dtype[1].startswith(start)), "")
        return f"cannot be read as {kind or dtype[1]}"
    if _NAMED_CHECK.fullmatch(check):
        return f"fails {_cut(check)}"
    return _CHECK_WORDS.get(check, check)


def shown(value: object) -> str:
    """A value as a reason quotes it: text in quotes, cut where it is long."""
    return _cut(repr(value) if isinstance(value, str) else str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _VALUE_WIDTH else f"{text[: _VALUE_WIDTH - 1]}…"


def table_problem(cases: "pd.DataFrame", schema: "pa.DataFrameSchema") -> str:
    """Why the table as a whole does not fit, from pandera's failure cases."""
    # A column of the wrong type breaks its other checks as well: the type is what to say.
    by_type = cases.sort_values("check", key=lambda check: ~check.str.startswith("dtype("))
    parts: dict[object, str] = {}
    for case in by_type.itertuples():
        column, check = str(case.column or ""), str(case.check)
        key = column if column in schema.columns else (check, str(case.failure_case))
        parts.setdefault(key, _table_failure(column, check, case.failure_case, schema))
    return f"{table_name(schema)} does not fit its schema: {'; '.join(parts.values())}."


def _table_failure(column: str, check: str, found: object, schema: "pa.DataFrameSchema") -> str:
    if check == "column_in_schema":
        return f"column {HIDDEN if sensitive(schema) else repr(str(found))} is not part of it"
    value = HIDDEN if column in sensitive(schema) else shown(found)
    if dtype := _DTYPE_CHECK.fullmatch(check):
        return f"column {column!r} is {found}, not {dtype[1]}"
    where = f"column {column!r}: " if column in schema.columns else ""
    return f"{where}{words(check, schema)}: {value}"


def sensitive(schema: "pa.DataFrameSchema") -> set[str]:
    """The columns whose metadata say that their values must not be shown."""
    columns = schema.columns.items()
    return {name for name, column in columns if (column.metadata or {}).get("sensitive")}


def table_name(schema: "pa.DataFrameSchema") -> str:
    """What messages call the table that ``schema`` is about."""
    return f"table {schema.name!r}" if schema.name else "the table"
