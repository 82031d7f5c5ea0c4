"""What each candidate and each calibration computes, as operators on float64."""

from typing import Any

import numpy as np

from classic.tabular.calibration import _EDGE, Calibration, Curve
from classic.tabular.candidates.base import Fitted, Task
from classic.tabular.onnx_graph import Graph
from classic.tabular.settings import Kind
from classic.tabular.trees import (
    Trees,
    intervals,
    join,
    read_forest,
    read_histogram,
    read_lightgbm,
    read_xgboost,
)
from lifecycle.errors import ConfigError


def write_estimator(graph: Graph, features: str, kind: Kind, fitted: Fitted, task: Task) -> str:
    """Numbers or, of two classes, the second one's probability (n, 1), else (n, classes)."""
    if kind == "linear":
        width = len(np.atleast_1d(fitted.model.intercept_))
        return _link(graph, _linear(graph, features, fitted.model), width, task)
    if kind == "forest":
        summed = graph.trees(features, read_forest(fitted.model))
        count = float(len(fitted.model.estimators_))
        return graph.op("Div", summed, graph.constant(count))
    trees = _boosted(kind, fitted)
    return _link(graph, graph.trees(features, trees), len(trees.base), task)


def _boosted(kind: Kind, fitted: Fitted) -> Trees:
    if kind == "lightgbm":
        return read_lightgbm(fitted.model.model_to_string(num_iteration=fitted.rounds))
    if kind == "xgboost":
        return read_xgboost(fitted.model[: fitted.rounds])
    if kind == "boosting":
        return read_histogram(fitted.model)
    raise ConfigError(
        f"A model of kind {kind!r} cannot be exported to ONNX.", "Leave it out of the candidates."
    )


def _linear(graph: Graph, features: str, model: Any) -> str:
    weights = graph.constant(np.atleast_2d(model.coef_).T)
    product = graph.op("MatMul", features, weights)
    return graph.op("Add", product, graph.constant(np.atleast_1d(model.intercept_)))


def _link(graph: Graph, raw: str, width: int, task: Task) -> str:
    if task.problem == "regression":
        return raw
    if width == 1:
        return graph.op("Sigmoid", raw)
    found = graph.op("Softmax", raw, axis=1)
    return graph.columns(found, [1], 2) if width == 2 else found


def write_calibration(graph: Graph, probabilities: str, calibration: Calibration) -> str:
    """``Calibration.__call__``, of the positive class alone where there are two."""
    if calibration.method == "none":
        return probabilities
    write = _sigmoid if calibration.method == "sigmoid" else _isotonic
    width = len(calibration.curves)
    columns = [
        write(graph, graph.columns(probabilities, [place], width), curve)
        for place, curve in enumerate(calibration.curves)
    ]
    if width == 1:
        return columns[0]
    mapped = graph.op("Concat", *columns, axis=1)
    return graph.op("Div", mapped, graph.op("ReduceSum", mapped, graph.constant([1], np.int64)))


def _sigmoid(graph: Graph, given: str, curve: Curve) -> str:
    clipped = _clip(graph, given, _EDGE, 1 - _EDGE)
    odds = graph.op("Div", clipped, graph.op("Sub", graph.constant(1.0), clipped))
    sloped = graph.op("Mul", graph.op("Log", odds), graph.constant(curve.x[0]))
    return graph.op("Sigmoid", graph.op("Add", sloped, graph.constant(curve.y[0])))


def _isotonic(graph: Graph, given: str, curve: Curve) -> str:
    """Straight lines between points; a tree finds between which two a value lies."""
    x, y = np.array(curve.x), np.array(curve.y)
    if len(x) == 1:
        x, y = np.array([x[0], x[0] + 1]), np.array([y[0], y[0]])
    clipped = _clip(graph, given, x[0], x[-1])
    tree = join([intervals(x[1:-1])], [0], np.zeros(1))
    place = graph.cast(graph.trees(clipped, tree), np.int64)

    def at(values: Any) -> str:
        return graph.op("Gather", graph.constant(values), place, axis=0)

    along = graph.op("Sub", clipped, at(x[:-1]))
    return graph.op("Add", graph.op("Mul", along, at(np.diff(y) / np.diff(x))), at(y[:-1]))


def _clip(graph: Graph, value: str, low: float, high: float) -> str:
    return graph.op("Clip", value, graph.constant(low), graph.constant(high))
