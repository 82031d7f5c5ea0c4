"""A first schema for a table that nobody has described, for a person to correct.

Counts are over the whole file, by DuckDB. A text column is of a type when at least ``MOST`` of its
values can be read as that; validation will set the other rows aside.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lifecycle.column_facts import FORMATS, MAX_CLASSES, MOST, Facts, count
from lifecycle.columns import Type
from lifecycle.delimited import identifier
from lifecycle.errors import DataError, UsageError, did_you_mean
from lifecycle.intake import FilesConfig, files, select_clean
from lifecycle.tables import Column, Role, TableSchema

if TYPE_CHECKING:
    import duckdb

Problem = Literal["binary", "multiclass", "regression"]
UNIQUE = 0.999
LISTED = 20
FEW_WHOLE = 10
LONG_TEXT = 60
_ID_NAME = re.compile(r"(?i)(^|_|\b)(id|uuid|guid|key|number|no|nr)$|(?<=[a-z])(Id|ID|Number|No)$")


@dataclass(frozen=True)
class Inferred:
    """``notes``: what a person should look at, by column. ``spread``: the standard deviation of a
    target that is a number, else 0."""

    schema: TableSchema
    problem: Problem
    notes: dict[str, str]
    rows: int
    spread: float


def infer(config: FilesConfig, root: Path, target: str) -> Inferred:
    """The schema of the files of ``config``, with ``target`` to predict.

    Raises UsageError where there is no such column (naming the nearest), DataError where the files
    cannot be read or the target has one value only.
    """
    import duckdb

    try:
        with duckdb.connect() as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.execute("SET memory_limit = ?", [config.memory_limit])
            select, kinds = select_clean(connection, files(config, root), config)
            if target not in kinds:
                raise UsageError(
                    f"{config.path} has no column {target!r}.", did_you_mean(target, kinds)
                )
            connection.execute(f"CREATE VIEW rows AS {select}")
            facts = [count(connection, name, kind) for name, kind in kinds.items()]
            spread = _spread(connection, target)
    except duckdb.Error as error:
        raise DataError(f"{config.path} cannot be read: {error}") from error
    if not facts[0].rows:
        raise DataError(f"{config.path} holds no rows.")
    return _assemble(facts, target, spread)


def _assemble(facts: list[Facts], target: str, spread: float) -> Inferred:
    columns: dict[str, Column] = {}
    notes: dict[str, str] = {}
    problem: Problem = "regression"
    timed = False
    for fact in facts:
        if fact.name == target:
            problem, columns[target], note = _target(fact)
        else:
            column, note = _column(fact)
            if (
                column.type == "time"
                and column.role == "feature"
                and not column.nullable
                and not timed
            ):
                column, timed = column.model_copy(update={"role": "time"}), True
            columns[fact.name] = column
        if note:
            notes[fact.name] = note
    return Inferred(TableSchema(columns=columns), problem, notes, facts[0].rows, spread)


def _target(fact: Facts) -> tuple[Problem, Column, str]:
    """A class is a word, so that 1, true and yes are compared as they are written."""
    if fact.distinct < 2:
        raise DataError(
            f"the target {fact.name!r} has {fact.distinct} value{'s' * (fact.distinct != 1)} "
            f"in {fact.rows:,} rows: there is nothing to tell apart."
        )
    note = f"{fact.rows - fact.filled:,} rows without it" if fact.filled < fact.rows else ""
    numeric = fact.kind == "number" or (fact.kind != "boolean" and fact.mostly("number"))
    whole = fact.mostly("integer")
    few = fact.distinct == 2 or (fact.distinct <= FEW_WHOLE and whole)
    if numeric and not few:
        kind: Type = "integer" if whole else "number"
        return "regression", Column(type=kind, role="target"), note
    if fact.distinct > MAX_CLASSES:
        raise DataError(
            f"the target {fact.name!r} has {fact.distinct:,} different values that are no numbers.",
            f"Up to {MAX_CLASSES} classes can be told apart: is it the right column?",
        )
    column = Column(type="category", role="target", values=fact.values)
    return "binary" if fact.distinct == 2 else "multiclass", column, note


def _column(fact: Facts) -> tuple[Column, str]:
    if fact.distinct < 2:
        there = f"always {fact.values[0]!r}" if fact.values else "always missing"
        return Column(type="text", role="ignored", nullable=True), f"{there}: of no use"
    nullable = fact.filled < fact.rows
    kind, pattern = _kind(fact)
    different = fact.distinct / fact.rows
    if different >= UNIQUE and _names_rows(fact, kind):
        again = fact.rows - fact.distinct
        note = f", but {again:,} rows repeat or lack it and will be set aside" if again else ""
        return Column(type=kind, role="id", unique=True), f"taken for the id of the row{note}"
    if different >= MOST and kind == "category":
        return Column(type=kind, role="ignored", nullable=nullable), "nearly always different"
    values = fact.values if kind == "category" and fact.distinct <= LISTED else ()
    role: Role = "ignored" if kind == "text" else "feature"
    found = Column(type=kind, role=role, nullable=nullable, values=values, format=pattern)
    return found, _note(fact, found)


def _names_rows(fact: Facts, kind: Type) -> bool:
    if kind == "integer":
        return fact.consecutive or _ID_NAME.search(fact.name) is not None
    return kind in ("text", "category") and fact.longest <= LONG_TEXT


def _kind(fact: Facts) -> tuple[Type, str]:
    """The type, and how a time is written where that is not ISO 8601."""
    if fact.kind != "text":
        return ("integer" if fact.kind == "number" and fact.mostly("integer") else fact.kind), ""
    if fact.mostly("boolean"):
        return "boolean", ""
    if fact.mostly("number") and not fact.reads["zeros"]:
        return ("integer" if fact.mostly("integer") else "number"), ""
    if fact.mostly("time"):
        return "time", ""
    pattern = next((p for p in FORMATS if fact.mostly(p)), "")
    if pattern:
        return "time", pattern
    return ("text" if fact.longest > LONG_TEXT and fact.distinct > LISTED else "category"), ""


def _note(fact: Facts, column: Column) -> str:
    notes = []
    unreadable = fact.filled - fact.reads.get(column.format or column.type, fact.filled)
    if unreadable and fact.kind == "text":
        notes.append(f"{unreadable:,} values cannot be read as {column.type}")
    if column.format and fact.mostly("%d/%m/%Y") and fact.mostly("%m/%d/%Y"):
        notes.append("day before month, or month before day?")
    if column.type == "text":
        notes.append("long text: no feature")
    elif column.type == "category" and fact.distinct > LISTED:
        notes.append(f"{fact.distinct:,} different values")
    return "; ".join(notes)


def _spread(connection: "duckdb.DuckDBPyConnection", target: str) -> float:
    number = f"TRY_CAST(CAST({identifier(target)} AS VARCHAR) AS DOUBLE)"
    row = connection.execute(
        f"SELECT stddev_pop({number}) FROM rows WHERE isfinite({number})"
    ).fetchone()
    return float(row[0] or 0.0) if row else 0.0
