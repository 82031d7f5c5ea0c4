"""What is counted of one column of a table that nobody has described, over all its rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.columns import Type
from lifecycle.delimited import identifier, literal

if TYPE_CHECKING:
    import duckdb

MOST = 0.98
MAX_CLASSES = 50
FORMATS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M")
_KINDS: dict[str, Type] = {
    "BOOLEAN": "boolean",
    "FLOAT": "number",
    "DOUBLE": "number",
    "DATE": "time",
    "VARCHAR": "text",
}


@dataclass(frozen=True)
class Facts:
    """``filled``: values that are there; ``distinct`` ones; ``reads``: how many can be read as each
    type; ``values``: all distinct ones, where they are few."""

    name: str
    kind: Type
    rows: int
    filled: int
    distinct: int
    reads: dict[str, int]
    longest: int
    values: tuple[str, ...]
    consecutive: bool

    def mostly(self, reading: str) -> bool:
        return self.reads.get(reading, 0) >= MOST * max(1, self.filled)


def count(connection: "duckdb.DuckDBPyConnection", name: str, sql_type: str) -> Facts:
    """The facts of column ``name`` of the view ``rows``, which DuckDB calls a ``sql_type``."""
    column = identifier(name)
    kind = _KINDS.get(sql_type) or ("time" if sql_type.startswith("TIMESTAMP") else "number")
    tests = _tests(column, kind)
    counts = ", ".join(f"count(*) FILTER ({sql})" for sql in tests.values())
    row: tuple[Any, ...] = connection.execute(
        f"SELECT count(*), count({column}), count(DISTINCT {column}), "
        f"coalesce(max(length(CAST({column} AS VARCHAR))), 0){', ' * bool(tests)}{counts} FROM rows"
    ).fetchone() or (0,) * (4 + len(tests))
    rows, filled, distinct, longest, *reads = row
    few = distinct <= MAX_CLASSES
    return Facts(
        name,
        kind,
        rows,
        filled,
        distinct,
        dict(zip(tests, reads, strict=True)),
        longest,
        _distinct(connection, column) if few else (),
        kind in ("text", "number") and distinct == rows and _consecutive(connection, column, rows),
    )


def _tests(column: str, kind: Type) -> dict[str, str]:
    """What a column could be read as, as conditions in SQL."""
    number = f"TRY_CAST({column} AS DOUBLE)"
    whole = f"{number} = floor({number}) AND abs({number}) < 9e15"
    if kind == "number":
        return {"number": f"{column} IS NOT NULL", "integer": whole}
    if kind != "text":
        return {}
    words = "('true', 'false', 'yes', 'no', 't', 'f', 'y', 'n')"
    tests = {
        "number": f"{number} IS NOT NULL",
        "integer": f"regexp_full_match({column}, '[+-]?\\d+(\\.0*)?') AND {whole}",
        "boolean": f"lower({column}) IN {words}",
        "time": f"{column} LIKE '____-__-__%' AND TRY_CAST({column} AS TIMESTAMPTZ) IS NOT NULL",
        "zeros": f"regexp_full_match({column}, '0\\d+')",
    }
    times = {p: f"try_strptime({column}, {literal(p)}) IS NOT NULL" for p in FORMATS}
    return tests | times


def _distinct(connection: "duckdb.DuckDBPyConnection", column: str) -> tuple[str, ...]:
    found = connection.execute(
        f"SELECT DISTINCT CAST({column} AS VARCHAR) FROM rows WHERE {column} IS NOT NULL ORDER BY 1"
    ).fetchall()
    return tuple(value for (value,) in found)


def _consecutive(connection: "duckdb.DuckDBPyConnection", column: str, rows: int) -> bool:
    number = f"TRY_CAST({column} AS DOUBLE)"
    row = connection.execute(f"SELECT max({number}) - min({number}), count({number}) FROM rows")
    span, numbers = row.fetchone() or (None, 0)
    return bool(numbers == rows and span == rows - 1)
