"""Files of a user's own, CSV, TSV or Parquet, as the one table of a problem.

DuckDB reads and writes in pieces, so that a file may be larger than memory. Text stays text,
without the blanks around it; words for what is missing become nulls. The schema reads the types.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from lifecycle import delimited
from lifecycle.atomic import storage_errors
from lifecycle.config import Frozen
from lifecycle.delimited import identifier, literal
from lifecycle.errors import ConfigError, DataError, SourceError
from lifecycle.hashing import sha256
from lifecycle.stages import BROKEN_LINES, TABLE

if TYPE_CHECKING:
    import duckdb

TEXT, PARQUET = frozenset({".csv", ".tsv", ".txt"}), frozenset({".parquet", ".pq"})
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None")
NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_BLANKS = "' ' || chr(9) || chr(10) || chr(13)"
_SAMPLE_LINES = 50
# What DuckDB calls the ways in which a line does not split.
_BROKEN = {
    "MISSING COLUMNS": "has too few columns",
    "TOO MANY COLUMNS": "has too many columns",
    "UNQUOTED VALUE": "has a quote that does not end",
    "INVALID ENCODING": "is not in the encoding of the file",
    "LINE SIZE OVER MAXIMUM": "is too long",
}


class FilesConfig(Frozen):
    """``source:`` of kind ``files``.

    ``path``: a file or a folder of them, counted from the project. ``separator``: empty to find
    out. ``encoding``: of text files; empty means UTF-8. ``missing``: the words for no value.
    ``memory_limit``: DuckDB's.
    """

    path: str = Field(min_length=1)
    separator: str = Field("", max_length=1)
    encoding: str = Field("", pattern="^(|utf-8|utf-16|latin-1)$")
    missing: tuple[str, ...] = MISSING
    memory_limit: str = Field("1GB", pattern=r"^\d+ ?[KMG]B$")


def load_files(config: FilesConfig, root: Path, out: Path) -> str:
    """Write the files as ``out/table.parquet``; a sentence about what was read.

    Lines that do not split into their columns are listed in ``out/broken_lines.parquet``, for
    validation to count. Raises SourceError where there is no file or an empty one, DataError for
    one that holds no table.
    """
    import duckdb

    paths = files(config, root)
    try:
        with duckdb.connect() as connection:
            _limit(connection, config, out / ".spill")
            select, columns = select_clean(connection, paths, config)
            done = connection.execute(
                f"COPY ({select}) TO {literal(str(out / TABLE))} (COMPRESSION zstd)"
            ).fetchone()
            broken = _write_broken(connection, out)
    except duckdb.Error as error:
        raise DataError(f"{config.path} cannot be read: {error}") from error
    finally:
        shutil.rmtree(out / ".spill", ignore_errors=True)
    rows = int(done[0]) if done else 0
    if not rows:
        raise DataError(f"{config.path} holds no rows{', only broken lines' * bool(broken)}.")
    several = f" from {len(paths)} files" if len(paths) > 1 else ""
    split = f"; {broken:,} lines do not split into the columns" if broken else ""
    return f"{rows:,} rows of {len(columns)} columns{several}{split}"


def digest_files(config: FilesConfig, root: Path) -> str:
    """SHA-256 over the names and bytes of the files: equal exactly when the source is unchanged."""
    total = hashlib.sha256()
    for path in files(config, root):
        total.update(f"{path.name}\0{sha256(path)}\n".encode())
    return total.hexdigest()


def files(config: FilesConfig, root: Path) -> list[Path]:
    """The files that ``config`` names, all text or all Parquet, sorted.

    Raises SourceError where there are none, ConfigError where they are of both kinds.
    """
    base = root / Path(config.path).expanduser()
    if not base.exists():
        raise SourceError(
            f"source.path {config.path!r} does not exist (looked in {root}).",
            "Name a CSV, TSV or Parquet file, or a folder of them.",
        )
    if base.is_file():
        return [base]
    found = sorted(p for p in base.iterdir() if p.suffix.lower() in TEXT | PARQUET)
    if not found:
        raise SourceError(f"{base} holds no .csv, .tsv, .txt, .parquet or .pq file.")
    if len({p.suffix.lower() in PARQUET for p in found}) > 1:
        raise ConfigError(f"{base} holds text files and Parquet files.", "Keep one kind there.")
    return found


def select_clean(
    connection: "duckdb.DuckDBPyConnection", paths: Sequence[Path], config: FilesConfig
) -> tuple[str, dict[str, str]]:
    """A SELECT as ``_select_files``, with text trimmed and nulls, and DuckDB's type by column."""
    select = _select_files(paths, config)
    described = connection.execute(f"DESCRIBE {select}").fetchall()
    columns = {name: kind for name, kind, *_ in described}
    chosen = ", ".join(_column(name, kind, config.missing) for name, kind in columns.items())
    return f"SELECT {chosen} FROM ({select})", columns


def _select_files(paths: Sequence[Path], config: FilesConfig) -> str:
    """A SELECT of all rows for DuckDB, in the order of the files and their lines.

    Raises DataError where a file holds no table, or other columns than the first.
    """
    read = _parquet if paths[0].suffix.lower() in PARQUET else _text
    parts = [read(path, config) for path in paths]
    first = parts[0][1]
    for path, (_, names) in zip(paths, parts, strict=True):
        for name in set(first).symmetric_difference(names):
            here, there = (path, paths[0]) if name in first else (paths[0], path)
            raise DataError(f"{here} lacks column {name!r}, which {there.name} has.")
    return " UNION ALL BY NAME ".join(sql for sql, _ in parts)


def separator_of(path: Path, encoding: str = "") -> str:
    """The separator that splits most of the first lines into as many columns as the first one.

    Raises DataError where none splits the first line.
    """
    import csv

    lines = [line for line in delimited.first_lines(path, _SAMPLE_LINES, encoding) if line.strip()]
    best, score = "", (0, 0)
    for separator in delimited.SEPARATORS:
        widths = [len(row) for row in csv.reader(lines, delimiter=separator)]
        found = (sum(width == widths[0] for width in widths), widths[0]) if widths else (0, 0)
        if found[1] > 1 and found > score:
            best, score = separator, found
    if not best:
        first = lines[0][:60] if lines else ""
        raise DataError(
            f"{path} has one column only: its first line is {first!r}, without "
            f"{', '.join(NAMES.values())}.",
            "Where another character separates the columns, name it: source.separator.",
        )
    return best


def _text(path: Path, config: FilesConfig) -> tuple[str, list[str]]:
    encoding = config.encoding or _utf8(path)
    separator = config.separator or separator_of(path, encoding)
    names = delimited.header(path, separator, encoding)
    if len(names) == 1:
        seen = separator_of(path, encoding)
        raise DataError(
            f"{path} has one column only when {NAMES.get(separator, repr(separator))} separates.",
            f"Its columns seem to be separated by {NAMES[seen]}: leave source.separator out.",
        )
    return delimited.select_text(path, separator, encoding=encoding), names


def _utf8(path: Path) -> str:
    """``utf-8``, or ``utf-16`` where the file opens with its mark. Raises DataError for others."""
    if delimited.encoding_of(path) == "utf-8":
        return "utf-8"
    with path.open("rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return "utf-16"
    raise DataError(
        f"{path} is not UTF-8; it may be Latin-1 or Windows-1252.",
        f"Set source.encoding to latin-1, or convert it: "
        f"iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8-{path.name}",
    )


def _parquet(path: Path, config: FilesConfig) -> tuple[str, list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is no readable Parquet file: {error}.") from error
    return f"SELECT * FROM read_parquet({literal(str(path))}, hive_partitioning = false)", names


def _column(name: str, kind: str, missing: Sequence[str]) -> str:
    column = identifier(name)
    if kind == "VARCHAR":
        trimmed, words = f"trim({column}, {_BLANKS})", ", ".join(map(literal, missing))
        empty = f"{trimmed} IN ({words})" if missing else "false"
        return f"CASE WHEN {empty} THEN NULL ELSE {trimmed} END AS {column}"
    if kind.startswith(("DECIMAL", "HUGEINT", "UHUGEINT")):
        return f"CAST({column} AS DOUBLE) AS {column}"
    return column


def _limit(connection: "duckdb.DuckDBPyConnection", config: FilesConfig, spill: Path) -> None:
    with storage_errors(spill):
        spill.mkdir(parents=True, exist_ok=True)
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET memory_limit = ?", [config.memory_limit])
    connection.execute("SET temp_directory = ?", [str(spill)])


def _write_broken(connection: "duckdb.DuckDBPyConnection", out: Path) -> int:
    """List the lines that did not split, without their text, which may be sensitive."""
    if not delimited.rejected(connection):
        return 0
    words = " ".join(f"WHEN {literal(k)} THEN {literal(v)}" for k, v in _BROKEN.items())
    done = connection.execute(
        "COPY (SELECT parse_filename(file_path) AS file, line, "
        f"min(CASE CAST(error_type AS VARCHAR) {words} ELSE 'does not split' END) AS problem "
        "FROM reject_errors JOIN reject_scans USING (scan_id, file_id) GROUP BY ALL "
        f"ORDER BY file, line) TO {literal(str(out / BROKEN_LINES))}"
    ).fetchone()
    rows = int(done[0]) if done else 0
    if not rows:
        (out / BROKEN_LINES).unlink()
    return rows
