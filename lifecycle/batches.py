"""``lifecycle.validation`` for a table that may not fit in memory: some rows at a time.

That a value comes only once is looked for by DuckDB, among the rows that are good otherwise.
"""

import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lifecycle.delimited import identifier, literal
from lifecycle.errors import DataError
from lifecycle.privacy import protector, revealer, stored_types
from lifecycle.problems import DUPLICATE, HIDDEN, sensitive, shown, table_name
from lifecycle.quarantine import Quarantine
from lifecycle.tables import TableSchema
from lifecycle.validation import refusal, require_columns, split

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa
    import pyarrow

ROWS = 131_072
ROW_NUMBER = "row number"
MEMORY_LIMIT = "1GB"


def validate_file(table: Path, columns: TableSchema, quarantine: Quarantine, out: Path) -> int:
    """Write the good rows of the Parquet file ``table`` as ``out``, in the types of ``columns``,
    sensitive ones protected; how many.

    Bad rows go to ``quarantine``. Raises InvalidDataError where the table as a whole does not fit.
    """
    import pyarrow.parquet as pq

    schema, types = columns.pandera(), stored_types(columns)
    require_columns(list(pq.read_schema(table).names), schema)
    unique = [name for name, column in schema.columns.items() if column.unique]
    plain = _without_uniqueness(schema)
    judged = out.with_suffix(".judged")
    try:
        good = _write_good(table, plain, columns, quarantine, judged)
        repeated = {name: _repeated(judged, name) for name in unique}
        _set_aside(table, list(types.names), repeated, quarantine, schema)
        again = np.unique(np.concatenate([*repeated.values(), np.empty(0, np.int64)]))
        _write_final(judged, types, again, out)
        return good - len(again)
    finally:
        judged.unlink(missing_ok=True)


def refuse_above(
    allowed: float, good: int, bad: Quarantine, schema: "pa.DataFrameSchema", file: Path | None
) -> None:
    """Raises InvalidDataError where more than ``allowed`` (0 to 1) of all rows are bad."""
    total = good + bad.rows
    if bad.rows > allowed * total:
        raise refusal(table_name(schema), bad.rows, total, bad.summary(), file, allowed)


def _batches(table: Path, columns: list[str]) -> Iterator[tuple[int, "pyarrow.Table"]]:
    """(number of the first row, some rows), columns as they lie in the file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(table) as file:
        there = [name for name in file.schema_arrow.names if name in columns]
        first = 0
        for batch in file.iter_batches(ROWS, columns=there):
            yield first, pa.Table.from_batches([batch])
            first += batch.num_rows


def _without_uniqueness(schema: "pa.DataFrameSchema") -> "pa.DataFrameSchema":
    plain = deepcopy(schema)
    for column in plain.columns.values():
        column.unique = False
    return plain


def _write_good(
    table: Path,
    schema: "pa.DataFrameSchema",
    columns: TableSchema,
    quarantine: Quarantine,
    judged: Path,
) -> int:
    """The good rows with their numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = pa.field(ROW_NUMBER, pa.int64())
    plain, stored = columns.arrow().append(number), stored_types(columns).append(number)
    reveal, protect = revealer(columns), protector(columns)
    good = 0
    with pq.ParquetWriter(judged, stored, compression="zstd") as writer:
        for first, batch in _batches(table, list(schema.columns)):
            frame = reveal(batch).to_pandas()
            fits, failures = split(frame, schema)
            quarantine.add(frame, failures, first)
            rows = fits.assign(**{ROW_NUMBER: fits.index.to_numpy() + first})
            written = pa.Table.from_pandas(rows, plain, preserve_index=False)
            writer.write_table(protect(written).cast(stored))
            good += len(fits)
    return good


def _repeated(judged: Path, column: str) -> NDArray[np.int64]:
    """The numbers of the rows whose value of ``column`` stands in an earlier row."""
    import duckdb

    spill = judged.with_suffix(".spill")
    key, source = identifier(column), f"read_parquet({literal(str(judged))})"
    number = identifier(ROW_NUMBER)
    twice = f"SELECT {key}, min({number}) AS first FROM {source} GROUP BY 1 HAVING count(*) > 1"
    try:
        with duckdb.connect() as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.execute("SET memory_limit = ?", [MEMORY_LIMIT])
            connection.execute("SET temp_directory = ?", [str(spill)])
            found = connection.execute(
                f"SELECT {number} AS row FROM {source} JOIN ({twice}) USING ({key}) "
                f"WHERE {number} > first ORDER BY 1"
            ).fetchnumpy()["row"]
    except duckdb.Error as error:
        raise DataError(f"DuckDB cannot look for repeated {column!r}: {error}") from error
    finally:
        shutil.rmtree(spill, ignore_errors=True)
    return np.asarray(found, dtype=np.int64)


def _set_aside(
    table: Path,
    columns: list[str],
    repeated: dict[str, NDArray[np.int64]],
    quarantine: Quarantine,
    schema: "pa.DataFrameSchema",
) -> None:
    """The repeated rows as they came, with the reason."""
    if not any(map(len, repeated.values())):
        return
    for first, batch in _batches(table, columns):
        frame = batch.to_pandas()
        failures = _failures(frame, first, repeated, sensitive(schema))
        quarantine.add(frame, failures, first)


def _failures(
    frame: "pd.DataFrame",
    first: int,
    repeated: dict[str, NDArray[np.int64]],
    hidden: set[str],
) -> "pd.DataFrame":
    import pandas as pd

    lines = []
    for name, rows in repeated.items():
        here = rows[(rows >= first) & (rows < first + len(frame))] - first
        values = frame[name].iloc[here].map(lambda v, n=name: HIDDEN if n in hidden else shown(v))
        lines.append(
            pd.DataFrame(
                {"row": here, "column": name, "problem": DUPLICATE, "value": values.to_numpy()}
            )
        )
    return pd.concat(lines, ignore_index=True)


def _write_final(
    judged: Path, types: "pyarrow.Schema", again: NDArray[np.int64], out: Path
) -> None:
    """The judged rows without those whose numbers are in ``again``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(judged) as file, pq.ParquetWriter(out, types, compression="zstd") as writer:
        for batch in file.iter_batches(ROWS):
            keep = ~np.isin(batch.column(ROW_NUMBER).to_numpy(), again, assume_unique=True)
            rows = pa.Table.from_batches([batch]).filter(pa.array(keep))
            writer.write_table(rows.select(types.names))
