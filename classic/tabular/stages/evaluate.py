"""From a bundle to scores on its held-out rows, beside a baseline that knows no features."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classic.tabular.config import EvaluationConfig
from classic.tabular.settings import Problem
from classic.tabular.stages import tables
from classic.tabular.stages.split import TEST, TRAIN
from classic.tabular.stages.train import FACTS, MODEL, ONNX, TRIALS
from lifecycle import bundle as bundles
from lifecycle.atomic import write_bytes, write_text
from lifecycle.bundle import link_or_copy
from lifecycle.candidates import EVALUATION, SCORES
from lifecycle.errors import ConfigError, did_you_mean
from lifecycle.evaluation import evaluate_scores
from lifecycle.fingerprint import fingerprint
from lifecycle.hashing import sha256

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from classic.tabular.model import TabularModel
    from classic.tabular.onnx_model import OnnxScorer

EXPLAINED, ERRORS = "explained.parquet", "errors.parquet"
# The first is the problem's own: it is what the step tells of, and what explanations are about.
METRICS: dict[Problem, tuple[str, ...]] = {
    "binary": ("average_precision", "roc_auc", "calibration_error", "log_loss", "cost"),
    "multiclass": ("log_loss", "accuracy"),
    "regression": ("absolute_error", "absolute_error.p90", "rmse", "r2", "covered", "width"),
}
_TIMED, _BATCH_ROWS = 300, 50_000
_NO_METRICS = ("target", "prediction", "score", "low", "high", "baseline.score")


def evaluate_bundle(
    bundle: Path, parts: Path, trials: Path, settings: EvaluationConfig, out: Path
) -> str:
    """Measure the bundle on the held-out rows in ``parts``; scores, evaluation, explanations, the
    worst rows and the rows themselves go to ``out``. ``trials``: what training left beside the
    bundle. A sentence about it."""
    from classic.tabular.evaluate import worst_rows
    from classic.tabular.explain import explain

    opened = bundles.open_bundle(bundle)
    model = _load(opened.path)
    frame = tables.read(parts / TEST, model.schema)
    scores, facts = _scores(model, frame, settings.segments)
    facts |= json.loads((trials / FACTS).read_text("utf-8"))
    facts |= {"rows.train": float(_rows(parts / TRAIN)), "rows.test": float(len(frame))}
    if (opened.path / ONNX).exists():
        facts |= onnx_facts(model, opened.path / ONNX, frame)
    names = metric_names(scores, model.problem, settings.statistics)
    link_or_copy(parts / TEST, out / TEST)
    link_or_copy(trials / TRIALS, out / TRIALS)
    segments = [*model.schema.segments, *settings.segments]
    evaluation = evaluate_scores(scores, names, segments, _holdout_id(out), facts)
    scores.to_parquet(out / SCORES)
    write_text(out / EVALUATION, json.dumps(evaluation.to_dict(), indent=1))
    if settings.explain:
        explain(model, frame).to_parquet(out / EXPLAINED)
    worst_rows(model, scores, frame).to_parquet(out / ERRORS)
    first = evaluation.metrics[names[0]]
    return (
        f"{len(frame):,} rows, {names[0]} {first.value:.4g} ({first.low:.4g} to {first.high:.4g})"
    )


def score_bundle(bundle: Path, evaluated: Path, cache: Path) -> "pd.DataFrame":
    """Scores of another bundle on the held-out rows in ``evaluated``, computed once for each pair.

    Raises DataError where its schema has columns that these rows lack.
    """
    import pandas as pd

    opened = bundles.open_bundle(bundle)
    code = fingerprint(["classic.tabular.evaluate"])
    key = f"{opened.manifest.bundle_id}-{_holdout_id(evaluated)}-{code}"
    path = cache / "scores" / f"{key}.parquet"
    if path.is_file():
        return pd.read_parquet(path)
    model = _load(opened.path)
    scores, _ = _scores(model, tables.read(evaluated / TEST, model.schema), [])
    write_bytes(path, scores.to_parquet())
    return scores


def metric_names(scores: "pd.DataFrame", problem: Problem, statistics: Sequence[str]) -> list[str]:
    """The problem's own metrics, what the use case asks for besides, and all other columns."""
    columns = [str(name) for name in scores.select_dtypes("number").columns]
    others = [name for name in columns if name not in _NO_METRICS]
    return list(dict.fromkeys([*METRICS[problem], *statistics, *others]))


def onnx_facts(model: "TabularModel", path: Path, frame: "pd.DataFrame") -> dict[str, float]:
    """How far the exported model's scores are from the model's, and how fast it gives them."""
    from classic.tabular.columns import read_columns
    from classic.tabular.onnx_export import parity
    from classic.tabular.onnx_model import OnnxScorer

    scorer = OnnxScorer(path)
    columns = read_columns(frame, model.schema, model.inputs)
    singles = [{n: v[[row]] for n, v in columns.items()} for row in range(min(_TIMED, len(frame)))]
    spent = [_seconds(scorer, one) for one in singles]
    repeats = -(-_BATCH_ROWS // len(frame))
    batch = {name: np.tile(values, repeats) for name, values in columns.items()}
    many = OnnxScorer(path, threads=os.cpu_count() or 1)
    _seconds(many, batch)
    return {
        "onnx.max_difference": parity(model, scorer, frame),
        "onnx.one_row_p50_ms": float(np.median(spent)) * 1_000,
        "onnx.one_row_p99_ms": float(np.quantile(spent, 0.99)) * 1_000,
        "onnx.rows_per_second": repeats * len(frame) / _seconds(many, batch),
    }


def _seconds(scorer: "OnnxScorer", columns: Mapping[str, "NDArray[Any]"]) -> float:
    started = time.perf_counter()
    scorer.score(columns)
    return time.perf_counter() - started


def _load(bundle: Path) -> "TabularModel":
    from classic.tabular.model import TabularModel

    return TabularModel.load(bundle / MODEL)


def _scores(
    model: "TabularModel", frame: "pd.DataFrame", segments: Sequence[str]
) -> tuple["pd.DataFrame", dict[str, float]]:
    from classic.tabular.evaluate import evaluate

    for name in segments:
        if name not in frame.columns or name in model.schema.sensitive:
            there = set(frame.columns) - set(model.schema.sensitive)
            raise ConfigError(
                f"evaluation.segments names {name!r}, which is no column to tell rows apart by.",
                did_you_mean(name, there),
            )
    scores, facts = evaluate(model, model.baseline, frame)
    for name in segments:
        scores[name] = frame[name].to_numpy()
    return scores, facts


def _rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _holdout_id(folder: Path) -> str:
    return sha256(folder / TEST)[:16]
