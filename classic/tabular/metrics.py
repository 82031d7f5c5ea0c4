"""What tuning minimises, by the metric's name."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.columns import Floats
from classic.tabular.settings import Metric, Problem
from lifecycle.errors import ConfigError

TINY = 1e-15
_FOR: dict[Problem, tuple[str, ...]] = {
    "binary": ("log_loss", "average_precision", "roc_auc", "accuracy"),
    "multiclass": ("log_loss", "accuracy"),
    "regression": ("absolute_error", "squared_error"),
}
HIGHER_IS_BETTER = ("average_precision", "roc_auc", "accuracy")


def chosen_metric(metric: Metric, problem: Problem) -> str:
    """Raises ConfigError for a metric of another problem."""
    if metric == "auto":
        return _FOR[problem][0]
    if metric not in _FOR[problem]:
        known = ", ".join(_FOR[problem])
        raise ConfigError(f"tuning.metric={metric!r} is none for {problem}.", f"Known: {known}.")
    return metric


def loss(metric: str, target: NDArray[Any], predicted: Floats) -> float:
    """The metric, less is better (negative where more is). ``target`` (rows,): numbers, or numbers
    of classes; ``predicted``: (rows,) numbers or (rows, classes) probabilities."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    if metric == "average_precision":
        return -float(average_precision_score(target, predicted[:, 1]))
    if metric == "roc_auc":
        return -float(roc_auc_score(target, predicted[:, 1]))
    if metric == "accuracy":
        return -float((predicted.argmax(axis=1) == target).mean())
    if metric == "log_loss":
        return float(log_losses(target, predicted).mean())
    errors = target - predicted
    return float(np.abs(errors).mean() if metric == "absolute_error" else np.square(errors).mean())


def log_losses(target: NDArray[Any], probabilities: Floats) -> Floats:
    """−ln of the probability of each row's class, (rows,)."""
    own = probabilities[np.arange(len(target)), target]
    losses: Floats = -np.log(np.clip(own, TINY, 1.0))
    return losses


def shown(metric: str, value: float) -> float:
    """A loss as the metric that it stands for."""
    return -value if metric in HIGHER_IS_BETTER else value
