"""A tabular model as one ONNX file: preparation, estimator, calibration and intervals in one graph.

All sums are float64 (operator TreeEnsemble, ai.onnx.ml 5), so that the graph takes every split as
the model does. Beside the graph the file says what an application needs: columns, classes,
threshold.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.onnx_estimators import write_calibration, write_estimator
from classic.tabular.onnx_graph import Graph
from classic.tabular.onnx_model import FACTS, FORMAT, SCORES, OnnxScorer
from classic.tabular.onnx_preparation import NUMBERS, TEXTS, input_columns, write_preparation
from classic.tabular.rows import checked
from classic.tabular.tabular_model import TabularModel
from classic.tabular.trees import read_lightgbm
from lifecycle.atomic import write_bytes
from lifecycle.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def export(model: TabularModel, path: Path) -> None:
    """Write ``model`` to ``path``. The input ``numbers`` (n, m) is float64: numbers, booleans as 0
    and 1, times as seconds since 1970 in UTC, missing NaN; ``texts`` (n, s) is strings, missing "".
    The output ``scores`` (n, outputs) is float64.

    Raises ConfigError for a model that has no such form.
    """
    from onnx import TensorProto, checker

    graph = Graph()
    features = write_preparation(graph, model.preparation)
    scores = write_estimator(graph, features, model.kind, model.fitted, model.task)
    if model.intervals:
        scores = _with_interval(graph, features, scores, model.intervals)
    else:
        scores = write_calibration(graph, scores, model.calibration)
    if model.problem == "multiclass" and len(model.classes) == 2:
        rest = graph.op("Sub", graph.constant(1.0), scores)
        scores = graph.op("Concat", rest, scores, axis=1)
    graph.name(scores, SCORES)
    numbers, texts = input_columns(model.preparation)
    kinds = {NUMBERS: (TensorProto.DOUBLE, numbers), TEXTS: (TensorProto.STRING, texts)}
    inputs = {name: (kind, len(columns)) for name, (kind, columns) in kinds.items() if columns}
    facts = _facts(model, numbers, texts)
    made = graph.model(inputs, {SCORES: len(facts["outputs"])}, {FACTS: json.dumps(facts)})
    checker.check_model(made)
    write_bytes(path, made.SerializeToString())


def parity(model: TabularModel, scorer: OnnxScorer, frame: "pd.DataFrame") -> float:
    """The largest difference of the scores of ``frame``; of numbers beyond ±1, relative to them.

    Raises InputError for a value that the schema does not allow.
    """
    columns, problems = checked(frame, model.schema, model.inputs)
    if problems:
        place = min(problems)
        raise InputError(f"row {frame.index[place]}: {problems[place]}")
    ours = scorer.score(columns).reshape(len(frame), -1)
    expected = model.predict(frame)[scorer.outputs].to_numpy(dtype=np.float64)
    return float((np.abs(ours - expected) / np.maximum(1, np.abs(expected))).max(initial=0.0))


def _facts(model: TabularModel, numbers: list[str], texts: list[str]) -> dict[str, Any]:
    outputs = {
        "regression": ["prediction", "low", "high"],
        "binary": ["score"],
        "multiclass": [f"prob.{name}" for name in model.classes],
    }
    return {
        "format": FORMAT,
        "problem": model.problem,
        "kind": model.kind,
        NUMBERS: numbers,
        TEXTS: texts,
        "types": {name: model.schema.columns[name].type for name in model.inputs},
        "outputs": outputs[model.problem],
        "classes": model.classes,
        "threshold": model.threshold,
    }


def _with_interval(graph: Graph, features: str, predicted: str, intervals: Any) -> str:
    """``Intervals.__call__``: prediction, low, high."""
    ends = []
    for booster, sign, most in zip(intervals.boosters, (-1, 1), ("Min", "Max"), strict=True):
        error = graph.trees(features, read_lightgbm(booster.model_to_string()))
        margin: NDArray[np.float64] = np.array(sign * intervals.margin)
        moved = graph.op("Add", graph.op("Add", predicted, error), graph.constant(margin))
        ends.append(graph.op(most, predicted, moved))
    return graph.op("Concat", predicted, *ends, axis=1)
