"""From training rows to a model: search, calibration, threshold, intervals, and a last fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.baseline import fit_baseline
from classic.tabular.calibration import (
    Calibration,
    best_method,
    calibration_curve,
    calibration_error,
    cross_fitted,
    fit_calibration,
)
from classic.tabular.candidates import CANDIDATES
from classic.tabular.candidates.base import Data, Task
from classic.tabular.columns import Floats, feature_columns, read_columns
from classic.tabular.costs import best_threshold, decision_costs, row_costs
from classic.tabular.folds import Fold, make_folds
from classic.tabular.intervals import Intervals, fit_intervals
from classic.tabular.labels import as_text, class_names, encode
from classic.tabular.metrics import chosen_metric, log_losses, shown
from classic.tabular.preparation import Prepared
from classic.tabular.settings import Learning, Problem
from classic.tabular.tabular_model import TabularModel
from classic.tabular.threads import limited
from classic.tabular.tuning import Best, Search, Training
from lifecycle.errors import DataError
from lifecycle.tables import TableSchema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TabularModel", "Trained", "train"]


@dataclass(frozen=True)
class Trained:
    """``trials``: one row a trial: candidate, params (JSON), value of the metric, state, seconds.
    ``facts``: what the folds say of the model."""

    model: TabularModel
    trials: "pd.DataFrame"
    facts: dict[str, float]


def train(
    frame: "pd.DataFrame",
    schema: TableSchema,
    problem: Problem,
    learning: Learning,
    threads: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Trained:
    """A model of the training rows ``frame``, which has the dtypes of ``schema``.

    Where the schema has a time, rows are in its order, and folds are judged by what came next.
    ``progress`` gets one line a trial. Equal rows, settings, threads and seed make an equal model,
    unless ``tuning.seconds`` ended the search.

    Raises DataError where the rows hold nothing to learn from, ConfigError for settings that do not
    fit the schema or the problem.
    """
    training, classes = _training(frame, schema, problem, learning, threads)
    tuning = learning.tuning
    folds = make_folds(
        training.target, problem, tuning.folds, tuning.seed, in_time=bool(schema.time)
    )
    costs = row_costs(learning.costs, frame, schema)
    with limited(threads):
        search = Search(training, folds, progress or (lambda line: None))
        best = search.run()
        model, facts = _finish(training, folds, best, classes, costs)
    metric = training.task.metric
    facts = {f"folds.{metric}": shown(metric, best.value), **facts}
    return Trained(model, search.frame(), facts | {"trials": float(len(search.rows))})


def _training(
    frame: "pd.DataFrame", schema: TableSchema, problem: Problem, learning: Learning, threads: int
) -> tuple[Training, list[str]]:
    if not len(frame):
        raise DataError("there are no training rows.", "Widen the window of data.")
    columns = read_columns(frame, schema, feature_columns(schema))
    target: NDArray[Any]
    if problem == "regression":
        classes, target = [], frame[schema.target].to_numpy(dtype=np.float64)
    else:
        labels = as_text(frame[schema.target])
        classes = class_names(labels, problem, learning.positive)
        target = encode(labels, classes)
    metric = chosen_metric(learning.tuning.metric, problem)
    task = Task(problem, len(classes), metric, threads, learning.tuning.seed)
    return Training(columns, schema, target, task, learning), classes


def _finish(
    training: Training,
    folds: Sequence[Fold],
    best: Best,
    classes: list[str],
    costs: tuple[Floats, Floats],
) -> tuple[TabularModel, dict[str, float]]:
    """The model fitted on all rows, with what the predictions on folds teach beside it."""
    target, task, learning = training.target, training.task, training.learning
    everything = np.arange(len(target))
    params = {**best.params, "trees": max(1, round(float(np.mean(best.rounds))))}
    preparation, prepared = training.prepare(everything, best.kind, params)
    data = Data(prepared, target, training.weights(everything, params))
    fitted = CANDIDATES[best.kind].fit(task, params, data, None)
    calibration, intervals, threshold = Calibration(), None, 0.5
    if task.problem == "regression":
        intervals, facts = _intervals(training, folds, best, prepared)
    else:
        calibration, threshold, facts = _decisions(training, folds, best, costs)
    alarm = task.classes == 2 and costs[0][target == 0].sum() < costs[1][target == 1].sum()
    model = TabularModel(
        task=task,
        schema=training.schema,
        kind=best.kind,
        params=params,
        classes=classes,
        preparation=preparation,
        fitted=fitted,
        calibration=calibration,
        intervals=intervals,
        threshold=threshold,
        costs=learning.costs,
        baseline=fit_baseline(target, task.classes, bool(alarm)),
    )
    return model, facts


def _intervals(
    training: Training, folds: Sequence[Fold], best: Best, prepared: Prepared
) -> tuple[Intervals, dict[str, float]]:
    rows = np.concatenate([fold.valid for fold in folds])
    numbers = np.repeat(np.arange(len(folds)), [len(fold.valid) for fold in folds])
    errors = training.target[rows] - np.concatenate(best.predicted)
    coverage, threads = training.learning.coverage, training.task.threads
    intervals, held = fit_intervals(prepared[rows], errors, numbers, coverage, threads)
    return intervals, {"folds.coverage": held}


def _decisions(
    training: Training, folds: Sequence[Fold], best: Best, costs: tuple[Floats, Floats]
) -> tuple[Calibration, float, dict[str, float]]:
    """The calibration, the threshold and facts about both, all by predictions on folds."""
    rows = np.concatenate([fold.valid for fold in folds])
    raw, target, seed = np.concatenate(best.predicted), training.target[rows], training.task.seed
    method = training.learning.calibration
    chosen = best_method(raw, target, seed) if method == "auto" else method
    calibrated = cross_fitted(raw, target, chosen, seed)
    facts = {"folds.calibrated_log_loss": float(log_losses(target, calibrated).mean())}
    calibration = fit_calibration(raw, target, chosen)
    if training.task.classes > 2:
        return calibration, 0.5, facts
    scores = calibrated[:, 1]
    of_rows = costs[0][rows], costs[1][rows]
    threshold, cost = best_threshold(scores, target, *of_rows)
    never = decision_costs(np.zeros(len(rows), dtype=np.bool_), target, of_rows).mean()
    facts |= {"threshold": threshold, "folds.cost": cost, "folds.cost_without_alarms": float(never)}
    return calibration, threshold, facts | _curve_facts(scores, target)


def _curve_facts(scores: Floats, target: NDArray[Any]) -> dict[str, float]:
    facts = {"folds.calibration_error": calibration_error(scores, target)}
    for number, (score, share, _) in enumerate(calibration_curve(scores, target), start=1):
        facts[f"calibration.{number:02}.score"] = score
        facts[f"calibration.{number:02}.share"] = share
    return facts
