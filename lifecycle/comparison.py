"""Two models, or a model and its baseline, on the same examples."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lifecycle.bootstrap import Interval, paired_difference
from lifecycle.statistics import Statistic, gain

if TYPE_CHECKING:
    import pandas as pd

# Differences below this are rounding, not quality.
ROUNDING = 1e-9
# Five examples that all favour one side do so by chance once in 16 times (sign test, both sides),
# and the bootstrap of so few is too narrow: they show nothing at 95 %.
LEAST_EXAMPLES = 6


@dataclass(frozen=True)
class Comparison:
    """Means of the model and of what it is compared with, and the gain, positive for better."""

    model: float
    other: float
    gain: Interval

    @property
    def enough(self) -> bool:
        """Whether the examples can show anything; if both are the same on each, few are enough."""
        return self.gain.n >= LEAST_EXAMPLES or self.gain.low == self.gain.high == 0

    @property
    def known(self) -> bool:
        return math.isfinite(self.gain.value + self.gain.low)

    def __str__(self) -> str:
        gain = self.gain
        value, low, high = (_signed(one) for one in (gain.value, gain.low, gain.high))
        return f"a gain of {value} (95 % interval {low} to {high}, {gain.n:,} examples)"


def compare(
    model: "pd.Series[float]", other: "pd.Series[float]", higher_is_better: bool = True
) -> Comparison:
    """Compare two columns of scores, row by row; rows where either is NaN are left out."""
    first, second = model.to_numpy(float), other.to_numpy(float)
    sides = (first, second) if higher_is_better else (second, first)
    gain = paired_difference(*sides)
    both = ~np.isnan(first - second)
    if not both.any():
        return Comparison(math.nan, math.nan, gain)
    return Comparison(float(first[both].mean()), float(second[both].mean()), gain)


def compare_statistics(
    first: "pd.DataFrame",
    second: "pd.DataFrame",
    one: Statistic,
    other: Statistic,
    higher_is_better: bool = True,
) -> Comparison:
    """Compare ``one`` of the frame ``first`` with ``other`` of ``second``, whose rows are the same
    examples in the same order."""
    model, rival, difference = gain(first, second, one, other)
    if not higher_is_better:
        low, high = -difference.high, -difference.low
        difference = Interval(-difference.value, low, high, difference.n)
    return Comparison(model, rival, difference)


def _signed(number: float) -> str:
    return f"{0.0 if abs(number) < ROUNDING else number:+.3g}"
