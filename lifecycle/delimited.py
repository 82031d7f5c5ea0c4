"""Text files of columns as SELECT statements for DuckDB: nothing is read before it is needed.

All columns come as text, so that what is no number is still there to be shown. UTF-8 with or
without a byte-order mark is read as such, anything else as Latin-1.
"""

import codecs
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import DataError, SourceError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

SEPARATORS = ",;\t|"
_BLOCK = 1 << 20
_BROKEN_LINES = "SELECT DISTINCT line, csv_line FROM reject_errors ORDER BY line"


def select_text(
    path: Path,
    separator: str = ",",
    columns: Sequence[str] = (),
    quote: str = '"',
    encoding: str = "",
) -> str:
    """A SELECT of all rows of a file; without ``columns`` its first line names them.

    Lines that do not split into the columns land in DuckDB's table ``reject_errors``. Raises
    SourceError where there is no file or nothing in it.
    """
    encoding = encoding or encoding_of(path)
    named = list(columns) or header(path, separator, encoding)
    types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in named)
    options = [
        f"header = {not columns}",
        f"delim = {literal(separator)}",
        f"quote = {literal(quote)}",
        f"escape = {literal(quote)}",
        f"encoding = '{encoding}'",
        "auto_detect = false",
        "store_rejects = true",
        f"columns = {{{types}}}",
    ]
    return f"SELECT * FROM read_csv({literal(str(path.resolve()))}, {', '.join(options)})"


def header(path: Path, separator: str = ",", encoding: str = "") -> list[str]:
    """The names in the first line. Raises DataError where it names no columns, or one twice."""
    first = first_lines(path, 1, encoding)
    names = [name.strip() for name in next(csv.reader(first, delimiter=separator), [])]
    if not all(names) or not names:
        raise DataError(
            f"{path}: the first line gives column {names.index('') + 1 if names else 1} no name.",
            "Give every column a name in the first line.",
        )
    folded = [name.casefold() for name in names]
    twice = next((name for name in names if folded.count(name.casefold()) > 1), None)
    if twice is not None:
        raise DataError(
            f"{path}: the first line names column {twice!r} twice.",
            "Names must differ by more than upper and lower case: rename one.",
        )
    return names


def first_lines(path: Path, count: int, encoding: str = "") -> list[str]:
    """The first lines of a text file. Raises SourceError where there is nothing to read."""
    _require_file(path)
    with path.open("rb") as file:
        block = file.read(_BLOCK)
    try:
        # The block may end within a letter.
        text = codecs.getincrementaldecoder(encoding or "utf-8")().decode(block)
    except UnicodeDecodeError:
        text = block.decode("latin-1")
    return text.removeprefix("\ufeff").splitlines()[:count]


def require(path: Path, found: Sequence[str], wanted: Sequence[str], separator: str = ",") -> None:
    """Raises DataError naming the missing columns and, where it looks so, the separator."""
    missing = [name for name in wanted if name not in found]
    if not missing:
        return
    line = separator.join(found)
    other = next((s for s in SEPARATORS if s != separator and len(line.split(s)) > 1), "")
    raise DataError(
        f"{path} lacks column{'s' * (len(missing) > 1)} {', '.join(map(repr, missing))}.",
        f"Its columns seem to be separated by {other!r}, not by {separator!r}."
        if other and len(found) == 1
        else f"Its columns are: {', '.join(found)}.",
    )


def read(sql: str, broken_lines: bool = True) -> "pd.DataFrame":
    """The rows of a SELECT, all as text. Raises DataError, with DuckDB's words.

    With ``broken_lines``, each line that does not split into its columns becomes a last row, with
    the line in the second column and nothing in the others, for validation to set aside.
    """
    import duckdb
    import pandas as pd

    try:
        with duckdb.connect() as connection:
            frame: pd.DataFrame = connection.sql(sql).df()
            lines = broken_lines and rejected(connection)
            found = connection.execute(_BROKEN_LINES).fetchall() if lines else []
    except duckdb.Error as error:
        raise DataError(f"DuckDB cannot read the files: {error}") from error
    broken = pd.DataFrame({frame.columns[1]: [line for _, line in found]}, dtype="object")
    return pd.concat([frame, broken], ignore_index=True).astype("str")


def rejected(connection: "duckdb.DuckDBPyConnection") -> bool:
    """Whether any file read on this connection was read with an eye to lines that do not split."""
    names = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    return ("reject_errors",) in names


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise SourceError(f"there is no file {path}.")
    if not path.stat().st_size:
        raise SourceError(f"{path} is empty.")


def encoding_of(path: Path) -> str:
    """``utf-8`` where all bytes are that, else ``latin-1``, in which any byte is a letter."""
    _require_file(path)
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"
