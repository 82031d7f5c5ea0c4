"""From a bundle to scores on its held-out rows, beside a baseline that knows no features."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from classic.tabular.config import EvaluationConfig
from classic.tabular.stages.split import TEST, TRAIN
from classic.tabular.stages.train import FACTS, MODEL, ONNX, TRIALS
from lifecycle import bundle as bundles
from lifecycle.atomic import write_bytes, write_text
from lifecycle.bundle import link_or_copy
from lifecycle.candidates import EVALUATION, SCORES
from lifecycle.evaluation import evaluate_scores
from lifecycle.fingerprint import fingerprint
from lifecycle.hashing import sha256
from lifecycle.privacy import read_revealed
from lifecycle.tables import TableSchema

if TYPE_CHECKING:
    import pandas as pd

    from classic.tabular.model import TabularModel

EXPLAINED, ERRORS = "explained.parquet", "errors.parquet"
STATISTICS: dict[str, tuple[str, ...]] = {
    "binary": ("average_precision", "roc_auc", "calibration_error"),
    "multiclass": (),
    "regression": ("absolute_error.p90", "rmse", "r2"),
}
_BATCH_ROWS = 20_000


def evaluate_bundle(
    bundle: Path, parts: Path, trained: Path, schema: TableSchema, settings: EvaluationConfig, out: Path
) -> str:
    """Measure the bundle on the held-out rows in ``parts``; scores, evaluation, explanations, the
    worst rows and the rows themselves go to ``out``. A sentence about it."""
    from classic.tabular.explain import explain
    from classic.tabular.evaluate import worst

    link_or_copy(parts / TEST, out / TEST)
    for name in (TRIALS, FACTS):
        link_or_copy(trained / name, out / name)
    opened = bundles.open_bundle(bundle)
    model = _model(opened)
    frame = _frame(parts / TEST, schema)
    scores, facts = _scores(model, frame, settings.segments)
    facts |= json.loads((trained / FACTS).read_text("utf-8"))
    facts["rows.train"], facts["rows.test"] = float(_rows(parts / TRAIN)), float(len(frame))
    if (opened.path / ONNX).exists():
        facts |= _onnx(model, opened.path / ONNX, frame)
    metrics = _metrics(scores, model.problem, settings.statistics)
    evaluation = evaluate_scores(scores, metrics, settings.segments, _holdout_id(out), facts)
    scores.to_parquet(out / SCORES)
    write_text(out / EVALUATION, json.dumps(evaluation.to_dict(), indent=1))
    explain(model, frame, settings.explained).to_parquet(out / EXPLAINED)
    worst(model, frame, scores).to_parquet(out / ERRORS)
    first = evaluation.metrics[metrics[0]]
    name = metrics[0]
    return f"{len(frame):,} rows, {name} {first.value:.4g} ({first.low:.4g} to {first.high:.4g})"


def score_bundle(bundle: Path, evaluated: Path, cache: Path) -> "pd.DataFrame":
    """Scores of another bundle on the held-out rows in ``evaluated``, computed once a pair."""
    import pandas as pd

    opened = bundles.open_bundle(bundle)
    code = fingerprint(["classic.tabular.evaluate"])
    key = f"{opened.manifest.bundle_id}-{_holdout_id(evaluated)}-{code}"
    path = cache / "scores" / f"{key}.parquet"
    if path.is_file():
        return pd.read_parquet(path)
    model = _model(opened)
    scores, _ = _scores(model, _frame(evaluated / TEST, model.schema), [])
    write_bytes(path, scores.to_parquet())
    return scores
