"""Regularised linear models: elastic net for numbers, logistic regression for classes."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from classic.tabular.candidates.base import (
    Choice,
    Data,
    Fitted,
    Params,
    Range,
    Space,
    Task,
    answers,
)
from classic.tabular.candidates.files import read_sklearn, write_sklearn
from classic.tabular.columns import Floats
from classic.tabular.preparation import Prepared
from classic.tabular.settings import Kind

FILE = "linear.skops"
TYPES = ("ElasticNet", "LogisticRegression")
_MANY = 20_000
"""Rows above which the solver for the l1 norm is too slow."""


@dataclass
class LinearModel:
    """``model``: a LogisticRegression or an ElasticNet of scikit-learn."""

    model: Any
    rounds: int = 0

    def predict(self, prepared: Prepared) -> Floats:
        return answers(self.model, prepared.astype(np.float64))

    def save(self, folder: Path) -> None:
        write_sklearn(self.model, folder / FILE)

    @classmethod
    def load(cls, folder: Path, task: Task) -> Self:
        return cls(read_sklearn(folder / FILE, TYPES))


class Linear:
    kind: Kind = "linear"
    scaled = True
    fitted: type[Fitted] = LinearModel

    def space(self, task: Task, rows: int) -> Space:
        categories = {"categories": Choice(("one_hot", "target"), "one_hot")}
        if task.problem == "regression":
            return {
                **categories,
                "alpha": Range(1e-5, 1.0, 1e-3),
                "l1_ratio": Range(0.05, 1.0, 0.5, log=False),
            }
        return {
            **categories,
            "C": Range(1e-4, 100.0, 1.0),
            "l1_ratio": Choice((0.0, 0.5, 1.0) if rows <= _MANY else (0.0,), 0.0),
        }

    def fit(self, task: Task, params: Params, train: Data, valid: Data | None) -> Fitted:
        from sklearn.exceptions import ConvergenceWarning

        model = _made(task, params)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an early stop regularises too
            model.fit(train.prepared.astype(np.float64), train.target, sample_weight=train.weights)
        return LinearModel(model)


def _made(task: Task, params: Params) -> Any:
    from sklearn.linear_model import ElasticNet, LogisticRegression

    if task.problem == "regression":
        return ElasticNet(alpha=params["alpha"], l1_ratio=params["l1_ratio"], max_iter=2000)
    sparse = params["l1_ratio"] > 0
    return LogisticRegression(
        C=params["C"],
        l1_ratio=params["l1_ratio"],
        solver="saga" if sparse else "lbfgs",
        max_iter=200,
        random_state=task.seed,
    )
