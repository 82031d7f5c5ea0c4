"""What every candidate is: a search space, a way to fit, and a fitted model that can be saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from classic.tabular.columns import Floats
from classic.tabular.preparation import Prepared
from classic.tabular.settings import Kind, Problem

MOST_TREES = 1000
Params = dict[str, Any]
_OURS = ("categories", "balance", "loss", "trees")


@dataclass(frozen=True)
class Task:
    """What is learnt, and with what means. ``metric``: by which a number of trees is judged."""

    problem: Problem
    classes: int
    metric: str
    threads: int
    seed: int

    @property
    def absolute(self) -> bool:
        """Whether the median is sought, rather than the mean."""
        return self.metric == "absolute_error"


@dataclass(frozen=True)
class Data:
    """Prepared rows (rows, features), their targets (numbers, or numbers of classes), weights."""

    prepared: Prepared
    target: NDArray[Any]
    weights: Floats


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``; the search starts at ``start``."""

    low: float
    high: float
    start: float
    log: bool = True
    whole: bool = False


@dataclass(frozen=True)
class Choice:
    options: tuple[Any, ...]
    start: Any


Space = Mapping[str, Range | Choice]


class Fitted(Protocol):
    """``model``: of the library. ``rounds``: the trees that it uses, where that was found out."""

    model: Any
    rounds: int

    def predict(self, prepared: Prepared) -> Floats:
        """(rows,) numbers for a regression, else (rows, classes) probabilities."""
        ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path, task: Task) -> Self:
        """Raises BundleError where the folder holds no whole model."""
        ...


class Candidate(Protocol):
    """``scaled``: whether it needs numbers of one scale, none of them missing."""

    kind: Kind
    scaled: bool
    fitted: type[Fitted]

    def space(self, task: Task, rows: int) -> Space: ...

    def fit(self, task: Task, params: Params, train: Data, valid: Data | None) -> Fitted:
        """With ``valid`` the number of trees is found by early stopping; else it is
        ``params["trees"]``."""
        ...


def answers(estimator: Any, prepared: NDArray[Any]) -> Floats:
    """What an estimator of scikit-learn says, as ``Fitted.predict`` has it."""
    ask = getattr(estimator, "predict_proba", estimator.predict)
    found: Floats = ask(prepared)
    return found


def both_classes(positive: Floats) -> Floats:
    """(rows, 2) of the probability of the second class."""
    return np.column_stack([1 - positive, positive])


def patience(learning_rate: float) -> int:
    """Trees to wait for an improvement: the more, the less each of them does."""
    return max(10, min(100, round(3 / learning_rate)))


def losses(task: Task) -> Space:
    """Where the absolute error counts: trees that learn from squared errors are often as good at
    it, and better where errors are large."""
    return {"loss": Choice(("squared", "absolute"), "squared")} if task.absolute else {}


def learns_absolute(task: Task, params: Params) -> bool:
    return task.absolute and params.get("loss") == "absolute"


def options(params: Params) -> Params:
    """The library's own among the parameters."""
    return {name: value for name, value in params.items() if name not in _OURS}
