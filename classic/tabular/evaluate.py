"""Measures a tabular model on rows that it has not seen, one row of scores each."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.baseline import Baseline
from classic.tabular.columns import Floats
from classic.tabular.costs import decision_costs, row_costs
from classic.tabular.labels import as_text, encode
from classic.tabular.metrics import log_losses
from classic.tabular.tabular_model import TabularModel
from lifecycle.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Scores = dict[str, Any]
WORST = 20


def evaluate(
    model: TabularModel, baseline: Baseline, frame: "pd.DataFrame"
) -> tuple["pd.DataFrame", dict[str, float]]:
    """Scores by example id (the schema's id column, else the row's number), and facts.

    All: target, prediction and the segments. binary: score, log_loss, brier, accuracy, recall (NaN
    where the target is 0), precision (NaN where the prediction is), false_positive (NaN where the
    target is 1), cost, baseline.score, baseline.log_loss, baseline.cost. multiclass: score (of the
    class predicted), log_loss, accuracy, baseline.log_loss, baseline.accuracy. regression: low,
    high, absolute_error, squared_error, covered (0 or 1), width, baseline.absolute_error.

    Raises DataError where there are no rows, InputError for a value that the schema does not allow.
    """
    import pandas as pd

    if not len(frame):
        raise DataError("there are no rows to evaluate on.", "Cut the data elsewhere.")
    predicted = model.predict(frame)
    if model.problem == "regression":
        found = _regression(predicted, frame[model.schema.target].to_numpy(np.float64), baseline)
    elif model.problem == "binary":
        found = _binary(model, baseline, frame, predicted)
    else:
        found = _multiclass(model, baseline, frame, predicted)
    scores = pd.DataFrame(found, index=pd.Index(example_ids(model, frame), name="example"))
    for name in model.schema.segments:
        scores[name] = frame[name].to_numpy()
    return scores, {"rows.evaluated": float(len(scores)), "threshold": model.threshold}


def example_ids(model: TabularModel, frame: "pd.DataFrame") -> list[str]:
    if model.schema.ids:
        return [str(one) for one in frame[model.schema.ids[0]]]
    return [str(number) for number in range(len(frame))]


def worst_rows(
    model: TabularModel, scores: "pd.DataFrame", frame: "pd.DataFrame", count: int = WORST
) -> "pd.DataFrame":
    """The rows of ``frame`` that the model was most wrong about, worst first, with their features
    and how wrong it was; sensitive columns are left out. ``scores``: of the same rows."""
    loss = "absolute_error" if model.problem == "regression" else "log_loss"
    order = np.argsort(-scores[loss].to_numpy(), kind="stable")[:count]
    said = ["target", "prediction", "low", "high", "score", loss]
    first = scores.iloc[order][[name for name in said if name in scores]]
    hidden = model.schema.sensitive
    features = frame.iloc[order][[name for name in model.inputs if name not in hidden]]
    named = features.rename(columns={name: f"{name} (feature)" for name in said})
    return first.join(named.set_axis(first.index, axis=0))


def _binary(
    model: TabularModel, baseline: Baseline, frame: "pd.DataFrame", predicted: "pd.DataFrame"
) -> Scores:
    target = encode(as_text(frame[model.schema.target]), model.classes)
    score, alarm = predicted["score"].to_numpy(), predicted["prediction"].to_numpy() == 1
    costs = row_costs(model.costs, frame, model.schema)
    base = baseline.probabilities(len(frame))
    always = np.full(len(frame), baseline.alarm)
    return {
        "target": target,
        "prediction": alarm.astype(np.int64),
        "score": score,
        "log_loss": log_losses(target, np.column_stack([1 - score, score])),
        "brier": np.square(score - target),
        "accuracy": (alarm == target).astype(np.float64),
        "recall": _where(target == 1, alarm),
        "precision": _where(alarm, target == 1),
        "false_positive": _where(target == 0, alarm),
        "cost": decision_costs(alarm, target, costs),
        "baseline.score": base[:, 1],
        "baseline.log_loss": log_losses(target, base),
        "baseline.cost": decision_costs(always, target, costs),
    }


def _multiclass(
    model: TabularModel, baseline: Baseline, frame: "pd.DataFrame", predicted: "pd.DataFrame"
) -> Scores:
    labels = as_text(frame[model.schema.target])
    target = encode(labels, model.classes)
    probabilities = predicted[[f"prob.{name}" for name in model.classes]].to_numpy()
    base = baseline.probabilities(len(frame))
    return {
        "target": labels,
        "prediction": predicted["prediction"].to_numpy(),
        "score": predicted["score"].to_numpy(),
        "log_loss": log_losses(target, probabilities),
        "accuracy": (probabilities.argmax(axis=1) == target).astype(np.float64),
        "baseline.log_loss": log_losses(target, base),
        "baseline.accuracy": (base.argmax(axis=1) == target).astype(np.float64),
    }


def _regression(predicted: "pd.DataFrame", target: Floats, baseline: Baseline) -> Scores:
    prediction, low, high = (predicted[n].to_numpy() for n in ("prediction", "low", "high"))
    errors = target - prediction
    return {
        "target": target,
        "prediction": prediction,
        "low": low,
        "high": high,
        "absolute_error": np.abs(errors),
        "squared_error": np.square(errors),
        "covered": ((low <= target) & (target <= high)).astype(np.float64),
        "width": high - low,
        "baseline.absolute_error": np.abs(target - baseline.median),
    }


def _where(applies: NDArray[np.bool_], value: NDArray[np.bool_]) -> Floats:
    return np.where(applies, value.astype(np.float64), np.nan)
