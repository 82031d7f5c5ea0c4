"""What a model goes by: how much worse it gets without a column, and what a column adds.

Permutation importance: Breiman, Random Forests, 2001; Fisher, Rudin and Dominici, JMLR 2019. SHAP:
Lundberg and Lee, NeurIPS 2017; for trees Lundberg et al., Nature Machine Intelligence 2020.
"""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.candidates import CANDIDATES
from classic.tabular.columns import Columns, Floats
from classic.tabular.labels import as_text, encode
from classic.tabular.metrics import loss
from classic.tabular.preparation import Prepared
from classic.tabular.rows import checked
from classic.tabular.tabular_model import TabularModel
from lifecycle.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

REPEATS = 5
MOST_ROWS = 5_000
MOST_SHAP_ROWS = 300
_LEAST_SHAP_ROWS = 10
_SHAP_STEPS = 2_000_000_000


def explain(model: TabularModel, frame: "pd.DataFrame", seed: int = 0) -> "pd.DataFrame":
    """One row a column that the model reads, the most important first.

    column. permutation_drop: by how much the metric that tuning went by gets worse where the
    column's values are shuffled among the rows of ``frame`` (at most MOST_ROWS of them), the mean
    of REPEATS; permutation_std their standard deviation. mean_abs_shap: the mean over rows (at most
    MOST_SHAP_ROWS) and classes of the absolute SHAP value, those of the features made of one column
    added up: in units of the target, of the log odds, for forests of probability.

    Raises DataError where there are no rows, InputError for a value that the schema does not allow.
    """
    import pandas as pd

    if not len(frame):
        raise DataError("there are no rows to explain the model by.", "Cut the data elsewhere.")
    rng = np.random.default_rng(seed)
    rows = _sample(rng, len(frame), MOST_ROWS)
    columns, target = _given(model, frame.iloc[rows])
    drops = permutation_drops(model, columns, target, rng)
    shown = _sample(rng, len(target), _shap_rows(model))
    shares = mean_abs_shap(model, _part(columns, shown))
    found = pd.DataFrame(
        {
            "column": model.inputs,
            "permutation_drop": [float(drops[name].mean()) for name in model.inputs],
            "permutation_std": [float(drops[name].std()) for name in model.inputs],
            "mean_abs_shap": [shares[name] for name in model.inputs],
        }
    )
    order = ["permutation_drop", "mean_abs_shap"]
    return found.sort_values(order, ascending=False, kind="stable", ignore_index=True)


def permutation_drops(
    model: TabularModel, columns: Columns, target: NDArray[Any], rng: np.random.Generator
) -> dict[str, Floats]:
    """By column: how much worse each of REPEATS shuffles makes the model, (REPEATS,)."""
    metric = model.task.metric
    whole = loss(metric, target, model.score(model.preparation(columns)))
    found = {}
    for name in model.inputs:
        losses = []
        for _ in range(REPEATS):
            shuffled = {**columns, name: rng.permutation(columns[name])}
            losses.append(loss(metric, target, model.score(model.preparation(shuffled))))
        found[name] = np.asarray(losses) - whole
    return found


def mean_abs_shap(model: TabularModel, columns: Columns) -> dict[str, float]:
    """By column: the mean absolute SHAP value over rows and classes."""
    prepared = model.preparation(columns)
    values = _shap(model, prepared)
    sources = np.array(model.preparation.sources())
    return {
        name: float(np.abs(values[:, sources == name].sum(axis=1)).mean()) for name in model.inputs
    }


def _shap_rows(model: TabularModel) -> int:
    """As many rows as TreeSHAP does in about ten seconds: a row takes leaves × depth² steps."""
    if model.kind != "forest":
        return MOST_SHAP_ROWS
    trees = [one.tree_ for one in model.fitted.model.estimators_]
    steps = int(sum(tree.n_leaves * tree.max_depth**2 for tree in trees))
    return max(_LEAST_SHAP_ROWS, min(MOST_SHAP_ROWS, _SHAP_STEPS // max(1, steps)))


def _shap(model: TabularModel, prepared: Prepared) -> Floats:
    """(rows, features) or (rows, features, classes)."""
    import shap

    if CANDIDATES[model.kind].scaled:
        explainer: Any = shap.LinearExplainer(model.fitted.model, prepared.astype(np.float64))
        return np.asarray(explainer.shap_values(prepared.astype(np.float64)))
    if model.kind == "xgboost":
        return _xgboost_shap(model, prepared)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of how older versions of shap answered
        explainer = shap.TreeExplainer(model.fitted.model)
        return np.asarray(explainer.shap_values(prepared, check_additivity=False))


def _xgboost_shap(model: TabularModel, prepared: Prepared) -> Floats:
    """XGBoost's own TreeSHAP: shap does not read all of its files."""
    import xgboost

    found = model.fitted.model.predict(
        xgboost.DMatrix(prepared), pred_contribs=True, iteration_range=(0, model.fitted.rounds)
    )
    values: Floats = np.asarray(found, dtype=np.float64)[..., :-1]  # the last is the mean of all
    return values if values.ndim == 2 else values.transpose(0, 2, 1)


def _given(model: TabularModel, frame: "pd.DataFrame") -> tuple[Columns, NDArray[Any]]:
    columns, problems = checked(frame, model.schema, model.inputs)
    if problems:
        model.predict(frame)  # says which row it is
    values = frame[model.schema.target]
    if model.problem == "regression":
        return columns, values.to_numpy(dtype=np.float64)
    return columns, encode(as_text(values), model.classes)


def _part(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    return {name: column[rows] for name, column in columns.items()}


def _sample(rng: np.random.Generator, count: int, most: int) -> NDArray[np.int64]:
    found: NDArray[np.int64] = rng.permutation(count)[:most]
    return found
