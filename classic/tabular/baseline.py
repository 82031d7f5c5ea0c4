"""What needs no features: the base rate, the shares of the classes, or the median."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.columns import Floats


@dataclass(frozen=True)
class Baseline:
    """``shares``: of the classes in training; empty for a regression. ``median``: of the target.
    ``alarm``: of two classes, whether it costs less in training to call every row positive than
    none."""

    shares: tuple[float, ...] = ()
    median: float = 0.0
    alarm: bool = False

    def probabilities(self, rows: int) -> Floats:
        """(rows, classes)."""
        return np.tile(np.asarray(self.shares), (rows, 1))


def fit_baseline(target: NDArray[Any], classes: int, alarm: bool) -> Baseline:
    if not classes:
        return Baseline(median=float(np.median(target)))
    counts = np.bincount(target, minlength=classes)
    return Baseline(shares=tuple((counts / counts.sum()).tolist()), alarm=alarm)
