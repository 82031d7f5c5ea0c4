"""Tables in Arrow's file format: mapped from disk, so that opening one reads next to nothing."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.errors import BundleError

if TYPE_CHECKING:
    import pyarrow as pa

REBUILD = "Run the pipeline again to rebuild the index."
_ROWS = 8192
_DOCUMENTS = 64


def write_table(table: "pa.Table", path: Path) -> None:
    """Write ``table`` uncompressed, so that single rows can be read in place."""
    _write(table, path, _ROWS, None)


def map_table(path: Path) -> "pa.Table":
    """The table at ``path``, its memory that of the file. Raises BundleError."""
    import pyarrow as pa

    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowException) as error:
        raise BundleError(f"{path} cannot be read: {error}.", REBUILD) from error


def rows(table: "pa.Table", runs: Sequence[tuple[int, int]]) -> "pa.Table":
    """The rows of each (start, end) in ``runs``, in that order.

    Slices are views; `Table.take` would first copy a table of many batches into one.
    """
    import pyarrow as pa

    slices = [table.slice(start, end - start) for start, end in runs]
    return pa.concat_tables(slices) if slices else table.slice(0, 0)


class Rows:
    """Single rows of a table of many batches, as plain values."""

    def __init__(self, table: "pa.Table") -> None:
        batches = table.to_batches()
        self._names = table.schema.names
        self._columns = [batch.columns for batch in batches]
        self._starts = list(accumulate((len(batch) for batch in batches), initial=0))

    def __getitem__(self, position: int) -> dict[str, Any]:
        batch = bisect_right(self._starts, position) - 1
        row, columns = position - self._starts[batch], self._columns[batch]
        return {
            name: column[row].as_py() for name, column in zip(self._names, columns, strict=True)
        }


def write_documents(table: "pa.Table", path: Path) -> None:
    """Write documents compressed, in small batches: one is read without the others."""
    _write(table, path, _DOCUMENTS, "zstd")


class DocumentFile:
    """Documents at ``path``, found by their ``doc_id``. Nothing is opened before it is asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, doc_id: str) -> "pa.Table":
        """A table of one row, or of none. Raises BundleError where the file cannot be read."""
        import pyarrow as pa

        batch, row = self._places.get(doc_id, (0, -1))
        try:
            with pa.ipc.open_file(pa.memory_map(str(self.path))) as reader:
                if row < 0:
                    return pa.Table.from_batches([], reader.schema)
                return pa.Table.from_batches([reader.get_batch(batch).slice(row, 1)])
        except (OSError, pa.ArrowException) as error:
            raise BundleError(f"{self.path} cannot be read: {error}.", REBUILD) from error

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """Batch and row of each document."""
        import pyarrow as pa

        try:
            source = pa.memory_map(str(self.path))
            column = pa.ipc.open_file(source).schema.get_field_index("doc_id")
            only = pa.ipc.IpcReadOptions(included_fields=[column])
            reader = pa.ipc.open_file(source, options=only)
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        except (OSError, pa.ArrowException) as error:
            raise BundleError(f"{self.path} cannot be read: {error}.", REBUILD) from error
        return {
            doc_id: (number, row)
            for number, batch in enumerate(batches)
            for row, doc_id in enumerate(batch.column("doc_id").to_pylist())
        }


def _write(table: "pa.Table", path: Path, rows: int, compression: str | None) -> None:
    """Write ``table`` in batches of ``rows``: how it is cut in memory leaves no trace."""
    import pyarrow as pa

    options = pa.ipc.IpcWriteOptions(compression=compression)
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_file(file, table.schema, options=options) as writer,
    ):
        for start in range(0, len(table), rows):
            writer.write_table(table.slice(start, rows).combine_chunks())
