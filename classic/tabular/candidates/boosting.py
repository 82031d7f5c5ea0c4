"""Histogram gradient boosting, of scikit-learn."""

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
    answers,
    learns_absolute,
    losses,
    options,
    patience,
)
from classic.tabular.candidates.files import (
    check_splits,
    check_tree,
    read_sklearn,
    write_sklearn,
)
from classic.tabular.columns import Floats
from classic.tabular.preparation import Prepared
from classic.tabular.settings import Kind

FILE = "boosting.skops"
TYPES = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]


@dataclass
class BoostingModel:
    """``model``: a HistGradientBoostingClassifier or a HistGradientBoostingRegressor."""

    model: Any
    rounds: int

    def predict(self, prepared: Prepared) -> Floats:
        return answers(self.model, prepared)

    def save(self, folder: Path) -> None:
        write_sklearn(self.model, folder / FILE)

    @classmethod
    def load(cls, folder: Path, task: Task) -> Self:
        model = read_sklearn(folder / FILE, TYPES, TRUSTED)
        _check_trees(model, folder / FILE)
        return cls(model, int(model.n_iter_))


class Boosting:
    kind: Kind = "boosting"
    scaled = False
    fitted: type[Fitted] = BoostingModel

    def space(self, task: Task, rows: int) -> Space:
        return {
            "categories": Choice(("code", "target"), "code"),
            "learning_rate": Range(0.02, 0.3, 0.1),
            "max_leaf_nodes": Range(4, 128, 31, whole=True),
            "min_samples_leaf": Range(2, 128, 20, whole=True),
            "l2_regularization": Range(1e-3, 100.0, 1e-3),
            "max_features": Range(0.3, 1.0, 1.0, log=False),
            **losses(task),
        }

    def fit(self, task: Task, params: Params, train: Data, valid: Data | None) -> Fitted:
        model = _made(task, params, valid is not None)
        judged: dict[str, Any] = {}
        if valid is not None:
            judged = {"X_val": valid.prepared, "y_val": valid.target}
            judged["sample_weight_val"] = valid.weights
        model.fit(train.prepared, train.target, sample_weight=train.weights, **judged)
        best = model.validation_score_.argmax() if valid is not None else model.n_iter_
        return BoostingModel(model, max(1, int(best)))


def _check_trees(model: Any, path: Path) -> None:
    for tree in (tree for trees in model._predictors for tree in trees):
        nodes = tree.nodes
        inner = nodes["is_leaf"] == 0
        check_tree(inner, nodes["left"], nodes["right"], path)
        check_splits(nodes["feature_idx"][inner], model.n_features_in_, path)


def _made(task: Task, params: Params, judged: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind, more = HistGradientBoostingClassifier, {}
    if task.problem == "regression":
        kind = HistGradientBoostingRegressor
        more = {"loss": "absolute_error" if learns_absolute(task, params) else "squared_error"}
    return kind(
        max_iter=params.get("trees", MOST_TREES),
        early_stopping=judged,
        n_iter_no_change=patience(params["learning_rate"]),
        random_state=task.seed,
        **more,
        **options(params),
    )
