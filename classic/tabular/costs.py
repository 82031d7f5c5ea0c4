"""The threshold at which wrong decisions cost least."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.columns import Floats
from classic.tabular.settings import Costs
from lifecycle.errors import ConfigError, did_you_mean
from lifecycle.tables import TableSchema

if TYPE_CHECKING:
    import pandas as pd


def row_costs(costs: Costs, frame: "pd.DataFrame", schema: TableSchema) -> tuple[Floats, Floats]:
    """What a wrong alarm and a miss would cost in each row, (rows,) each; a cost that is missing
    is the mean of the others. Raises ConfigError for a column that is no number."""
    return (
        _of("false_positive", costs.false_positive, frame, schema),
        _of("false_negative", costs.false_negative, frame, schema),
    )


def best_threshold(
    scores: Floats, target: NDArray[Any], false_positive: Floats, false_negative: Floats
) -> tuple[float, float]:
    """The threshold (a score at or above it is an alarm) and its mean cost on these rows.

    All cuts between two neighbouring scores are compared: O(n log n).
    """
    order = np.argsort(-scores, kind="stable")
    ordered, positive = scores[order], target[order] == 1
    raised = np.cumsum(np.where(positive, 0.0, false_positive[order]))
    caught = np.cumsum(np.where(positive, false_negative[order], 0.0))
    missed = float(np.where(positive, false_negative[order], 0.0).sum())
    total = np.concatenate([[missed], raised + missed - caught])
    total[1:-1][np.diff(ordered) == 0] = np.inf  # no cut between equal scores
    cut = int(np.argmin(total))
    above = ordered[cut - 1] if cut else 1.0
    below = ordered[cut] if cut < len(ordered) else 0.0
    threshold = (above + below) / 2 if cut else (1.0 + below) / 2
    return float(threshold), float(total[cut] / len(scores))


def decision_costs(
    alarm: NDArray[np.bool_], target: NDArray[Any], costs: tuple[Floats, Floats]
) -> Floats:
    """What each row's decision cost, (rows,); ``costs``: of a wrong alarm and of a miss."""
    wrong = np.where(alarm, costs[0], costs[1])
    return np.where(alarm == (target == 1), 0.0, wrong)


def _of(name: str, cost: float | str, frame: "pd.DataFrame", schema: TableSchema) -> Floats:
    if not isinstance(cost, str):
        return np.full(len(frame), float(cost))
    numeric = [n for n, column in schema.columns.items() if column.type in ("number", "integer")]
    if cost not in numeric:
        raise ConfigError(
            f"costs.{name}={cost!r} is no column of numbers.", did_you_mean(cost, numeric)
        )
    found: Floats = frame[cost].to_numpy(dtype=np.float64, na_value=np.nan)
    known = ~np.isnan(found)
    return np.where(known, found, found[known].mean() if known.any() else 0.0)
