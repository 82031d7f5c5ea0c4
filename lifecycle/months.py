"""The rows of a Parquet file by the month of a time column, one month in memory at a time."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from lifecycle.atomic import storage_errors
from lifecycle.delimited import identifier, literal
from lifecycle.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

UNKNOWN = "unknown"


class Months(Mapping[str, "pa.Table"]):
    """Key (``2024-10``, UTC; ``unknown`` where the time is missing) to the rows of that month, in
    their order; a table is made when it is read. ``bounds``: the first and the last month taken.
    Raises DataError where DuckDB cannot."""

    def __init__(
        self, table: Path, time: str, spill: Path, bounds: tuple[str, str] = ("", UNKNOWN)
    ) -> None:
        import duckdb

        self._source = f"read_parquet({literal(str(table))}, hive_partitioning = false)"
        self._key = f"coalesce(strftime({identifier(time)}, '%Y-%m'), '{UNKNOWN}')"
        self._connection = duckdb.connect()
        self._connection.execute("SET enable_progress_bar = false")
        self._connection.execute("SET TimeZone = 'UTC'")
        with storage_errors(spill):
            spill.mkdir(parents=True, exist_ok=True)
        self._connection.execute("SET temp_directory = ?", [str(spill)])
        found = self._ask(f"SELECT DISTINCT {self._key} FROM {self._source} ORDER BY 1")
        self._all: list[str] = found.column(0).to_pylist()
        self._keys = [key for key in self._all if bounds[0] <= key <= bounds[1]]

    def __enter__(self) -> "Months":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def __getitem__(self, key: str) -> "pa.Table":
        if key not in self._keys:
            raise KeyError(key)
        return self._ask(f"SELECT * FROM {self._source} WHERE {self._key} = {literal(key)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def others(self) -> str:
        """The months that there are, for bounds that hold none."""
        return f"There are {self._all[0]} to {self._all[-1]}." if self._all else "There are none."

    def _ask(self, sql: str) -> "pa.Table":
        import duckdb

        try:
            return self._connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise DataError(f"DuckDB cannot part the table by month: {error}") from error
