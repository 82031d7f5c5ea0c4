"""Metrics that are no mean over examples: areas under curves, quantiles, calibration.

A statistic is computed from columns of the scores for many resamples at once: a resample is a row
of weights, how often each example was drawn. Names: ``roc_auc``, ``average_precision``,
``sensitivity@0.95`` (at that specificity), ``calibration_error`` from the columns ``target`` (0 or
1) and ``score``; ``r2`` from ``target`` and ``prediction``; ``rmse`` from ``squared_error``;
``<column>.p90`` is a percentile of that column. ``baseline.roc_auc`` takes ``baseline.score``.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lifecycle.bootstrap import CONFIDENCE, NOTHING, Floats, Interval, interval_of, weight_blocks

if TYPE_CHECKING:
    import pandas as pd

BINS = 10
Formula = Callable[[Floats, Sequence[Floats]], Floats]
_PERCENTILE = re.compile(r"(.+)\.p(\d{1,2})")
_SENSITIVITY = re.compile(r"sensitivity@(0\.\d+)")


@dataclass(frozen=True)
class Statistic:
    """``formula(weights, columns)``: weights (resamples, n) and ``columns`` (n,) to (resamples,);
    NaN where it has no value, as with one class only."""

    name: str
    columns: tuple[str, ...]
    formula: Formula


def find(name: str, columns: Collection[str]) -> Statistic | None:
    """The statistic called ``name``, or None where it is none or ``columns`` lack what it needs."""
    prefix, known = "", _plain(name)
    if known is None and "." in name:
        head, _, rest = name.partition(".")
        prefix, known = f"{head}.", _plain(rest)
    if known is None:
        return None
    needed = tuple(_own(one, prefix) for one in known.columns)
    if not set(needed) <= set(columns):
        return None
    return Statistic(name, needed, known.formula)


def measure(scores: "pd.DataFrame", names: Sequence[str]) -> dict[str, Interval]:
    """The statistics ``names`` of ``scores``, all on the same resamples; no unknown names."""
    found = [find(name, scores.columns) for name in names]
    known = [one for one in found if one is not None]
    return dict(zip([one.name for one in known], _bootstrap(scores, known), strict=True))


def gain(
    first: "pd.DataFrame", second: "pd.DataFrame", one: Statistic, other: Statistic
) -> tuple[float, float, Interval]:
    """``one`` of ``first``, ``other`` of ``second``, and the first less the second with its
    interval; row i of both frames is the same example."""
    mine, theirs = _columns(first, one), _columns(second, other)
    known = _known([*mine, *theirs])
    mine, theirs = ([column[known] for column in part] for part in (mine, theirs))
    n = int(known.sum())
    if not n:
        return np.nan, np.nan, NOTHING
    whole = np.ones((1, n))
    values = float(one.formula(whole, mine)[0]), float(other.formula(whole, theirs)[0])
    drawn = [one.formula(w, mine) - other.formula(w, theirs) for w in weight_blocks(n)]
    difference = interval_of(values[0] - values[1], np.concatenate(drawn), n, CONFIDENCE)
    return *values, difference


def _bootstrap(scores: "pd.DataFrame", statistics: Sequence[Statistic]) -> list[Interval]:
    out = []
    for one in statistics:
        part = _columns(scores, one)
        known = _known(part)
        n, kept = int(known.sum()), [column[known] for column in part]
        if not n:
            out.append(NOTHING)
            continue
        value = float(one.formula(np.ones((1, n)), kept)[0])
        drawn = [one.formula(weights, kept) for weights in weight_blocks(n)]
        out.append(interval_of(value, np.concatenate(drawn), n, CONFIDENCE))
    return out


def _columns(scores: "pd.DataFrame", one: Statistic) -> list[Floats]:
    return [scores[name].to_numpy(np.float64, na_value=np.nan) for name in one.columns]


def _known(columns: Sequence[Floats]) -> NDArray[np.bool_]:
    return ~np.isnan(np.sum(columns, axis=0))  # type: ignore[no-any-return]


def _own(column: str, prefix: str) -> str:
    return column if column == "target" else prefix + column


def _plain(name: str) -> Statistic | None:
    if name in _FIXED:
        columns, formula = _FIXED[name]
        return Statistic(name, columns, formula)
    if match := _SENSITIVITY.fullmatch(name):
        return Statistic(name, ("target", "score"), _sensitivity(float(match[1])))
    if match := _PERCENTILE.fullmatch(name):
        return Statistic(name, (match[1],), _percentile(int(match[2]) / 100))
    return None


def _curve(weights: Floats, columns: Sequence[Floats]) -> tuple[Floats, Floats]:
    """True and false positives (resamples, thresholds), the highest threshold first.

    Equal scores are one threshold; before the first nothing is positive.
    """
    target, score = columns
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    positive = np.cumsum(weights[:, order] * target[order], axis=1)[:, ends]
    both = np.cumsum(weights[:, order], axis=1)[:, ends]
    start = np.zeros((len(weights), 1))
    return np.hstack([start, positive]), np.hstack([start, both - positive])


def _roc_auc(weights: Floats, columns: Sequence[Floats]) -> Floats:
    true, false = _curve(weights, columns)
    area = (np.diff(false, axis=1) * (true[:, 1:] + true[:, :-1]) / 2).sum(axis=1)
    return _ratio(area, true[:, -1] * false[:, -1])


def _average_precision(weights: Floats, columns: Sequence[Floats]) -> Floats:
    """Σ (recall − recall before) · precision over thresholds, not interpolated."""
    true, false = _curve(weights, columns)
    precision = _ratio(true[:, 1:], true[:, 1:] + false[:, 1:])
    gained = np.diff(true, axis=1)
    return _ratio(np.nansum(gained * precision, axis=1), true[:, -1])


def _sensitivity(specificity: float) -> Formula:
    """The largest share of positives found while at least ``specificity`` of the negatives pass."""

    def formula(weights: Floats, columns: Sequence[Floats]) -> Floats:
        true, false = _curve(weights, columns)
        allowed = false <= (1 - specificity) * false[:, -1:] + 1e-9
        return _ratio(np.where(allowed, true, 0.0).max(axis=1), true[:, -1])

    return formula


def _calibration_error(weights: Floats, columns: Sequence[Floats]) -> Floats:
    """Expected calibration error (Guo et al., On calibration of modern neural networks, ICML 2017)
    over bins of equally many examples: the mean distance of score and outcome, bin by bin."""
    target, score = columns
    order = np.argsort(score, kind="stable")
    starts = np.unique(np.linspace(0, len(order), BINS + 1).astype(int)[:-1])
    apart = np.add.reduceat(weights[:, order] * (score - target)[order], starts, axis=1)
    return _ratio(np.abs(apart).sum(axis=1), weights.sum(axis=1))


def _percentile(share: float) -> Formula:
    def formula(weights: Floats, columns: Sequence[Floats]) -> Floats:
        values = np.sort(columns[0])
        total = np.cumsum(weights[:, np.argsort(columns[0])], axis=1)
        reached = total >= share * total[:, -1:] - 1e-9
        found: Floats = values[reached.argmax(axis=1)]
        return found

    return formula


def _r2(weights: Floats, columns: Sequence[Floats]) -> Floats:
    target, prediction = columns
    mean = weights @ target / weights.sum(axis=1)
    spread = (weights * (target - mean[:, None]) ** 2).sum(axis=1)
    return 1 - _ratio(weights @ (target - prediction) ** 2, spread)


def _rmse(weights: Floats, columns: Sequence[Floats]) -> Floats:
    means: Floats = np.sqrt(weights @ columns[0] / weights.sum(axis=1))
    return means


def _ratio(above: Floats, below: Floats) -> Floats:
    nothing: Floats = np.full(np.shape(above), np.nan)
    return np.divide(above, below, out=nothing, where=below > 0)


_FIXED: dict[str, tuple[tuple[str, ...], Formula]] = {
    "roc_auc": (("target", "score"), _roc_auc),
    "average_precision": (("target", "score"), _average_precision),
    "calibration_error": (("target", "score"), _calibration_error),
    "r2": (("target", "prediction"), _r2),
    "rmse": (("squared_error",), _rmse),
}
