"""Rows that break the schema are set aside with the reason, never dropped in silence.

A pandera schema says what good data looks like. What concerns the table as a whole (a column is
missing, or has a type that the schema neither allows nor coerces) stops at once; what concerns
single rows sends those rows to a quarantine file. A column whose schema has the metadata
``{"sensitive": True}`` keeps its values out of reasons, messages and the quarantine file.
"""

import hashlib
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import atomic
from lifecycle.errors import InvalidDataError
from lifecycle.problems import (
    HIDDEN,
    is_type_check,
    sensitive,
    shown,
    table_name,
    table_problem,
    words,
)

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

PROBLEM = "problem"
EXAMPLES = 3
REASONS = 3


@dataclass(frozen=True)
class Failure:
    """One check that rows failed: the column (empty: several), what is wrong with the value in
    words (``is missing``), in how many rows, and a few of the values."""

    column: str
    problem: str
    rows: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        shown = f" (such as {', '.join(self.examples)})" if self.examples else ""
        where = f"{self.column} " if self.column else ""
        return f"{where}{self.problem} in {self.rows:,} row{'s' * (self.rows != 1)}{shown}"


@dataclass(frozen=True)
class Validated:
    """``good``: the rows that fit, coerced, index and order kept. ``bad``: the others as they
    came, with the column ``problem``. ``summary``: the failed checks, most rows first.
    ``quarantine_file``: where ``bad`` was written; None where all rows are good."""

    good: "pd.DataFrame"
    bad: "pd.DataFrame"
    summary: list[Failure]
    quarantine_file: Path | None

    @property
    def bad_share(self) -> float:
        return len(self.bad) / max(1, len(self.bad) + len(self.good))


def validate(
    frame: "pd.DataFrame",
    schema: "pa.DataFrameSchema",
    quarantine: Path,
    max_bad_share: float,
) -> Validated:
    """Part the rows of ``frame`` that fit ``schema`` from those that do not.

    Bad rows are written to a CSV file in the folder ``quarantine``, named by its content, so that
    the same bad rows give the same file. Raises InvalidDataError where the table as a whole does
    not fit, and where the share of bad rows is above ``max_bad_share`` (0 to 1); then the file is
    written first and named.
    """
    import pandas as pd

    require_columns([str(name) for name in frame.columns], schema)
    rows = frame.set_axis(pd.RangeIndex(len(frame)), axis=0)
    good, failures = split(rows, schema)
    hidden = sensitive(schema)
    bad = with_problem(frame, failures, hidden)
    result = Validated(
        good.set_axis(frame.index[good.index], axis=0),
        bad,
        _summary(failures),
        _write(bad, schema, quarantine),
    )
    if result.bad_share > max_bad_share:
        name, file = table_name(schema), result.quarantine_file
        raise refusal(name, len(bad), len(frame), result.summary, file, max_bad_share)
    return result


def require_columns(present: list[str], schema: "pa.DataFrameSchema") -> None:
    """Raises InvalidDataError where a column of ``schema`` is missing, with the nearest one."""
    missing = [
        str(name)
        for name, column in schema.columns.items()
        if column.required and not column.regex and name not in present
    ]
    if missing:
        spare = [name for name in present if name not in schema.columns]
        known = [name for name in present if name in schema.columns]
        there = ", ".join(present)
        if sensitive(schema):  # without a header, the first row stands where the names should
            there = ", ".join([*known, f"{len(spare)} that the schema does not know"])
            spare = []
        raise InvalidDataError(
            f"{table_name(schema)} lacks {', '.join(_lacking(name, spare) for name in missing)}.",
            f"Its columns are: {there or 'none at all'}.",
        )


def _lacking(name: str, spare: list[str]) -> str:
    near = get_close_matches(name, spare, n=1)
    return f"column {name!r}" + (f" (is it the one called {near[0]!r}?)" if near else "")


def split(
    rows: "pd.DataFrame", schema: "pa.DataFrameSchema"
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The rows that fit, coerced, and a line for each failure: row (its place), column, problem,
    value (hidden where sensitive). ``rows`` are numbered from 0.

    A value of the wrong type keeps its whole column from being checked: rows with such values
    are taken out first, then the others are checked in full.
    """
    import pandas as pd
    import pandera.errors

    found = [pd.DataFrame(columns=["row", "column", "check", "problem", "value"])]
    while True:
        try:
            good, failures = schema.validate(rows, lazy=True), pd.concat(found, ignore_index=True)
            hidden = failures["column"].isin(sensitive(schema))
            failures["value"] = failures["value"].mask(hidden, HIDDEN)
            return good, failures
        except pandera.errors.SchemaErrors as error:
            cases = error.failure_cases
            failures = _row_failures(cases[cases["index"].notna()], schema)
            if failures.empty:
                refused = InvalidDataError(table_problem(cases, schema))
                # Pandera's error holds the rows: it must not stand in a traceback.
                raise refused from (None if sensitive(schema) else error)
            mistyped = failures["row"][failures["check"].map(is_type_check)]
            if len(mistyped):
                failures = failures[failures["row"].isin(mistyped)]
            found.append(failures)
            rows = rows.drop(index=failures["row"].unique().tolist())


def _row_failures(cases: "pd.DataFrame", schema: "pa.DataFrameSchema") -> "pd.DataFrame":
    import pandas as pd

    whole_row = cases["schema_context"] == "DataFrameSchema"
    absent = cases["failure_case"].isna()
    problems = {check: words(check, schema) for check in cases["check"].unique()}
    problem = cases["check"].map(problems).mask(absent & ~whole_row, "is missing")
    failures = pd.DataFrame(
        {
            "row": cases["index"].astype("int64"),
            "column": cases["column"].astype("object").mask(whole_row, ""),
            "check": cases["check"],
            "problem": problem,
            "value": _values(cases, schema).map(shown).mask(absent | whole_row, ""),
        }
    )
    return failures.drop_duplicates(["row", "column", "problem"])


def _values(cases: "pd.DataFrame", schema: "pa.DataFrameSchema") -> "pd.Series[Any]":
    """The failing values; pandera makes floats of whole numbers beside other columns' cases."""
    whole = [name for name, column in schema.columns.items() if str(column.dtype) == "Int64"]
    values = cases["failure_case"].astype("object")
    spoilt = cases["column"].isin(whole) & values.map(lambda v: isinstance(v, float) and v % 1 == 0)
    return values.mask(spoilt, values[spoilt].map(int))


def with_problem(
    frame: "pd.DataFrame", failures: "pd.DataFrame", hidden: set[str]
) -> "pd.DataFrame":
    """The bad rows of ``frame`` with all that is wrong with each in a last column."""
    import pandas as pd

    words = failures[["column", "value", "problem"]].to_numpy()
    lines = pd.Series([" ".join(filter(None, line)) for line in words], dtype="object")
    sentences = lines.groupby(failures["row"]).agg("; ".join)
    bad = frame.iloc[sentences.index.to_numpy(dtype="int64")].copy()
    for name in hidden.intersection(bad.columns):
        bad[name] = HIDDEN
    name = PROBLEM
    while name in bad.columns:
        name += "_"
    bad[name] = sentences.to_numpy(dtype="object")
    return bad


def _summary(failures: "pd.DataFrame") -> list[Failure]:
    groups = failures.groupby(["column", "problem"], sort=True)
    found = [
        Failure(str(column), str(problem), len(group), _examples(group["value"]))
        for (column, problem), group in groups
    ]
    return sorted(found, key=lambda failure: -failure.rows)


def _examples(values: "pd.Series[str]") -> tuple[str, ...]:
    return tuple(values[values != ""].drop_duplicates().head(EXAMPLES))


def _write(bad: "pd.DataFrame", schema: "pa.DataFrameSchema", folder: Path) -> Path | None:
    if bad.empty:
        return None
    # Text that is no valid Unicode is one of the things that bad rows hold.
    data = bad.to_csv(index_label="row", lineterminator="\n").encode(errors="backslashreplace")
    path = folder / f"{file_stem(schema)}-{hashlib.sha256(data).hexdigest()[:12]}.csv"
    if not path.exists():
        atomic.write_bytes(path, data)
    return path


def file_stem(schema: "pa.DataFrameSchema") -> str:
    """What the quarantine files of a schema's rows begin with."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", schema.name or "rows")


def refusal(
    table: str, bad: int, total: int, summary: list[Failure], file: Path | None, allowed: float
) -> InvalidDataError:
    """The error for a table of which more than ``allowed`` (0 to 1) of the rows are bad."""
    reasons = "; ".join(map(str, summary[:REASONS]))
    more = len(summary) - REASONS
    others = f"; and {more} more kinds of failure" if more > 0 else ""
    return InvalidDataError(
        f"{bad:,} of {total:,} rows of {table} ({bad / max(1, total):.1%}) break the "
        f"schema, above the allowed {allowed:.1%}: {reasons}{others}.",
        f"They are in {file}, each with its reason: mend the source, or allow a larger share.",
    )
