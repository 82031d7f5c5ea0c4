"""Gradient boosting by LightGBM (Ke et al., NeurIPS 2017)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

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
from classic.tabular.candidates.files import read_booster
from classic.tabular.columns import Floats
from classic.tabular.preparation import Prepared
from classic.tabular.settings import Kind

FILE = "lightgbm.txt"


@dataclass
class LightgbmModel:
    """``model``: a Booster."""

    model: Any
    rounds: int
    problem: str
    threads: int

    def predict(self, prepared: Prepared) -> Floats:
        asked = {"num_threads": self.threads, "num_iteration": self.rounds}
        found: Floats = self.model.predict(prepared, **asked)
        return both_classes(found) if self.problem == "binary" else found

    def save(self, folder: Path) -> None:
        text = self.model.model_to_string(num_iteration=self.rounds)
        (folder / FILE).write_text(text, "utf-8")

    @classmethod
    def load(cls, folder: Path, task: Task) -> Self:
        model = read_booster(folder / FILE)
        return cls(model, model.current_iteration(), task.problem, task.threads)


class Lightgbm:
    kind: Kind = "lightgbm"
    scaled = False
    fitted: type[Fitted] = LightgbmModel

    def space(self, task: Task, rows: int) -> Space:
        return {
            "categories": Choice(("code", "target"), "code"),
            "learning_rate": Range(0.02, 0.3, 0.1),
            "num_leaves": Range(4, max(32, min(256, rows // 10)), 31, whole=True),
            "min_data_in_leaf": Range(2, 128, 20, whole=True),
            "feature_fraction": Range(0.3, 1.0, 1.0, log=False),
            "bagging_fraction": Range(0.5, 1.0, 1.0, log=False),
            "lambda_l1": Range(1e-3, 30.0, 1e-3),
            "lambda_l2": Range(1e-3, 100.0, 1e-3),
            "max_bin": Choice((63, 255, 1023), 255),
            **losses(task),
        }

    def fit(self, task: Task, params: Params, train: Data, valid: Data | None) -> Fitted:
        import lightgbm

        chosen = _parameters(task, params)
        data = lightgbm.Dataset(train.prepared, train.target, weight=train.weights, params=chosen)
        if valid is None:
            model = lightgbm.train(chosen, data, params["trees"])
            return LightgbmModel(model, params["trees"], task.problem, task.threads)
        judged = data.create_valid(valid.prepared, valid.target, weight=valid.weights)
        stop = lightgbm.early_stopping(patience(params["learning_rate"]), verbose=False)
        model = lightgbm.train(chosen, data, MOST_TREES, valid_sets=[judged], callbacks=[stop])
        return LightgbmModel(model, max(1, model.best_iteration), task.problem, task.threads)


def _parameters(task: Task, params: Params) -> Params:
    objective: str = task.problem
    if task.problem == "regression":
        objective = "regression_l1" if learns_absolute(task, params) else "regression"
    return {
        **options(params),
        **({"metric": "l1"} if task.absolute else {}),
        **({"num_class": task.classes} if task.problem == "multiclass" else {}),
        "objective": objective,
        "bagging_freq": 1,
        "seed": task.seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": task.threads,
        "verbosity": -1,
    }
