"""Gradient boosting by XGBoost (Chen and Guestrin, KDD 2016)."""

from dataclasses import dataclass
from functools import cached_property
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
    learns_absolute,
    losses,
    options,
    patience,
)
from classic.tabular.candidates.files import broken_model
from classic.tabular.columns import Floats
from classic.tabular.preparation import Prepared
from classic.tabular.settings import Kind
from classic.tabular.trees import Trees, read_xgboost

FILE = "xgboost.ubj"


@dataclass
class XgboostModel:
    """``model``: a Booster. Sums are float64, unlike its own: an isotonic calibration makes more of
    the last digits of float32 than an exported graph may differ by."""

    model: Any
    rounds: int
    problem: str

    @cached_property
    def trees(self) -> Trees:
        return read_xgboost(self.model[: self.rounds])

    def predict(self, prepared: Prepared) -> Floats:
        from scipy.special import expit, softmax

        raw = self._sums(prepared)
        if self.problem == "regression":
            return raw[:, 0]
        found: Floats = softmax(raw, axis=1) if raw.shape[1] > 1 else both_classes(expit(raw[:, 0]))
        return found

    def _sums(self, prepared: Prepared) -> Floats:
        """(rows, targets), by the leaf that each row comes to in each tree."""
        import xgboost

        forest, sums = self.trees, np.tile(self.trees.base, (len(prepared), 1))
        ends = self.model.predict(
            xgboost.DMatrix(prepared), pred_leaf=True, iteration_range=(0, self.rounds)
        )
        leaves = ends.reshape(len(prepared), len(forest.roots)).astype(np.int64) + forest.roots
        for tree, target in enumerate(forest.targets):
            sums[:, target] += forest.value[leaves[:, tree]]
        return sums

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
            **losses(task),
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
        absolute = learns_absolute(task, params)
        objective = "reg:absoluteerror" if absolute else "reg:squarederror"
    return {
        **options(params),
        **({"eval_metric": "mae"} if task.absolute else {}),
        **({"num_class": task.classes} if multi else {}),
        "objective": objective,
        "tree_method": "hist",
        "seed": task.seed,
        "nthread": task.threads,
        "verbosity": 0,
    }
