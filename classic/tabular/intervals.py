"""Intervals around a predicted number that hold the truth in a given share of new rows.

Conformalised quantile regression (Romano, Patterson and Candès, NeurIPS 2019) of the errors that
the model made on folds it was not fitted on: LightGBM learns how far off the model is, low and
high, for rows like this one, and the finite-sample correction of conformal prediction (Vovk,
Gammerman and Shafer, Algorithmic Learning in a Random World, 2005) widens or narrows it. Errors on
folds stand for those on new rows as in cross-conformal prediction and CV+ (Barber et al., Annals of
Statistics 2021).
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from classic.tabular.candidates.files import AGAIN, read_booster
from classic.tabular.columns import Floats
from classic.tabular.preparation import Prepared
from lifecycle.errors import BundleError

FILE = "intervals.json"
_SIDES = ("low", "high")
_TREES = 60


@dataclass(frozen=True)
class Intervals:
    """``boosters``: low and high quantiles of the error; ``margin``: what is added at both ends."""

    boosters: tuple[Any, Any]
    margin: float
    threads: int

    def __call__(self, prepared: Prepared, predicted: Floats) -> tuple[Floats, Floats]:
        """Both ends (rows,) each; the prediction lies between them."""
        low, high = (self._error(side, prepared) for side in (0, 1))
        return (
            np.minimum(predicted, predicted + low - self.margin),
            np.maximum(predicted, predicted + high + self.margin),
        )

    def save(self, folder: Path) -> None:
        for side, booster in zip(_SIDES, self.boosters, strict=True):
            (folder / f"intervals.{side}.txt").write_text(booster.model_to_string(), "utf-8")
        (folder / FILE).write_text(json.dumps({"margin": self.margin}), "utf-8")

    @classmethod
    def load(cls, folder: Path, threads: int) -> Self:
        """Raises BundleError where the folder holds no whole intervals."""
        low, high = (read_booster(folder / f"intervals.{side}.txt") for side in _SIDES)
        try:
            margin = float(json.loads((folder / FILE).read_text("utf-8"))["margin"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{folder / FILE} cannot be read: {error}.", AGAIN) from error
        return cls((low, high), margin, threads)

    def _error(self, side: int, prepared: Prepared) -> Floats:
        found: Floats = self.boosters[side].predict(prepared, num_threads=self.threads)
        return found


def fit_intervals(
    prepared: Prepared, errors: Floats, folds: NDArray[np.int64], coverage: float, threads: int
) -> tuple[Intervals, float]:
    """Intervals, and the share of rows (cross-fitted) that they hold.

    ``errors`` (rows,): target − prediction by a model that was not fitted on the row; ``folds``
    (rows,): the fold of each row.
    """
    scores = np.empty(len(errors))
    numbers = np.unique(folds)
    parts = [folds == number for number in numbers]
    if len(parts) < 2:
        parts = list(np.arange(len(errors)) % 2 == np.array([[0], [1]]))
    for part in parts:
        low, high = _quantiles(prepared[~part], errors[~part], coverage, threads)
        below = low.predict(prepared[part], num_threads=threads) - errors[part]
        above = errors[part] - high.predict(prepared[part], num_threads=threads)
        scores[part] = np.maximum(below, above)
    margin = conformal_quantile(scores, coverage)
    intervals = Intervals(_quantiles(prepared, errors, coverage, threads), margin, threads)
    return intervals, float((scores <= margin).mean())


def conformal_quantile(scores: Floats, coverage: float) -> float:
    """The ⌈(n + 1) × coverage⌉-th smallest of n scores; the largest where that is more than n."""
    rank = min(len(scores), math.ceil((len(scores) + 1) * coverage))
    return float(np.sort(scores)[rank - 1])


def _quantiles(
    prepared: Prepared, errors: Floats, coverage: float, threads: int
) -> tuple[Any, Any]:
    import lightgbm

    chosen = {
        "objective": "quantile",
        "learning_rate": 0.1,
        "num_leaves": 15,
        "min_data_in_leaf": max(20, len(errors) // 50),
        "seed": 0,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": threads,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(prepared, errors, params=chosen, free_raw_data=False)
    tail = (1 - coverage) / 2
    low, high = (
        lightgbm.train({**chosen, "alpha": alpha}, data, _TREES) for alpha in (tail, 1 - tail)
    )
    return low, high
