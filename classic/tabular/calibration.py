"""Probabilities that mean what they say, learnt on rows that the model was not fitted on.

sigmoid: Platt, Probabilistic Outputs for Support Vector Machines, 1999, here on the log odds.
isotonic: Zadrozny and Elkan, Transforming Classifier Scores into Accurate Multiclass Probability
Estimates, KDD 2002; also for the classes one by one, their sum made 1, as there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from classic.tabular.columns import Floats
from classic.tabular.metrics import log_losses

Method = Literal["none", "sigmoid", "isotonic"]
METHODS: tuple[Method, ...] = ("none", "sigmoid", "isotonic")
BINS = 10
_EDGE = 1e-6
_FOLDS = 5


@dataclass(frozen=True)
class Curve:
    """sigmoid: slope ``x[0]`` and intercept ``y[0]`` on the log odds. isotonic: straight lines
    between the points (x, y)."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Calibration:
    """``curves``: of the positive class of two, or of each of several; empty for none."""

    method: Method = "none"
    curves: tuple[Curve, ...] = ()

    def __call__(self, probabilities: Floats) -> Floats:
        """(rows, classes) of (rows, classes); each row's sum is 1."""
        if self.method == "none":
            return probabilities
        if len(self.curves) == 1:
            positive = self._map(self.curves[0], probabilities[:, 1])
            return np.column_stack([1 - positive, positive])
        columns = [self._map(one, probabilities[:, n]) for n, one in enumerate(self.curves)]
        mapped = np.column_stack(columns)
        shares: Floats = mapped / mapped.sum(axis=1, keepdims=True)
        return shares

    def to_dict(self) -> dict[str, Any]:
        curves = [{"x": list(one.x), "y": list(one.y)} for one in self.curves]
        return {"method": self.method, "curves": curves}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        return cls(raw["method"], tuple(Curve(tuple(c["x"]), tuple(c["y"])) for c in raw["curves"]))

    def _map(self, curve: Curve, given: Floats) -> Floats:
        if self.method == "sigmoid":
            return 1 / (1 + np.exp(-(curve.x[0] * log_odds(given) + curve.y[0])))
        return np.interp(given, curve.x, curve.y)


def log_odds(probabilities: Floats) -> Floats:
    clipped = np.clip(probabilities, _EDGE, 1 - _EDGE)
    return np.log(clipped / (1 - clipped))


def fit_calibration(probabilities: Floats, target: NDArray[Any], method: Method) -> Calibration:
    """``probabilities`` (rows, classes) of rows that the model was not fitted on."""
    if method == "none":
        return Calibration()
    classes = probabilities.shape[1]
    columns = [1] if classes == 2 else list(range(classes))
    fit = _sigmoid if method == "sigmoid" else _isotonic
    return Calibration(method, tuple(fit(probabilities[:, n], target == n) for n in columns))


def cross_fitted(
    probabilities: Floats, target: NDArray[Any], method: Method, seed: int = 0
) -> Floats:
    """What a calibration by ``method`` makes of rows that it was not fitted on."""
    from sklearn.model_selection import StratifiedKFold

    folds = min(_FOLDS, int(np.bincount(target).min()))
    if method == "none" or folds < 2:
        return probabilities
    out = np.empty_like(probabilities)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for train, rest in splitter.split(probabilities, target):
        out[rest] = fit_calibration(probabilities[train], target[train], method)(
            probabilities[rest]
        )
    return out


def best_method(probabilities: Floats, target: NDArray[Any], seed: int = 0) -> Method:
    """The method with the least log loss on rows that it was not fitted on."""
    losses = {
        method: log_losses(target, cross_fitted(probabilities, target, method, seed)).mean()
        for method in METHODS
    }
    return min(METHODS, key=lambda method: losses[method])


def calibration_curve(scores: Floats, target: NDArray[Any]) -> list[tuple[float, float, int]]:
    """Mean score, share of positives and rows in BINS bins of equally many rows, by score."""
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return [(float(scores[p].mean()), float(target[p].mean()), len(p)) for p in parts]


def calibration_error(scores: Floats, target: NDArray[Any]) -> float:
    """The mean distance of the curve's scores and shares, by rows (expected calibration error,
    Naeini, Cooper and Hauskrecht, AAAI 2015, with bins of equally many rows)."""
    curve = calibration_curve(scores, target)
    gaps = [abs(score - share) * rows for score, share, rows in curve]
    return float(sum(gaps) / max(1, len(scores)))


def _sigmoid(given: Floats, positive: NDArray[np.bool_]) -> Curve:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e6).fit(log_odds(given).reshape(-1, 1), positive)
    return Curve((float(model.coef_[0, 0]),), (float(model.intercept_[0]),))


def _isotonic(given: Floats, positive: NDArray[np.bool_]) -> Curve:
    """Ends are kept from 0 and 1 by what one more row of either class would leave."""
    from sklearn.isotonic import IsotonicRegression

    edge = 1 / (len(given) + 2)
    model = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip")
    model.fit(given, positive.astype(np.float64))
    x, y = model.X_thresholds_, model.y_thresholds_
    return Curve(tuple(x.astype(float).tolist()), tuple(y.astype(float).tolist()))
