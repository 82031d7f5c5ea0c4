"""The request log: what services were asked and what they answered, for monitoring to read later.

A row waits in a bounded queue for at most a fraction of a second, is then appended to a journal of
JSON lines that goes to the disk every second, and ends in a Parquet file when the journal is
rotated. A killed process loses what waited in its queue; a crashed machine what came in the last
second. Every process has a journal of its own, which it holds locked while it lives; the next one
to start turns what dead ones left into Parquet. A journal and its Parquet file share a name, so a
crash between making the one and removing the other doubles no row.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import atomic
from lifecycle.background import Background
from lifecycle.errors import DataError, StorageError
from lifecycle.journal import (
    JOURNAL,
    PARQUET,
    STAMP,
    Journal,
    journal_line,
    journal_table,
    recover,
    schemas,
)

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

VIEW = "requests"
log = logging.getLogger(__name__)


class RequestLog:
    """Appends rows to the log in ``folder``; one object for the process.

    Raises StorageError where the folder cannot be written. Later failures (a full disk) are logged
    and their rows counted as dropped: a service answers without its log.
    """

    def __init__(
        self,
        folder: Path,
        *,
        capacity: int = 20_000,
        rotate_rows: int = 50_000,
        rotate_bytes: int = 16 * 1024 * 1024,
        rotate_s: float = 3600,
        keep_days: float = 90,
    ) -> None:
        """``capacity``: rows that may wait. A journal is rotated at any of the three limits;
        files begun more than ``keep_days`` ago are removed then."""
        self.folder = folder
        self._rotate_rows, self._rotate_bytes = rotate_rows, rotate_bytes
        self._rotate_s, self._keep_days = rotate_s, keep_days
        with atomic.storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        recover(folder)
        self._journal: Journal | None = None
        self._queue: Background[tuple[int, Mapping[str, Any]]] = Background(
            self._write, "request log", capacity=capacity
        )
        self._refused = 0

    @property
    def dropped(self) -> int:
        """Rows that came to nothing: the queue was full, the disk refused, a value did not fit."""
        return self._queue.dropped + self._refused

    def append(self, record: Mapping[str, Any], size: int = 512) -> bool:
        """Queue one row, keys of ``journal.COLUMNS``; False where it was dropped. Never waits.

        ``time`` is now unless given; a missing column is null, an unknown one left out. Values of
        ``features``, ``output`` and ``label`` may be anything JSON holds; they are written later,
        so nobody may change them after. ``size``: about how many bytes they take until then; what
        waits is bounded by it.
        """
        return self._queue.put((time.time_ns() // 1000, record), size)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was appended stands in the journal; False after ``timeout_s``."""
        return self._queue.flush(timeout_s)

    def close(self) -> None:
        """Write everything, and turn the journal into Parquet."""
        self._queue.close()
        if self._journal is not None:
            self._rotate(self._journal)

    def _write(self, batch: list[tuple[int, Mapping[str, Any]]]) -> None:
        lines = [line for line in map(self._line, batch) if line]
        if lines:
            if self._journal is None:
                self._journal = Journal(self.folder)
            self._journal.append(lines)
        if self._journal is not None:
            self._journal.sync()
            if self._is_due(self._journal):
                self._rotate(self._journal)

    def _line(self, item: tuple[int, Mapping[str, Any]]) -> bytes:
        try:
            return journal_line(*item)
        except (TypeError, ValueError) as error:
            # The value itself may be somebody's text.
            log.error("a row of the request log is lost: %s", type(error).__name__)
            self._refused += 1
            return b""

    def _is_due(self, journal: Journal) -> bool:
        return (
            journal.rows >= self._rotate_rows
            or journal.size >= self._rotate_bytes
            or journal.age_s >= self._rotate_s
        )

    def _rotate(self, journal: "Journal") -> None:
        self._journal = None
        try:
            journal.close()
        except StorageError as error:
            log.error("a journal stays until the next start: %s", error)
        remove_old(self.folder, self._keep_days)


def remove_old(folder: Path, days: float) -> None:
    """Remove Parquet files that were begun more than ``days`` ago."""
    oldest = (datetime.now(UTC) - timedelta(days=days)).strftime(STAMP)
    for path in folder.glob(f"*{PARQUET}"):
        if path.name < oldest:
            with suppress(FileNotFoundError):
                path.unlink()


@contextmanager
def view(folder: Path) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A DuckDB connection that sees the log as the view ``requests``, and no other file.

    Rows that a running service still has in its journal are there too. Raises DataError where
    DuckDB cannot read a file.
    """
    import duckdb

    # Journals first: one that is rotated in between is found as Parquet, and known by its name.
    journals = _journals(folder)
    files = sorted(path.resolve() for path in folder.glob(f"*{PARQUET}"))
    names = {path.stem for path in files}
    loose = [table for name, table in journals.items() if name not in names]
    with duckdb.connect() as connection:
        try:
            _define(connection, loose, [str(path) for path in files])
            yield connection
        except duckdb.Error as error:
            raise DataError(f"DuckDB cannot read the request log: {error}") from error


def read(folder: Path) -> "pa.Table":
    """All rows in ``folder``, by time."""
    with view(folder) as connection:
        return connection.sql(f"SELECT * FROM {VIEW} ORDER BY time").to_arrow_table()


def _journals(folder: Path) -> dict[str, "pa.Table"]:
    found = {}
    for path in sorted(folder.glob(f"*{JOURNAL}")):
        with suppress(FileNotFoundError):
            found[path.stem] = journal_table(path.read_bytes())
    return found


def _define(
    connection: "duckdb.DuckDBPyConnection", loose: list["pa.Table"], files: list[str]
) -> None:
    import pyarrow as pa

    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET allowed_paths = ?", [files])
    connection.execute("SET enable_external_access = false")
    connection.register("journals", pa.concat_tables([schemas()[1].empty_table(), *loose]))
    selects = ["SELECT * FROM journals"]
    if files:
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        options = "hive_partitioning = false, union_by_name = true"
        selects.append(f"SELECT * FROM read_parquet([{listed}], {options})")
    connection.execute(f"CREATE VIEW {VIEW} AS {' UNION ALL BY NAME '.join(selects)}")
    connection.execute("SET lock_configuration = true")
