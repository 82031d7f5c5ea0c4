"""What the shared steps do with a folder of tables: validate it, make it a data version."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.atomic import write_text
from lifecycle.bundle import link_or_copy

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

    from lifecycle.tables import TableSchema

TABLE = "table.parquet"
VERSION = "version.json"
BROKEN_LINES = "broken_lines.parquet"  # file, line, problem: what a text file had instead of rows


@dataclass(frozen=True)
class ValidationSummary:
    good: int
    bad: int
    quarantine: str


def validate_table(
    source: Path,
    schema: "DataFrameSchema",
    quarantine: Path,
    max_bad_share: float,
    out: Path,
    columns: "TableSchema | None" = None,
) -> ValidationSummary:
    """Copy the good rows of ``source/table.parquet`` to ``out``; bad ones go to ``quarantine``.

    With ``columns``, which ``schema`` was made of, some rows are read at a time, and what is
    written has these columns and their types, sensitive ones protected. Other files in ``source``
    are handed on.
    Raises InvalidDataError where more than ``max_bad_share`` of the rows are bad.
    """
    if columns is None:
        done = _validate_whole(source, schema, quarantine, max_bad_share, out)
    else:
        done = _validate_batches(source, columns, quarantine, max_bad_share, out)
    for path in source.iterdir():
        if path.name not in (TABLE, BROKEN_LINES):
            link_or_copy(path, out / path.name)
    return done


def version_table(
    source: Path, store: Path, dataset: str, context: Mapping[str, str], out: Path
) -> str:
    """Store ``source/table.parquet`` as a version of ``dataset``; its id, also in ``out``."""
    import pyarrow.parquet as pq

    from lifecycle.data import DataStore

    table = pq.read_table(source / TABLE)
    version = DataStore(store).write(dataset, {"all": table}, context)
    write_text(out / VERSION, json.dumps({"dataset": dataset, "id": version.id}))
    return version.id


def _validate_whole(
    source: Path, schema: "DataFrameSchema", quarantine: Path, max_bad_share: float, out: Path
) -> ValidationSummary:
    import pyarrow.parquet as pq

    from lifecycle.validation import validate

    table = pq.read_table(source / TABLE)
    checked = [name for name in schema.columns if name in table.column_names]
    frame = table.select(checked).to_pandas()
    result = validate(frame, schema, quarantine, max_bad_share)
    pq.write_table(table.take(result.good.index.to_numpy()), out / TABLE, compression="zstd")
    where = str(result.quarantine_file) if result.quarantine_file else ""
    return ValidationSummary(len(result.good), len(result.bad), where)


def _validate_batches(
    source: Path,
    columns: "TableSchema",
    quarantine: Path,
    max_bad_share: float,
    out: Path,
) -> ValidationSummary:
    import pandas as pd

    from lifecycle.batches import refuse_above, validate_file
    from lifecycle.quarantine import Quarantine

    schema = columns.pandera()
    bad = Quarantine(quarantine, schema)
    try:
        good = validate_file(source / TABLE, columns, bad, out / TABLE)
        if (source / BROKEN_LINES).is_file():
            bad.add_broken(pd.read_parquet(source / BROKEN_LINES), list(schema.columns))
        file = bad.close()
    finally:
        bad.discard()
    refuse_above(max_bad_share, good, bad, schema, file)
    return ValidationSummary(good, bad.rows, str(file or ""))
