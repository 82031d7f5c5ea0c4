"""Read-only SQL over a few Parquet files, by DuckDB.

The connection sees the files it was given and nothing else: no other file, no network, no Python
variable, no extension to install, and its settings are locked. ``select`` runs one SELECT, so
nothing can be written either.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import DataError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

PARTITION = "partition"


@contextmanager
def parquet_view(
    files: Sequence[tuple[str, Path]], spill: Path
) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A connection with the view ``data``: all rows of ``files``, in order, and ``partition``.

    ``files`` holds (partition key, absolute path); ``spill`` is where a query larger than memory
    may put its intermediate results. Raises DataError where DuckDB cannot read a file.
    """
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET temp_directory = ?", [str(spill.resolve())])
        connection.execute("SET allowed_paths = ?", [[str(path) for _, path in files]])
        connection.execute("SET enable_external_access = false")
        selects = [_select_file(path, key) for key, path in files]
        try:
            connection.execute(f"CREATE VIEW data AS {' UNION ALL BY NAME '.join(selects)}")
            connection.execute("SET lock_configuration = true")
            yield connection
        except duckdb.Error as error:
            raise DataError(f"DuckDB cannot answer: {error}") from error


def select(connection: "duckdb.DuckDBPyConnection", sql: str) -> "pa.Table":
    """The result of ``sql``. Raises DataError unless it is exactly one SELECT."""
    import duckdb

    statements = [statement.type for statement in connection.extract_statements(sql)]
    if statements != [duckdb.StatementType.SELECT]:
        raise DataError(f"a query must be one SELECT, not: {sql.strip()!r}.")
    return connection.sql(sql).to_arrow_table()


def select_columns(connection: "duckdb.DuckDBPyConnection", columns: Sequence[str]) -> "pa.Table":
    """The named columns of the view ``data``, rows in order."""
    names = ", ".join(_identifier(name) for name in columns)
    return connection.sql(f"SELECT {names} FROM data").to_arrow_table()


def _select_file(path: Path, key: str) -> str:
    # Without hive_partitioning = false a folder such as "year=2024" above becomes a column.
    return (
        f"SELECT *, {_literal(key)} AS {PARTITION} "
        f"FROM read_parquet({_literal(str(path))}, hive_partitioning = false)"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
