"""One self-contained HTML page a run: what was made, whether it passed, and on what evidence.

The page loads nothing and runs nothing (a content security policy says so to the browser), reads
in light and dark and on a phone, and escapes whatever text it is given. ``lifecycle.figures``
draws its plots.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from lifecycle.bootstrap import CONFIDENCE, RESAMPLES, Interval
from lifecycle.bundle import Manifest
from lifecycle.evaluation import Evaluation
from lifecycle.gate import Decision
from lifecycle.wording import MISSING, aligned

TEMPLATES = Path(__file__).parent / "templates"
Cell = str | int | float | bool | Interval | None


@dataclass(frozen=True)
class Table:
    """``rows`` hold a cell for each of ``columns``.

    Columns of numbers and intervals are set right; ``numeric`` names others that should be. A
    table of long texts is set as a list of records, each headed by its first cell.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(row)} cells for the columns {', '.join(self.columns)}")

    @property
    def right(self) -> list[bool]:
        """For each column, whether it is set right."""
        return [
            name in self.numeric or _all_numbers([row[number] for row in self.rows])
            for number, name in enumerate(self.columns)
        ]

    @property
    def wordy(self) -> bool:
        """Whether the cells hold more text than reads well side by side."""
        texts = [cell for row in self.rows for cell in row if isinstance(cell, str)]
        return max(map(len, texts), default=0) > 60


@dataclass(frozen=True)
class Section:
    """A part of the report under its own heading, with what it has of text (paragraphs parted by
    blank lines), a figure of ``lifecycle.figures``, a table, and preformatted ``code``.

    ``folded`` sections show their heading only, until they are opened.
    """

    title: str
    text: str = ""
    table: Table | None = None
    figure: str | None = None
    code: str = ""
    folded: bool = False

    @property
    def paragraphs(self) -> list[str]:
        return [part.strip() for part in self.text.split("\n\n") if part.strip()]


@dataclass(frozen=True)
class Report:
    """``facts``: label and value of what a reader wants first (data version, duration, …)."""

    title: str
    subtitle: str
    decision: Decision | None
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section] = field(default_factory=list)


def run_facts(manifest: Manifest, evaluation: Evaluation, champion: int) -> list[tuple[str, str]]:
    """What every report says first; ``champion``: the version compared with, 0 for none."""
    code = manifest.code_version
    commit = str(code.get("commit", ""))[:12] or "no commit"
    dirty = " with uncommitted changes" if code.get("dirty") else ""
    return [
        ("Data version", manifest.data_version),
        ("Code version", f"{commit}{dirty}"),
        ("Bundle", manifest.bundle_id),
        ("Compared with champion", f"version {champion}" if champion else "none yet"),
        ("Holdout", evaluation.holdout),
    ]


def settings(title: str, tree: Mapping[str, object]) -> Section:
    """A folded section that shows ``tree`` as JSON."""
    return Section(title, code=json.dumps(tree, indent=2), folded=True)


def render(report: Report) -> str:
    """The whole page as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell_text
    environment.filters["bounds"] = bounds_text
    environment.tests["interval"] = lambda value: isinstance(value, Interval)
    template = environment.get_template("report.html.j2")
    return template.render(report=report, confidence=round(CONFIDENCE * 100), resamples=RESAMPLES)


def cell_text(cell: Cell) -> str:
    """A cell as the table shows it; of an interval, its value."""
    if isinstance(cell, Interval):
        return aligned(cell.value)
    if cell is None:
        return MISSING
    if isinstance(cell, (bool, np.bool_)):
        return "yes" if cell else "no"
    if isinstance(cell, Integral):
        return f"{int(cell):,}"
    return aligned(float(cell)) if isinstance(cell, Real) else str(cell)


def bounds_text(interval: Interval) -> str:
    """The bounds below an interval's value; nothing where it has none."""
    if not math.isfinite(interval.low + interval.high):
        return ""
    between = "–" if interval.low >= 0 else " to "
    return f"{aligned(interval.low)}{between}{aligned(interval.high)}"


def metric_table(series: Mapping[str, Mapping[str, Interval]], first: str = "Metric") -> Table:
    """Intervals side by side: a row for each name, a column for each series, then how many
    examples they rest on (each series' own number where they differ).

    ``series``: what is compared (``hybrid``) to names (``ndcg@10``) to intervals, as for
    ``interval_figure``; a name that a series lacks stays blank.
    """
    names = dict.fromkeys(name for intervals in series.values() for name in intervals)
    rows: list[list[Cell]] = []
    for name in names:
        found = [intervals.get(name) for intervals in series.values()]
        counts = dict.fromkeys(one.n for one in found if one is not None)
        examples: Cell = next(iter(counts)) if len(counts) == 1 else " / ".join(map(str, counts))
        rows.append([name, *found, examples])
    return Table([first, *series, "Examples"], rows, frozenset({"Examples"}))


def by_prefix(evaluation: Evaluation, prefixes: Sequence[str]) -> dict[str, dict[str, Interval]]:
    """The metrics ``<prefix>.<name>`` of an evaluation, as prefix to name to interval."""
    return {
        prefix: {
            name.removeprefix(f"{prefix}."): interval
            for name, interval in evaluation.metrics.items()
            if name.startswith(f"{prefix}.")
        }
        for prefix in prefixes
    }


def by_segment(
    evaluation: Evaluation, segment: str, metrics: Sequence[str]
) -> dict[str, dict[str, Interval]]:
    """One segment's metrics, as metric to value of the segment to interval."""
    values = evaluation.segments.get(segment, {})
    return {
        metric: {value: found[metric] for value, found in values.items() if metric in found}
        for metric in metrics
    }


def _all_numbers(cells: Sequence[Cell]) -> bool:
    present = [cell for cell in cells if cell is not None]
    return bool(present) and all(
        isinstance(cell, (Real, Interval)) and not isinstance(cell, bool) for cell in present
    )
