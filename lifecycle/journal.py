"""Journals of the request log: JSON lines that a crash may cut anywhere, and Parquet of them."""

import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import atomic

if TYPE_CHECKING:
    import pyarrow as pa

JOURNAL, PARQUET = ".jsonl", ".parquet"
STAMP = "%Y%m%dT%H%M%S"


def _json(value: Any) -> str:
    import orjson

    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


def _whole(value: Any) -> int:
    if not -(2**63) <= (number := int(value)) < 2**63:
        raise ValueError("more than 64 bits")
    return number


def _micros(value: Any) -> int:
    return _whole(value.timestamp() * 1e6 if isinstance(value, datetime) else value)


# How each column is stored in the journal; `time` in microseconds since 1970 (UTC).
COLUMNS: dict[str, Callable[[Any], Any]] = {
    "time": _micros,
    "request_id": str,
    "kind": str,
    "endpoint": str,
    "model": str,
    "version": _whole,
    "data_version": str,
    "latency_ms": float,
    "status": _whole,
    "confidence": float,
    "abstained": bool,
    "features": _json,
    "output": _json,
    "rating": float,
    "correction": str,
    "label": _json,
}


class Journal:
    """One file of JSON lines, locked while this process has it open."""

    SYNC_EVERY_S = 1.0

    def __init__(self, folder: Path) -> None:
        stamp = datetime.now(UTC).strftime(STAMP)
        self.path = folder / f"{stamp}-{uuid.uuid4().hex[:12]}{JOURNAL}"
        self.rows, self.size, self._began = 0, 0, time.monotonic()
        self._synced, self._dirty = self._began, False
        # Locked before it has its name: whoever finds it knows that it is alive.
        unnamed = folder / f"{atomic.TEMPORARY}{uuid.uuid4().hex}"
        with atomic.storage_errors(self.path):
            self._file = unnamed.open("xb", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            os.rename(unnamed, self.path)

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._began

    def append(self, lines: list[bytes]) -> None:
        """All of ``lines`` or none. Raises StorageError."""
        data = b"".join(lines)
        with atomic.storage_errors(self.path):
            try:
                self._append(data)
            except OSError:
                os.ftruncate(self._file.fileno(), self.size)
                self._file.seek(self.size)
                raise
        self.rows += len(lines)
        self.size += len(data)
        self._dirty = True

    def sync(self) -> None:
        """Bring what is new to the disk, once a second at most."""
        if self._dirty and time.monotonic() - self._synced >= self.SYNC_EVERY_S:
            with atomic.storage_errors(self.path):
                os.fsync(self._file.fileno())
            self._synced, self._dirty = time.monotonic(), False

    def close(self) -> None:
        """Turn it into Parquet. Raises StorageError, and leaves the journal for ``recover``."""
        try:
            to_parquet(self.path)
        finally:
            self._file.close()

    def _append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]


def recover(folder: Path) -> int:
    """Turn the journals that dead processes left into Parquet; how many there were.

    Raises StorageError where one cannot be read, or its Parquet file not be written.
    """
    found = 0
    for path in sorted(folder.glob(f"*{JOURNAL}")):
        with (
            atomic.storage_errors(path),
            suppress(FileNotFoundError, BlockingIOError),
            path.open("rb") as file,
        ):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have done it between the look and the lock.
            if path.exists():
                to_parquet(path)
                found += 1
    atomic.sweep(folder)
    return found


def to_parquet(journal: Path) -> None:
    """Make the Parquet file of a journal and remove the journal. Raises StorageError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = journal.with_suffix(PARQUET)
    if not target.exists():
        table = journal_table(journal.read_bytes())
        if table.num_rows:
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink, compression="zstd")
            atomic.write_bytes(target, sink.getvalue())
    with atomic.storage_errors(journal):
        journal.unlink()


def journal_line(at: int, record: Mapping[str, Any]) -> bytes:
    """One row as a line; ``at`` is its time unless it has one, in microseconds since 1970.

    Raises TypeError or ValueError for a value that does not fit.
    """
    import orjson

    return orjson.dumps({"time": at} | _typed(record), option=orjson.OPT_APPEND_NEWLINE)


def journal_table(data: bytes) -> "pa.Table":
    """The rows of a journal: of its whole lines, that is; what a crash cut short is left out."""
    import pyarrow as pa
    import pyarrow.json as pj

    stored, final = schemas()
    whole = data[: data.rfind(b"\n") + 1]
    if not whole:
        return final.empty_table()
    parsing = pj.ParseOptions(explicit_schema=stored, unexpected_field_behavior="ignore")
    # One block: a line must not be longer than a block.
    reading = pj.ReadOptions(block_size=len(whole) + 1)
    try:
        table = pj.read_json(pa.BufferReader(whole), reading, parsing)
    except pa.ArrowInvalid:
        table = pa.Table.from_pylist(list(_readable(whole)), stored)
    return table.cast(final)


def _typed(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: cast(value)
        for name, cast in COLUMNS.items()
        if (value := record.get(name)) is not None
    }


def _readable(lines: bytes) -> Iterator[dict[str, Any]]:
    import orjson

    for line in lines.splitlines():
        with suppress(ValueError, TypeError, AttributeError):
            yield _typed(orjson.loads(line))


def schemas() -> tuple["pa.Schema", "pa.Schema"]:
    """The types in the journal, and those in Parquet."""
    import pyarrow as pa

    types: dict[Any, Any] = {_whole: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    stored = pa.schema([(name, types.get(cast, pa.string())) for name, cast in COLUMNS.items()])
    time_at = stored.get_field_index("time")
    final = stored.set(time_at, pa.field("time", pa.timestamp("us", "UTC")))
    return stored.set(time_at, pa.field("time", pa.int64())), final
