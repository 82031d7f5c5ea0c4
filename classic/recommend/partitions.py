"""The usable events by month and region, read from DuckDB one partition at a time."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_ROWS = """
    SELECT user_id, film_id, rating, time, region, age, year, genres
    FROM good WHERE key = ? ORDER BY time, row
"""


class Partitions(Mapping[str, "pa.Table"]):
    """Key (``2024-10/eu``) to table, for the months asked for; a table is made when it is read."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", months: tuple[str, str]) -> None:
        self._connection = connection
        found = connection.execute("SELECT DISTINCT key FROM good ORDER BY key").fetchall()
        self._known = [key for (key,) in found]
        first, last = months
        self._keys = [key for key in self._known if first <= key.partition("/")[0] <= last]

    def __getitem__(self, key: str) -> "pa.Table":
        if key not in self._keys:
            raise KeyError(key)
        return self._connection.sql(_ROWS, params=[key]).to_arrow_table()

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def others(self) -> str:
        """The months that there are, for a window that holds none."""
        months = sorted({key.partition("/")[0] for key in self._known})
        return f"There are {months[0]} to {months[-1]}." if months else "There are none at all."
