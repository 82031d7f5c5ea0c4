"""Which events are usable, judged in DuckDB: broken ones are set aside, never dropped in silence.

The quarantine file and the words are those of ``lifecycle.validation``; the checks run in SQL
because events may not fit in memory and need the other tables.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from classic.recommend.schema import REGION
from lifecycle import atomic
from lifecycle.delimited import literal, rejected
from lifecycle.errors import DataError
from lifecycle.hashing import sha256
from lifecycle.problems import shown
from lifecycle.validation import EXAMPLES, Failure, refusal

if TYPE_CHECKING:
    import duckdb

_RAW = """
    CREATE TABLE raw AS
    SELECT row_number() OVER () AS row, user_id, film_id, rating, time, region FROM ({events})
"""
# Seconds since 1970 where the text is a number, else a date and time, UTC where no zone is given.
_READ = """
    CREATE VIEW readable AS
    SELECT row, user_id, film_id, rating, time, region, TRY_CAST(rating AS FLOAT) AS stars,
           TRY_CAST(floor(coalesce(TRY_CAST(time AS DOUBLE), epoch(TRY_CAST(time AS TIMESTAMPTZ))))
                    AS BIGINT) AS seconds
    FROM raw
"""
# Few events come twice: their first rows make a small table, where numbering all copies would not.
_FIRST = """
    CREATE TABLE repeated AS
    SELECT user_id, film_id, seconds, min(row) AS first
    FROM readable GROUP BY user_id, film_id, seconds HAVING count(*) > 1
"""
_JUDGED = """
    CREATE TABLE judged AS
    SELECT readable.*, coalesce(nullif(trim(readable.region), ''), users.region) AS place,
           users.age, films.year, films.genres,
           row > repeated.first AS copy,
           users.user_id IS NOT NULL AS known_user, films.film_id IS NOT NULL AS known_film
    FROM readable
    LEFT JOIN users USING (user_id) LEFT JOIN films USING (film_id)
    LEFT JOIN repeated USING (user_id, film_id, seconds)
"""
_GOOD = """
    CREATE TABLE good AS
    SELECT strftime(make_timestamp(seconds * 1000000), '%Y-%m') || '/' || place AS key, row,
           user_id, film_id, stars AS rating, seconds AS time, place AS region,
           CAST(age AS SMALLINT) AS age, CAST(year AS SMALLINT) AS year, genres
    FROM judged WHERE NOT ({broken}) ORDER BY key
"""


@dataclass(frozen=True)
class Rules:
    """Ratings from ``low`` to ``high``; no time after ``now`` (seconds since 1970 UTC)."""

    low: float
    high: float
    now: int

    def checks(self) -> list[tuple[str, str, str]]:
        """(column, what is wrong in words, the condition in SQL under which it is)."""
        return [
            ("user_id", "is missing", "user_id IS NULL"),
            ("user_id", "is not among the users", "user_id IS NOT NULL AND NOT known_user"),
            ("film_id", "is missing", "film_id IS NULL"),
            ("film_id", "is not in the catalogue", "film_id IS NOT NULL AND NOT known_film"),
            ("rating", "is missing", "rating IS NULL"),
            ("rating", "cannot be read as a number", "rating IS NOT NULL AND stars IS NULL"),
            (
                "rating",
                f"is not within {self.low:g} to {self.high:g}",
                f"NOT (stars BETWEEN {self.low} AND {self.high})",
            ),
            ("time", "is missing", "time IS NULL"),
            ("time", "cannot be read as a time", "time IS NOT NULL AND seconds IS NULL"),
            ("time", "is before 1970", "seconds < 0"),
            ("time", "is in the future", f"seconds > {self.now}"),
            ("region", "is no short name", f"NOT regexp_full_match(place, {literal(REGION)})"),
            ("", "repeats another row's user_id, film_id, time", "copy"),
        ]


@dataclass(frozen=True)
class TableReport:
    """How many rows of a table were usable, what was wrong with the others, where they are."""

    table: str
    good: int
    bad: int
    failures: list[Failure]
    quarantine_file: Path | None


def judge(connection: "duckdb.DuckDBPyConnection", events: str, rules: Rules) -> None:
    """Make the tables ``good`` (with key and row) and ``bad`` (with the numbers of the checks
    that failed) from the SELECT ``events`` and the tables ``films`` and ``users``."""
    connection.execute(_RAW.format(events=events))
    connection.execute(_READ)
    connection.execute(_FIRST)
    connection.execute(_JUDGED)
    connection.execute("DROP TABLE raw CASCADE")
    conditions = [sql for _, _, sql in rules.checks()]
    broken = " OR ".join(f"coalesce({sql}, false)" for sql in conditions)
    cases = ", ".join(f"CASE WHEN {sql} THEN {n} END" for n, sql in enumerate(conditions))
    problems = f"list_filter([{cases}], lambda number: number IS NOT NULL)"
    connection.execute(_GOOD.format(broken=broken))
    connection.execute(
        f"CREATE TABLE bad AS SELECT *, {problems} AS problems FROM judged WHERE {broken}"
    )


def set_aside(
    connection: "duckdb.DuckDBPyConnection", rules: Rules, folder: Path, allowed: float
) -> TableReport:
    """Write the bad events to a CSV file in ``folder``, named by its content.

    Raises InvalidDataError where their share is above ``allowed``, DataError where there are no
    events at all.
    """
    split = _unsplit(connection)
    good, bad = _count(connection, "good"), _count(connection, "bad") + split
    if not good + bad:
        raise DataError("table 'events' has no rows.")
    if not bad:
        return TableReport("events", good, bad, [], None)
    failures = [_failure(connection, n, *check[:2]) for n, check in enumerate(rules.checks())]
    failures.append(Failure("", "cannot be split into its columns", split, ()))
    summary = sorted((one for one in failures if one.rows), key=lambda one: -one.rows)
    file = _write(connection, rules, folder)
    if bad > allowed * (good + bad):
        raise refusal("table 'events'", bad, good + bad, summary, file, allowed)
    return TableReport("events", good, bad, summary, file)


def _unsplit(connection: "duckdb.DuckDBPyConnection") -> int:
    """How many lines of text did not split; they become the table ``unsplit``."""
    source = "SELECT DISTINCT line, csv_line FROM reject_errors"
    if not rejected(connection):
        source = "SELECT 0 AS line, '' AS csv_line WHERE false"
    connection.execute(f"CREATE TABLE unsplit AS {source}")
    return _count(connection, "unsplit")


def _count(connection: "duckdb.DuckDBPyConnection", table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def _failure(
    connection: "duckdb.DuckDBPyConnection", number: int, column: str, problem: str
) -> Failure:
    chosen = f"FROM bad WHERE list_contains(problems, {number})"
    rows = _count(connection, f"(SELECT 1 {chosen})")
    if not column or not rows:
        return Failure(column, problem, rows, ())
    found = connection.execute(
        f"SELECT {column} {chosen} AND {column} IS NOT NULL "
        f"GROUP BY {column} ORDER BY min(row) LIMIT {EXAMPLES}"
    ).fetchall()
    return Failure(column, problem, rows, tuple(shown(value) for (value,) in found))


def _write(connection: "duckdb.DuckDBPyConnection", rules: Rules, folder: Path) -> Path:
    """Straight from DuckDB to a file beside the final one, which is then renamed into place."""
    words = ", ".join(
        literal(f"{column} {problem}".strip()) for column, problem, _ in rules.checks()
    )
    reasons = f"list_transform(problems, lambda number: [{words}][number + 1])"
    temporary = folder / f"{atomic.TEMPORARY}{uuid4().hex}.csv"
    with atomic.storage_errors(temporary):
        folder.mkdir(parents=True, exist_ok=True)
    connection.execute(
        "COPY (SELECT row, user_id, film_id, rating, time, region, "
        f"array_to_string({reasons}, '; ') AS problem FROM bad UNION ALL BY NAME "
        "SELECT 'line ' || line || ' cannot be split into its columns: ' || csv_line AS problem "
        f"FROM unsplit ORDER BY row, problem) TO {literal(str(temporary))} (HEADER)"
    )
    path = folder / f"events-{sha256(temporary)[:12]}.csv"
    with atomic.storage_errors(path):
        return temporary.replace(path)
