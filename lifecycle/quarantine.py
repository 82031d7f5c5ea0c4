"""The file of bad rows of a table that comes some rows at a time."""

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from lifecycle import atomic
from lifecycle.hashing import sha256
from lifecycle.problems import sensitive
from lifecycle.validation import EXAMPLES, PROBLEM, Failure, file_stem, with_problem

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

ROW = "row"


class Quarantine:
    """The CSV file of bad rows, written piece by piece and named by its content at the end."""

    def __init__(self, folder: Path, schema: "pa.DataFrameSchema") -> None:
        self.rows = 0
        self._folder, self._schema = folder, schema
        self._file = folder / f"{atomic.TEMPORARY}{uuid4().hex}.csv"
        self._found: dict[tuple[str, str], tuple[int, list[str]]] = {}

    def add(self, frame: "pd.DataFrame", failures: "pd.DataFrame", first: int) -> None:
        """Set aside the rows of ``frame`` that ``failures`` names; the table's row ``first`` is
        the frame's first."""
        if failures.empty:
            return
        bad = with_problem(frame, failures, sensitive(self._schema))
        self._write(bad.set_axis(bad.index + first, axis=0))
        for (column, problem), group in failures.groupby(["column", "problem"], sort=True):
            self._count(str(column), str(problem), len(group), group["value"].tolist())

    def add_broken(self, lines: "pd.DataFrame", columns: list[str]) -> None:
        """Count lines (file, line, problem) that are no rows at all."""
        if lines.empty:
            return
        where = "line " + lines["line"].astype("str") + " of " + lines["file"]
        empty = lines.reindex(columns=columns)
        problem = PROBLEM
        while problem in columns:
            problem += "_"
        self._write(empty.assign(**{problem: where + " " + lines["problem"]}).set_axis(where))
        for text, group in lines.groupby("problem"):
            self._count("", str(text), len(group), [])

    def summary(self) -> list[Failure]:
        """The failed checks, most rows first."""
        found = [
            Failure(column, problem, rows, tuple(examples))
            for (column, problem), (rows, examples) in sorted(self._found.items())
        ]
        return sorted(found, key=lambda failure: -failure.rows)

    def close(self) -> Path | None:
        """The file; None where no row is bad."""
        if not self.rows:
            return None
        path = self._folder / f"{file_stem(self._schema)}-{sha256(self._file)[:12]}.csv"
        with atomic.storage_errors(path):
            return self._file.replace(path)

    def discard(self) -> None:
        self._file.unlink(missing_ok=True)

    def _write(self, bad: "pd.DataFrame") -> None:
        text = bad.to_csv(index_label=ROW, lineterminator="\n", header=not self.rows)
        with atomic.storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._file.open("ab") as file:
                file.write(text.encode(errors="backslashreplace"))
        self.rows += len(bad)

    def _count(self, column: str, problem: str, rows: int, values: list[str]) -> None:
        before, examples = self._found.get((column, problem), (0, []))
        examples = list(dict.fromkeys([*examples, *filter(None, values)]))[:EXAMPLES]
        self._found[column, problem] = before + rows, examples
