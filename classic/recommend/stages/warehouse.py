"""From the source's files to a data version, and the tables that the next steps read."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from classic.recommend import warehouse
from classic.recommend.events import TableReport
from classic.recommend.holdout import EVENTS, FILMS, TABLES, USERS
from classic.recommend.stages.load import tables
from classic.recommend.warehouse import Warehouse, WarehouseConfig
from lifecycle.atomic import write_text
from lifecycle.data import DataStore
from lifecycle.stages import VERSION
from lifecycle.state import State


def build(loaded: Path, name: str, settings: WarehouseConfig, state: State, out: Path) -> str:
    """Check and join the files in ``loaded`` into data versions named ``name``; the tables of these
    go to ``out``. A sentence about it."""
    import pyarrow.parquet as pq

    store, now = DataStore(state.data), datetime.now(UTC)
    made = warehouse.build(tables(loaded), store, name, settings, state.quarantine / name, now)
    for version, file in ((made.events, EVENTS), (made.films, FILMS), (made.users, USERS)):
        pq.write_table(store.read(version), out / file, compression="zstd")
    described = {"dataset": made.events.dataset, "id": made.events.id}
    write_text(out / VERSION, json.dumps(described))
    write_text(out / TABLES, json.dumps(_described(made), indent=1))
    months = sorted({one.key.partition("/")[0] for one in made.events.partitions})
    text = f"data version {made.events.id}: {made.events.rows:,} events, {months[0]}"
    return f"{text} to {months[-1]}{_set_aside(made.reports)}"


def _described(made: Warehouse) -> dict[str, object]:
    reports = [
        {
            "table": one.table,
            "good": one.good,
            "bad": one.bad,
            "failures": [str(failure) for failure in one.failures],
            "quarantine": str(one.quarantine_file or ""),
        }
        for one in made.reports
    ]
    partitions = {one.key: one.rows for one in made.events.partitions}
    return {"tables": reports, "partitions": partitions, "unknown_genres": made.unknown_genres}


def _set_aside(reports: Sequence[TableReport]) -> str:
    bad = [f"{one.bad:,} {one.table} ({one.quarantine_file})" for one in reports if one.bad]
    return f"; set aside: {', '.join(bad)}" if bad else ""
