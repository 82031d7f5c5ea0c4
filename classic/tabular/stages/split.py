"""From a data version to rows to learn from and rows to be measured on."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classic.tabular.config import SplitConfig
from classic.tabular.settings import Problem
from classic.tabular.stages import tables
from lifecycle.errors import ConfigError, DataError
from lifecycle.stages import TABLE
from lifecycle.tables import TableSchema

if TYPE_CHECKING:
    import pandas as pd

TRAIN, TEST = "train.parquet", "test.parquet"
LEAST = 20
"""Rows that each side needs: below, nothing can be learned or measured."""


def split(
    data: Path, schema: TableSchema, problem: Problem, settings: SplitConfig, out: Path
) -> str:
    """The rows of ``data`` as two tables in ``out``. A sentence about it.

    By time, rows whose label became known only after the cut are left out of what is learned from.
    Raises DataError where a side has too few rows, ConfigError where the schema has no time.
    """
    frame = tables.read(data / TABLE, schema)
    if len(frame) < 2 * LEAST:
        raise DataError(
            f"the table has {len(frame)} rows, too few to learn from and to measure on.",
            f"It needs {2 * LEAST} at least.",
        )
    unknown = 0
    if settings.by == "time":
        train, test, unknown = _by_time(frame, schema, settings.test_share)
    else:
        train, test = _at_random(frame, schema, problem, settings)
    for part, name in ((train, "to learn from"), (test, "held out")):
        if len(part) < LEAST:
            raise DataError(
                f"{len(part)} rows are {name}; {LEAST} are needed.", "Change split.test_share."
            )
    _check_target(train, test, schema, problem)
    tables.write(train, schema, out / TRAIN)
    tables.write(test, schema, out / TEST)
    late = f", {unknown:,} left out: their label was not known yet" if unknown else ""
    return f"{len(train):,} rows to learn from, {len(test):,} held out (by {settings.by}){late}"


def _by_time(
    frame: "pd.DataFrame", schema: TableSchema, share: float
) -> tuple["pd.DataFrame", "pd.DataFrame", int]:
    if not schema.time:
        raise ConfigError(
            "split.by=time, but no column of the schema has the role time.",
            "Give one the role, or use --set split.by=random.",
        )
    ordered = frame.sort_values(schema.time, kind="stable", ignore_index=True)
    cut = ordered[schema.time].iloc[min(int(len(ordered) * (1 - share)), len(ordered) - 1)]
    later = ordered[schema.time] >= cut
    train, test = ordered[~later], ordered[later]
    if not schema.label_time:
        return train, test, 0
    known = (train[schema.label_time] < cut).fillna(False).astype(bool)
    return train[known], test, int((~known).sum())


def _at_random(
    frame: "pd.DataFrame", schema: TableSchema, problem: Problem, settings: SplitConfig
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Of each class its share, where there are classes."""
    target = frame[schema.target].to_numpy()
    groups = np.zeros(len(frame)) if problem == "regression" else target.astype(str)
    drawn = np.random.default_rng(settings.seed).random(len(frame))
    held = np.zeros(len(frame), dtype=np.bool_)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        held[rows[np.argsort(drawn[rows])[: round(len(rows) * settings.test_share)]]] = True
    return frame[~held], frame[held]


def _check_target(
    train: "pd.DataFrame", test: "pd.DataFrame", schema: TableSchema, problem: Problem
) -> None:
    if problem == "regression":
        return
    for part, name in ((train, "rows to learn from"), (test, "held-out rows")):
        classes = part[schema.target].unique().tolist()
        if len(classes) < 2:
            raise DataError(
                f"all {name} have the class {classes[0]!r} in {schema.target!r}: there is nothing "
                "to tell apart.",
                "Get rows of another class, widen data.window, or raise split.test_share.",
            )
