"""Random forests (Breiman, Random Forests, Machine Learning 2001), of scikit-learn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from classic.tabular.candidates.base import (
    Choice,
    Data,
    Fitted,
    Params,
    Range,
    Space,
    Task,
    answers,
    options,
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

FILE = "forest.skops"
TYPES = ("RandomForestClassifier", "RandomForestRegressor")
TRUSTED = ["sklearn.tree._tree.Tree"]
TREES = 100


@dataclass
class ForestModel:
    """``model``: a RandomForestClassifier or a RandomForestRegressor."""

    model: Any
    rounds: int = TREES

    def predict(self, prepared: Prepared) -> Floats:
        return answers(self.model, prepared)

    def save(self, folder: Path) -> None:
        write_sklearn(self.model, folder / FILE)

    @classmethod
    def load(cls, folder: Path, task: Task) -> Self:
        model = read_sklearn(folder / FILE, TYPES, TRUSTED)
        _check_trees(model, folder / FILE)
        model.n_jobs = task.threads
        return cls(model)


class Forest:
    kind: Kind = "forest"
    scaled = False
    fitted: type[Fitted] = ForestModel

    def space(self, task: Task, rows: int) -> Space:
        return {
            "categories": Choice(("code", "target"), "code"),
            "max_features": Range(0.1, 1.0, 0.4, log=False),
            "min_samples_leaf": Range(1, 100, 5, whole=True),
        }

    def fit(self, task: Task, params: Params, train: Data, valid: Data | None) -> Fitted:
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind = RandomForestRegressor if task.problem == "regression" else RandomForestClassifier
        model = kind(
            n_estimators=TREES, n_jobs=task.threads, random_state=task.seed, **options(params)
        )
        return ForestModel(model.fit(train.prepared, train.target, sample_weight=train.weights))


def _check_trees(model: Any, path: Path) -> None:
    for tree in (one.tree_ for one in model.estimators_):
        inner = tree.children_left != -1
        check_tree(inner, tree.children_left, tree.children_right, path)
        check_splits(tree.feature[inner], model.n_features_in_, path)
