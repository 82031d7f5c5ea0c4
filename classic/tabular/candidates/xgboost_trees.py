"""Gradient boosting by XGBoost (Chen and Guestrin, KDD 2016)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from classic.tabular.candidates.base import (
    MOST_TREES,
    Choice,
    Data,
    Fitted,
    Params,
    Range,
    Space,
    Task,
    both_classes,
    options,
    patience,
)
from classic.tabular.candidates.files import broken_model
from classic.tabular.columns import Floats
from classic.tabular.preparation import Prepared
from classic.tabular.settings import Kind

FILE = "xgboost.ubj"


@dataclass
class XgboostModel:
    """``model``: a Booster."""

    model: Any
    rounds: int
    problem: str

    def predict(self, prepared: Prepared) -> Floats:
        found = self.model.inplace_predict(prepared, iteration_range=(0, self.rounds))
        wide: Floats = found.astype(np.float64)
        return both_classes(wide) if self.problem == "binary" else wide

    def save(self, folder: Path) -> None:
        self.model[: self.rounds].save_model(folder / FILE)

    @classmethod
    def load(cls, folder: Path, task: Task) -> Self:
        import xgboost

        model = xgboost.Booster({"nthread": task.threads})
        try:
            model.load_model(folder / FILE)
        except (xgboost.core.XGBoostError, OSError, ValueError) as error:
            raise broken_model(folder / FILE, error) from error
        return cls(model, model.num_boosted_rounds(), task.problem)


class Xgboost:
    kind: Kind = "xgboost"
    scaled = False
    fitted: type[Fitted] = XgboostModel

    def space(self, task: Task, rows: int) -> Space:
        return {
            "categories": Choice(("code", "target"), "code"),
            "learning_rate": Range(0.02, 0.3, 0.1),
            "max_depth": Range(2, 10, 6, log=False, whole=True),
            "min_child_weight": Range(1e-2, 100.0, 1.0),
            "subsample": Range(0.5, 1.0, 1.0, log=False),
            "colsample_bytree": Range(0.3, 1.0, 1.0, log=False),
            "reg_alpha": Range(1e-3, 30.0, 1e-3),
            "reg_lambda": Range(1e-3, 100.0, 1.0),
        }

    def fit(self, task: Task, params: Params, train: Data, valid: Data | None) -> Fitted:
        import xgboost

        chosen = _parameters(task, params)
        data = xgboost.QuantileDMatrix(train.prepared, train.target, weight=train.weights)
        if valid is None:
            model = xgboost.train(chosen, data, params["trees"])
            return XgboostModel(model, params["trees"], task.problem)
        judged = xgboost.DMatrix(valid.prepared, valid.target, weight=valid.weights)
        model = xgboost.train(
            chosen,
            data,
            MOST_TREES,
            evals=[(judged, "valid")],
            early_stopping_rounds=patience(params["learning_rate"]),
            verbose_eval=False,
        )
        return XgboostModel(model, model.best_iteration + 1, task.problem)


def _parameters(task: Task, params: Params) -> Params:
    multi = task.problem == "multiclass"
    objective = "multi:softprob" if multi else "binary:logistic"
    if task.problem == "regression":
        objective = "reg:absoluteerror" if task.absolute else "reg:squarederror"
    return {
        **options(params),
        **({"num_class": task.classes} if multi else {}),
        "objective": objective,
        "tree_method": "hist",
        "seed": task.seed,
        "nthread": task.threads,
        "verbosity": 0,
    }
