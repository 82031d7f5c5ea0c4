"""Metrics on a fixed holdout with bootstrap confidence intervals, overall and per segment."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lifecycle.bootstrap import (
    Interval,
    bootstrap,
    bootstrap_mean,
    bootstrap_means,
    number,
    paired_difference,
)
from lifecycle.errors import ConfigError, did_you_mean
from lifecycle.statistics import find, measure

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Evaluation",
    "Interval",
    "bootstrap",
    "bootstrap_mean",
    "bootstrap_means",
    "evaluate_scores",
    "holdout_id",
    "paired_difference",
]

Metrics = dict[str, Interval]


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one holdout.

    ``holdout`` identifies its examples: two evaluations compare only where it is the same.
    ``metrics``: name (``hybrid.ndcg@10``) to interval; ``segments``: segment column to value to
    metrics; ``facts``: measured numbers without an interval (chunks, latencies, index health).
    """

    holdout: str
    metrics: Metrics
    segments: dict[str, dict[str, Metrics]] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; ``from_dict`` gives the same evaluation back."""
        return {
            "holdout": self.holdout,
            "metrics": _metrics_to_dict(self.metrics),
            "segments": {
                column: {value: _metrics_to_dict(metrics) for value, metrics in values.items()}
                for column, values in self.segments.items()
            },
            "facts": {name: x if math.isfinite(x) else None for name, x in self.facts.items()},
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        return cls(
            raw["holdout"],
            _metrics_from_dict(raw["metrics"]),
            {
                column: {value: _metrics_from_dict(metrics) for value, metrics in values.items()}
                for column, values in raw["segments"].items()
            },
            {name: number(x) for name, x in raw["facts"].items()},
        )


def holdout_id(examples: Iterable[str]) -> str:
    """16 hex digits that name a set of examples, in whatever order they come."""
    lines = "\n".join(hashlib.sha256(one.encode()).hexdigest() for one in sorted(examples))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def evaluate_scores(
    scores: "pd.DataFrame",
    metrics: Sequence[str],
    segments: Sequence[str],
    holdout: str,
    facts: Mapping[str, float] | None = None,
) -> Evaluation:
    """Each metric with its interval, overall and for each value of each segment.

    ``scores`` has one row per example, a numeric column per metric, of which the mean counts (NaN:
    does not apply), and a column per segment. A metric without a column is a statistic of
    ``lifecycle.statistics``. Raises ConfigError for a name that is neither.
    """
    for name in [*metrics, *segments]:
        if name in scores.columns or (name in metrics and find(name, scores.columns)):
            continue
        raise ConfigError(
            f"the scores have no column {name!r}.", did_you_mean(name, map(str, scores.columns))
        )
    return Evaluation(
        holdout,
        _metrics(scores, metrics),
        {segment: _by_value(scores, metrics, segment) for segment in segments},
        dict(facts or {}),
    )


def _metrics(scores: "pd.DataFrame", names: Sequence[str]) -> Metrics:
    means = [name for name in names if name in scores.columns]
    values = scores[means].to_numpy(dtype=np.float64, na_value=np.nan)
    found = dict(zip(means, bootstrap_means(values), strict=True))
    found |= measure(scores, [name for name in names if name not in found])
    return {name: found[name] for name in names}


def _by_value(scores: "pd.DataFrame", metrics: Sequence[str], segment: str) -> dict[str, Metrics]:
    labels = scores[segment].astype("object").where(scores[segment].notna(), "(none)").map(str)
    return {str(value): _metrics(part, metrics) for value, part in scores.groupby(labels)}


def _metrics_to_dict(metrics: Mapping[str, Interval]) -> dict[str, Any]:
    return {name: interval.to_dict() for name, interval in metrics.items()}


def _metrics_from_dict(raw: Mapping[str, Any]) -> Metrics:
    return {name: Interval.from_dict(interval) for name, interval in raw.items()}
