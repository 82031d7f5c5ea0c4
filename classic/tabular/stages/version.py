"""From valid rows to a data version, and its rows for the next steps."""

import json
from pathlib import Path

from lifecycle.atomic import write_text
from lifecycle.bundle import link_or_copy
from lifecycle.data import DataStore, DataVersion
from lifecycle.errors import ConfigError, DataError
from lifecycle.months import UNKNOWN, Months
from lifecycle.stages import TABLE, VERSION
from lifecycle.tables import TableSchema


def version(
    valid: Path, schema: TableSchema, store: Path, dataset: str, window: str, out: Path
) -> str:
    """Store the rows of ``window`` (months; empty: all) as a version of ``dataset``: id and rows go
    to ``out``. A sentence about it.

    Raises ConfigError for a window where the schema has no time, DataError where it holds no row.
    """
    import pyarrow.parquet as pq

    data = DataStore(store)
    if not schema.time:
        if window:
            raise ConfigError(
                f"data.window={window!r}, but no column of the schema has the role time.",
                "Give one the role, or leave the window empty.",
            )
        made = data.write(dataset, {"all": pq.read_table(valid / TABLE)})
    else:
        with Months(valid / TABLE, schema.time, store / ".spill", _bounds(window)) as months:
            if not months:
                raise DataError(f"no row lies in the window {window!r}.", months.others())
            made = data.write(dataset, months)
    _hand_on(data, made, valid, window, out)
    return f"data version {made.id}: {made.rows:,} rows{_months(made, schema)}"


def _hand_on(data: DataStore, made: DataVersion, valid: Path, window: str, out: Path) -> None:
    import pyarrow.parquet as pq

    if window:
        pq.write_table(data.read(made), out / TABLE, compression="zstd")
    else:
        link_or_copy(valid / TABLE, out / TABLE)
    write_text(out / VERSION, json.dumps({"dataset": made.dataset, "id": made.id}))


def _bounds(window: str) -> tuple[str, str]:
    first, _, last = window.partition(":")
    return first, last or first or UNKNOWN


def _months(made: DataVersion, schema: TableSchema) -> str:
    keys = [one.key for one in made.partitions]
    return f", {keys[0]} to {keys[-1]}" if schema.time else ""
