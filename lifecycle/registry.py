"""The model registry in a local MLflow database, read by plain SQL: `import mlflow` takes a second.

Only reads, and remembers nothing: an alias that was moved, by whomever, counts at once. The tables
are MLflow's own, so only the schema of the pinned version is read. Of any other, and of a database
that cannot be read, nothing is said (None), and the caller asks MLflow.
"""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHAMPION = "champion"
CHALLENGER = "challenger"

# MLflow's Alembic revision; raise it with the pin, after a look at what its migrations changed.
SCHEMA = "dc11669786a5"

_WAIT_S = 5.0  # for a writer
_NAMES = """
    SELECT name FROM registered_models m WHERE workspace = 'default' AND NOT EXISTS (
        SELECT 1 FROM registered_model_tags t WHERE t.workspace = m.workspace
        AND t.name = m.name AND t.key = 'mlflow.prompt.is_prompt' AND t.value = 'true')
    ORDER BY name
"""
_VERSIONS = """
    SELECT version, coalesce(run_id, ''), creation_time,
        (SELECT json_group_object(key, value) FROM model_version_tags t
         WHERE t.workspace = v.workspace AND t.name = v.name AND t.version = v.version),
        (SELECT json_group_array(alias) FROM registered_model_aliases a
         WHERE a.workspace = v.workspace AND a.name = v.name AND a.version = v.version)
    FROM model_versions v
    WHERE workspace = 'default' AND name = ? AND current_stage <> 'Deleted_Internal'
    ORDER BY version
"""
_LOCATION = """
    SELECT coalesce(nullif(storage_location, ''), source) FROM model_versions
    WHERE workspace = 'default' AND name = ? AND version = ?
        AND current_stage <> 'Deleted_Internal'
"""


@dataclass(frozen=True)
class Version:
    """A registered version: its number (from 1), tags, MLflow run, aliases, creation in ms."""

    name: str
    number: int
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    created_ms: int

    @property
    def passed(self) -> bool:
        return self.tags.get("gate") == "passed"


def names(database: Path | None) -> list[str] | None:
    """Every registered model, sorted; none where there is no file yet."""
    if database is not None and database.is_absolute() and not database.exists():
        return []
    rows = _select(database, _NAMES)
    return None if rows is None else [name for (name,) in rows]


def versions(database: Path | None, name: str) -> list[Version] | None:
    """The versions of ``name``, oldest first."""
    rows = _select(database, _VERSIONS, name)
    if rows is None:
        return None
    return [
        Version(name, number, run, json.loads(tags), tuple(sorted(json.loads(aliases))), created)
        for number, run, created, tags, aliases in rows
    ]


def location(database: Path | None, version: Version) -> str | None:
    """Where the version's files lie, as a URI."""
    rows = _select(database, _LOCATION, version.name, version.number)
    return rows[0][0] if rows else None


def _select(database: Path | None, query: str, *values: object) -> list[tuple[Any, ...]] | None:
    """One statement, so that its rows are of one moment."""
    if database is None:
        return None
    uri = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, timeout=_WAIT_S, uri=True)) as connection:
            schema = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            return connection.execute(query, values).fetchall() if schema == [(SCHEMA,)] else None
    except sqlite3.Error:
        return None
