"""From a data version to what is learned from and what is asked."""

from pathlib import Path

import numpy as np

from classic.recommend import splits
from classic.recommend.config import SplitConfig
from classic.recommend.holdout import EVENTS, FILMS, TABLES, USERS, write_events
from classic.recommend.warehouse import to_interactions
from lifecycle.bundle import link_or_copy
from lifecycle.errors import DataError


def split(data: Path, settings: SplitConfig, out: Path) -> str:
    """The events of ``data`` with which of them are held out, and films and users, to ``out``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(data / EVENTS)
    table = table.take(pa.array(np.argsort(table["time"].to_numpy(), kind="stable")))
    interactions = to_interactions(table)
    if settings.by == "time":
        held = splits.latest(interactions, settings.test_share)
    else:
        held = splits.last_of_each(interactions, settings.last)
    if held.all() or not held.any():
        raise DataError(
            f"splitting {len(held):,} events by {settings.by} leaves nothing on one side.",
            "Widen the window of data, or split otherwise.",
        )
    write_events(table, held, out)
    for name in (FILMS, USERS, TABLES):
        link_or_copy(data / name, out / name)
    asked = int(held.sum())
    return f"{len(held) - asked:,} events to learn from, {asked:,} held out (by {settings.by})"
