"""The three tables that every source of films gives, and the files of a streaming service.

A service's folder holds ``catalogue.csv`` (film_id, title, year, genres with ``|`` between them),
``users.json`` (the export of a user API: a list of pages) and ``events.parquet`` or ``events.csv``
(user_id, film_id, rating, time, region).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import delimited
from lifecycle.errors import DataError, SourceError

if TYPE_CHECKING:
    import pandas as pd

FILMS = ("film_id", "title", "year", "genres")
USERS = ("user_id", "region", "age")
EVENTS = ("user_id", "film_id", "rating", "time", "region")
CATALOGUE_FILE, USERS_FILE, EVENTS_FILE = "catalogue.csv", "users.json", "events.parquet"


@dataclass(frozen=True)
class FilmTables:
    """What a source says, unchecked and as text.

    ``films`` and ``users`` fit in memory; ``events`` is a SELECT of the columns ``EVENTS`` for
    DuckDB, since they may not. An event without a region has that of its user.
    """

    films: "pd.DataFrame"
    users: "pd.DataFrame"
    events: str


def service_files(folder: Path) -> FilmTables:
    """The tables in a service's folder. Raises DataError naming file, cause and way out."""
    catalogue = folder / CATALOGUE_FILE
    films = delimited.select_text(catalogue)
    delimited.require(catalogue, delimited.header(catalogue), FILMS)
    return FilmTables(
        delimited.read(f"SELECT {', '.join(FILMS)} FROM ({films})"),
        read_users(folder / USERS_FILE),
        _events(folder),
    )


def read_users(path: Path) -> "pd.DataFrame":
    """Users from ``[{"page": 1, "pages": 2, "users": [{"user_id": …, …}]}, …]``, any order.

    Raises DataError where the JSON is cut short, is something else, or pages are missing.
    """
    import pandas as pd

    pages = _pages(path)
    try:
        there = sorted(int(page["page"]) for page in pages)
        last = max(int(page["pages"]) for page in pages)
        records = [{name: user.get(name) for name in USERS} for p in pages for user in p["users"]]
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise DataError(
            f"{path} is no export of users: {type(error).__name__} {error}.",
            'It must be a list of pages {"page": 1, "pages": 9, "users": [{"user_id": …}]}.',
        ) from error
    if there != list(range(1, len(there) + 1)) or last != len(there):
        numbers = ", ".join(map(str, there))
        raise DataError(f"{path} holds pages {numbers} of {last}.", "Export it again.")
    return pd.DataFrame(records, columns=list(USERS), dtype="object").astype("str")


def _pages(path: Path) -> list[Any]:
    try:
        pages = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise DataError(
            f"{path} is no complete JSON: {error}.", "The export was cut short: make it again."
        ) from error
    if not isinstance(pages, list) or not pages:
        raise DataError(f"{path} holds no list of pages of users.")
    return pages


def _events(folder: Path) -> str:
    parquet = folder / EVENTS_FILE
    text = parquet.with_suffix(".csv")
    if parquet.is_file():
        found = _parquet_columns(parquet)
        source = f"SELECT * FROM read_parquet({delimited.literal(str(parquet.resolve()))})"
    else:
        source, found = delimited.select_text(text), delimited.header(text)
    path = parquet if parquet.is_file() else text
    delimited.require(path, found, EVENTS[:-1])
    region = "region" if "region" in found else "NULL"
    columns = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in EVENTS[:-1])
    return f"SELECT {columns}, CAST({region} AS VARCHAR) AS region FROM ({source})"


def _parquet_columns(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is no readable Parquet file: {error}.") from error
