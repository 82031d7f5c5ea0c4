"""Plots for the report: SVG that takes its colours from the page and fits a phone.

Every figure is drawn twice, for a wide and for a narrow page, and the page's style shows one of
them. Colours are CSS variables of the page (``--ink``, ``--series-1``, …), so that one drawing is
right in light and in dark. Drawn with matplotlib's objects, without pyplot and its global state.
"""

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lifecycle.bootstrap import Interval
from lifecycle.wording import significant

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Stand-ins that matplotlib can draw with, replaced in the SVG by the page's variables.
INK, MUTED, LINE, SURFACE = "#010101", "#020202", "#030303", "#040404"
SERIES = ("#0a0001", "#0a0002", "#0a0003", "#0a0004", "#0a0005")
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    SURFACE: "--surface",
    **{color: f"--series-{number}" for number, color in enumerate(SERIES, start=1)},
}
# Shapes tell the series apart where colours do not: in print, and for the colour-blind.
MARKERS = ("o", "s", "D", "^", "v")
WIDE, NARROW = 860, 340
# In letters.
_LABEL_WIDTH = {WIDE: 34, NARROW: 18}
_LEGEND_WIDTH = {WIDE: 120, NARROW: 44}
_TEXT = 12
_FONT = re.compile(r"(font(?:-family)?: ?[^;\"]*?)'DejaVu Sans'[^;\"]*")
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": _TEXT,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def interval_figure(series: Mapping[str, Mapping[str, Interval]], label: str) -> str:
    """Values with their intervals: a row for each name, in it a dot with bars for each series.

    ``series``: what is compared (``hybrid``) to names (``ndcg@10``) to intervals; a name that a
    series lacks, or that has no value there, is left blank. ``label`` says what is shown.
    """
    names = list(dict.fromkeys(name for intervals in series.values() for name in intervals))
    offsets = min(0.22, 0.8 / max(1, len(series))) * (
        np.arange(len(series)) - (len(series) - 1) / 2
    )

    def draw(axes: "Axes", width: int) -> None:
        for number, (one, intervals) in enumerate(series.items()):
            known = [
                (row + offsets[number], intervals[name])
                for row, name in enumerate(names)
                if name in intervals and np.isfinite(intervals[name].value)
            ]
            _dots(axes, known, one, number)
        for border in range(1, len(names)):
            axes.axhline(border - 0.5, color=LINE, linewidth=0.8)
        _rows(axes, names, width)
        _legend(axes, len(series), width)

    rows = len(names) * (16 + 16 * len(series))
    return _figure(draw, rows + 40 + (26 if len(series) > 1 else 0), label)


def bar_figure(values: Mapping[str, float], label: str, unit: str = "") -> str:
    """A horizontal bar from zero for each name, its value beside it."""
    known = {name: value for name, value in values.items() if np.isfinite(value)}

    def draw(axes: "Axes", width: int) -> None:
        bars = axes.barh(range(len(known)), list(known.values()), 0.62, color=SERIES[0])
        shown = [f"{significant(value)} {unit}".strip() for value in known.values()]
        axes.bar_label(bars, shown, padding=6, color=INK, fontsize=_TEXT)
        axes.margins(x=0.22 if width == NARROW else 0.12)
        axes.axvline(0, color=LINE, linewidth=1)
        axes.set_xticks([])
        _rows(axes, list(known), width)

    return _figure(draw, 30 * max(1, len(known)) + 14, label)


def histogram_figure(
    values: Mapping[str, ArrayLike], label: str, axis: str = "", bins: int = 30
) -> str:
    """How the values of each series are distributed, over shared bins; NaN is left out."""
    known = {name: _finite(column) for name, column in values.items()}
    edges = np.histogram_bin_edges(np.concatenate([np.zeros(0), *known.values()]), bins)

    def draw(axes: "Axes", width: int) -> None:
        for (name, column), color in zip(known.items(), _cycle(SERIES, len(known)), strict=True):
            axes.hist(column, edges.tolist(), color=color, alpha=0.28, histtype="stepfilled")
            axes.hist(
                column, edges.tolist(), color=color, linewidth=1.6, histtype="step", label=name
            )
        axes.grid(axis="y", linewidth=0.8)
        axes.set_xlabel(axis)
        axes.set_ylabel("examples")
        axes.locator_params(axis="y", integer=True, nbins=4)
        axes.tick_params(axis="y", labelcolor=MUTED)
        _legend(axes, len(known), width)

    return _figure(draw, 250, label)


def line_figure(
    lines: Mapping[str, tuple[ArrayLike, ArrayLike]], label: str, axes: tuple[str, str]
) -> str:
    """A line through points for each name: their x and y, of equal length, in order of x.

    ``axes``: what x and y are. A line called ``ideal`` is drawn thin and without points.
    """

    def draw(plot: "Axes", width: int) -> None:
        for number, (name, (x, y)) in enumerate(lines.items()):
            color, marker = SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]
            if name == "ideal":
                plot.plot(x, y, color=MUTED, linewidth=1, linestyle="--", label=name)
            else:
                few = np.size(np.asarray(x)) <= 30
                shape = marker if few else ""
                plot.plot(x, y, color=color, linewidth=1.8, marker=shape, markersize=5, label=name)
        plot.grid(axis="y", linewidth=0.8)
        plot.set_xlabel(axes[0])
        plot.set_ylabel(axes[1])
        plot.locator_params(axis="y", nbins=5)
        plot.tick_params(axis="y", labelcolor=MUTED)
        _legend(plot, len(lines), width)

    return _figure(draw, 280, label)


def _dots(axes: "Axes", points: Sequence[tuple[float, Interval]], name: str, number: int) -> None:
    color, marker = SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]
    for row, interval in points:
        bounds = [interval.low, interval.high]
        axes.plot(bounds, [row, row], color=color, linewidth=2.4, solid_capstyle="round")
    axes.plot(
        [interval.value for _, interval in points],
        [row for row, _ in points],
        marker,
        color=color,
        markersize=8.5,
        markeredgecolor=SURFACE,
        markeredgewidth=1.4,
        label=name,
    )


def _rows(axes: "Axes", names: Sequence[str], width: int) -> None:
    limit = _LABEL_WIDTH[width]
    short = [name if len(name) <= limit else f"{name[: limit - 1]}…" for name in names]
    axes.set_yticks(range(len(names)), short)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)


def _legend(axes: "Axes", count: int, width: int) -> None:
    if count > 1:
        handles, names = axes.get_legend_handles_labels()
        room = _LEGEND_WIDTH[width] > sum(len(name) + 5 for name in names)
        axes.figure.legend(
            handles,
            names,
            loc="outside upper left",
            ncols=count if room else 2,
            handletextpad=0.3,
            columnspacing=1.4,
            borderpad=0,
        )


def _figure(draw: Callable[["Axes", int], None], height: int, label: str) -> str:
    drawings = [_svg(draw, width, height, label) for width in (WIDE, NARROW)]
    return f'<div class="figure">{"".join(drawings)}</div>'


def _svg(draw: Callable[["Axes", int], None], width: int, height: int, label: str) -> str:
    """One drawing of ``width`` by ``height`` CSS pixels."""
    import matplotlib
    from matplotlib.figure import Figure

    file = io.StringIO()
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # Text stays text: the browser has the letters that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        axes = figure.add_subplot()
        axes.grid(axis="x", linewidth=0.8)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=0, pad=6)
        draw(axes, width)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(file.getvalue(), "wide" if width == WIDE else "narrow", label)


def _for_page(svg: str, variant: str, label: str) -> str:
    """The bare <svg> element: page colours and fonts, ids of its own, a label to read out."""
    from markupsafe import escape

    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    for color, variable in VARIABLES.items():
        body = body.replace(color, f"var({variable})")
    body = _FONT.sub(r"\1system-ui, sans-serif", body)
    prefix = hashlib.sha256(f"{variant}{body}".encode()).hexdigest()[:8]
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", body)
    opening = re.search(r'viewBox="[^"]*"', body)
    attributes = opening.group() if opening else ""
    start = f'<svg class="{variant}" {attributes} role="img" aria-label="{escape(label)}"'
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"{start} {names}>{body[body.index('>') + 1 :].strip()}"


def _finite(values: ArrayLike) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    column = np.asarray(values, dtype=np.float64)
    return column[np.isfinite(column)]


def _cycle(colors: Sequence[str], count: int) -> list[str]:
    return [colors[number % len(colors)] for number in range(count)]
