"""Catalogue, users and events joined into training tables, as data versions.

DuckDB does the work in a file beside the data store, so that events need not fit in memory. An
event that cannot be used is set aside with the reasons; the others become partitions by month and
region (``2024-10/eu``). A window of months is a version of its own, and windows share the
partitions that they have in common.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from classic.recommend import schema
from classic.recommend.events import Rules, TableReport, judge, set_aside
from classic.recommend.films import FilmTables
from classic.recommend.interactions import Interactions
from classic.recommend.partitions import Partitions
from lifecycle import atomic
from lifecycle.config import Frozen
from lifecycle.data import DataStore, DataVersion
from lifecycle.errors import ConfigError, DataError
from lifecycle.validation import validate

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pandera.pandas as pa
    import pyarrow

_WINDOW = re.compile(r"(\d{4}-(?:0[1-9]|1[0-2]))(?::(\d{4}-(?:0[1-9]|1[0-2])))?")


class WarehouseConfig(Frozen):
    """``window``: ``2024-10`` for a month, ``2024-10:2024-12`` for months from and to, empty for
    all. ``max_bad_share``: of each table's rows. ``memory_limit``: DuckDB's, for the join."""

    window: str = ""
    min_rating: float = 0.5
    max_rating: float = 5.0
    max_bad_share: float = Field(0.2, ge=0, le=1)
    memory_limit: str = Field("2GB", pattern=r"^\d+ ?[KMG]B$")


@dataclass(frozen=True)
class Warehouse:
    """``events``: user_id, film_id, rating, time (seconds since 1970 UTC), region, age, year,
    genres; its context names the versions ``films`` and ``users``, which hold those without
    events too. ``unknown_genres``: how many films had them."""

    events: DataVersion
    films: DataVersion
    users: DataVersion
    reports: tuple[TableReport, ...]
    unknown_genres: dict[str, int]


def build(
    tables: FilmTables,
    store: DataStore,
    dataset: str,
    settings: WarehouseConfig,
    quarantine: Path,
    now: datetime,
) -> Warehouse:
    """Check, join and store ``tables`` as the data sets ``dataset``, ``dataset-films`` and
    ``dataset-users``.

    Events after ``now`` are in the future. Raises InvalidDataError where more than the allowed
    share of a table is bad, DataError where the files cannot be read or the window holds nothing.
    """
    months = _months(settings.window)
    films, films_report = _checked(tables.films, schema.films(), quarantine, settings)
    users, users_report = _checked(tables.users, schema.users(), quarantine, settings)
    films["genres"], unknown = schema.genres(films["genres"])
    rules = Rules(settings.min_rating, settings.max_rating, int(now.timestamp()))
    with _database(store.root / ".spill", settings.memory_limit) as connection:
        connection.register("films", films)
        connection.register("users", users)
        judge(connection, tables.events, rules)
        report = set_aside(connection, rules, quarantine, settings.max_bad_share)
        parts = Partitions(connection, months)
        if not parts:
            raise DataError(
                f"no usable event lies in the window {settings.window!r}.", parts.others()
            )
        stored_films = store.write(f"{dataset}-films", {"all": _arrow(films, ["year"])})
        stored_users = store.write(f"{dataset}-users", {"all": _arrow(users, ["age"])})
        context = {"films": stored_films.id, "users": stored_users.id}
        events = store.write(dataset, parts, context)
    reports = (films_report, users_report, report)
    return Warehouse(events, stored_films, stored_users, reports, unknown)


def to_interactions(events: "pyarrow.Table") -> Interactions:
    """The events of a version, users and items numbered by sorted id, in order of time.

    Events of one time stay in the order of the table. Raises DataError for a missing column.
    """
    for name in ("user_id", "film_id", "rating", "time"):
        if name not in events.column_names:
            raise DataError(f"the events have no column {name!r}.")
    times = events["time"].to_numpy().astype(np.int64)
    order = np.argsort(times, kind="stable")
    users, user_ids = _numbered(events["user_id"])
    items, item_ids = _numbered(events["film_id"])
    ratings = events["rating"].to_numpy().astype(np.float32)
    return Interactions(
        users[order], items[order], times[order], ratings[order], user_ids, item_ids
    )


def _numbered(column: "pyarrow.ChunkedArray") -> tuple["np.typing.NDArray[np.int32]", list[str]]:
    """Each value's place among the sorted distinct values, and those."""
    encoded = column.combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    ranked = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names), dtype=np.int32)
    place[ranked] = np.arange(len(names), dtype=np.int32)
    return place[encoded.indices.to_numpy()], [names[number] for number in ranked]


def _checked(
    frame: "pd.DataFrame", rules: "pa.DataFrameSchema", quarantine: Path, config: WarehouseConfig
) -> tuple["pd.DataFrame", TableReport]:
    """The good rows in order of their id."""
    if frame.empty:
        raise DataError(f"table {rules.name!r} has no rows.")
    found = validate(frame, rules, quarantine, config.max_bad_share)
    report = TableReport(
        str(rules.name), len(found.good), len(found.bad), found.summary, found.quarantine_file
    )
    first = str(frame.columns[0])
    return found.good.sort_values(first, ignore_index=True), report


def _arrow(frame: "pd.DataFrame", whole: list[str]) -> "pyarrow.Table":
    import pyarrow as pa

    numbers = {name: frame[name].astype("Int16") for name in whole}
    return pa.Table.from_pandas(frame.assign(**numbers), preserve_index=False)


@contextmanager
def _database(spill: Path, memory_limit: str) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A DuckDB file that is gone afterwards. DuckDB's errors leave as DataError."""
    import duckdb

    with atomic.storage_errors(spill):
        spill.mkdir(parents=True, exist_ok=True)
        folder = TemporaryDirectory(prefix=atomic.TEMPORARY, dir=spill)
    with folder as name, duckdb.connect(f"{name}/films.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET memory_limit = ?", [memory_limit])
        connection.execute("SET temp_directory = ?", [f"{name}/spill"])
        try:
            yield connection
        except duckdb.OutOfMemoryException as error:
            raise DataError(
                f"the events do not fit in DuckDB's {memory_limit}.", "Raise memory_limit."
            ) from error
        except duckdb.Error as error:
            raise DataError(f"DuckDB cannot join the tables: {error}") from error


def _months(window: str) -> tuple[str, str]:
    """First and last month. Raises ConfigError for what is no window."""
    match = _WINDOW.fullmatch(window)
    if window and (not match or (match[2] or match[1]) < match[1]):
        raise ConfigError(
            f"window {window!r} is no month and no span of months.",
            "Examples: 2024-10, or 2024-10:2024-12.",
        )
    return (match[1], match[2] or match[1]) if match else ("0000-00", "9999-99")
