"""The report of a tabular problem: against the baseline, calibration or intervals, explanations."""

from typing import TYPE_CHECKING

import numpy as np

from classic.tabular.stages.evaluate import ERRORS, EXPLAINED
from classic.tabular.stages.train import TRIALS
from lifecycle.candidates import Judgement, load_evaluation
from lifecycle.evaluation import Evaluation
from lifecycle.figures import bar_figure, histogram_figure, line_figure
from lifecycle.registration import Candidate
from lifecycle.report import (
    Cell,
    Report,
    Section,
    Table,
    by_segment,
    metric_table,
    run_facts,
    settings,
)

if TYPE_CHECKING:
    import pandas as pd

HEADLINES = {
    "binary": ("average_precision", "roc_auc", "cost"),
    "multiclass": ("log_loss", "accuracy"),
    "regression": ("absolute_error", "absolute_error.p90", "covered"),
}
BINS = 10


def make_report(candidate: Candidate, judgement: Judgement) -> Report:
    """The report of one evaluated model and what the gate said of it."""
    evaluation, scores = load_evaluation(candidate.evaluated)
    manifest = candidate.bundle.manifest
    problem = str(manifest.settings["problem"])
    special = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}[problem]
    return Report(
        title=f"{manifest.name}: {problem} by {manifest.settings['model']}",
        subtitle=f"Pipeline run {candidate.run}",
        decision=judgement.decision,
        facts=[
            *run_facts(manifest, evaluation, judgement.champion),
            ("Model", str(manifest.settings["model"])),
            ("Rows learned from", f"{evaluation.facts['rows.train']:,.0f}"),
            ("Rows held out", f"{evaluation.facts['rows.test']:,.0f}"),
        ],
        sections=[
            _metrics(evaluation, judgement),
            *special(evaluation, scores),
            *_segments(evaluation, HEADLINES[problem]),
            *_explained(candidate),
            _errors(candidate),
            _trials(candidate),
            *_onnx(evaluation),
            settings("Configuration", dict(candidate.params)),
            settings("Libraries", dict(manifest.libraries)),
        ],
    )


def _metrics(evaluation: Evaluation, judgement: Judgement) -> Section:
    own = {n: one for n, one in evaluation.metrics.items() if not n.startswith("baseline.")}
    baseline = {
        name.removeprefix("baseline."): one
        for name, one in evaluation.metrics.items()
        if name.startswith("baseline.")
    }
    text = "The baseline knows no features: it says the same of every row."
    if judgement.champion:
        theirs = ", ".join(
            f"{name} {value:.4g}"
            for name, value in judgement.champion_metrics.items()
            if name in own
        )
        text += f"\n\nThe champion (version {judgement.champion}) on the same rows: {theirs}."
    return Section("Metrics", text, table=metric_table({"This model": own, "Baseline": baseline}))


def _binary(evaluation: Evaluation, scores: "pd.DataFrame") -> list[Section]:
    target, score = scores["target"].to_numpy(float), scores["score"].to_numpy(float)
    return [
        _calibration(target, score),
        Section(
            "Found against false alarms",
            f"The threshold is {evaluation.facts['threshold']:.4g}: there the expected cost was "
            "lowest on rows that the model had not learned from. Precision is the share of alarms "
            "that are right, recall the share of positives that are found.",
            figure=line_figure(_precision_recall(target, score), "Curve", ("recall", "precision")),
        ),
    ]


def _multiclass(evaluation: Evaluation, scores: "pd.DataFrame") -> list[Section]:
    right = (scores["accuracy"] > 0).to_numpy(float)
    counts = scores.groupby(["target", "prediction"]).size().unstack(fill_value=0)
    names, numbers = counts.index.tolist(), counts.to_numpy().tolist()
    rows: list[list[Cell]] = [[str(n), *row] for n, row in zip(names, numbers, strict=True)]
    return [
        _calibration(right, scores["score"].to_numpy(float)),
        Section(
            "Confusion",
            "How often each class (rows) was taken for which (columns).",
            table=Table(["Class", *map(str, counts.columns)], rows),
        ),
    ]


def _regression(evaluation: Evaluation, scores: "pd.DataFrame") -> list[Section]:
    covered, width = evaluation.metrics["covered"], evaluation.metrics["width"]
    errors = (scores["prediction"] - scores["target"]).to_numpy(float)
    return [
        Section(
            "Intervals",
            f"{covered.value:.1%} of the held-out values lie in their interval, which is "
            f"{width.value:.4g} wide on average.",
        ),
        Section(
            "Errors",
            "Prediction less truth.",
            figure=histogram_figure({"error": errors}, "How errors are distributed", "error"),
        ),
    ]


def _calibration(target: "np.ndarray", score: "np.ndarray") -> Section:
    order = np.argsort(score, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    said = np.array([score[part].mean() for part in bins])
    was = np.array([target[part].mean() for part in bins])
    top = max(said.max(), was.max())
    diagonal = np.array([0.0, top])
    lines = {"ideal": (diagonal, diagonal), "this model": (said, was)}
    return Section(
        "Calibration",
        "Rows in ten parts by their score: what was said, and how often it was so.",
        figure=line_figure(lines, "Calibration curve", ("said", "was so")),
    )


def _precision_recall(
    target: "np.ndarray", score: "np.ndarray"
) -> dict[str, tuple["np.ndarray", "np.ndarray"]]:
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(target[order])
    ranks = np.unique(np.geomspace(1, len(order), 200).astype(int)) - 1
    return {"this model": (found[ranks] / max(found[-1], 1), found[ranks] / (ranks + 1))}


def _segments(evaluation: Evaluation, metrics: tuple[str, ...]) -> list[Section]:
    return [
        Section(
            f"By {segment}",
            table=metric_table(by_segment(evaluation, segment, metrics), segment),
        )
        for segment in evaluation.segments
    ]


def _explained(candidate: Candidate) -> list[Section]:
    import pandas as pd

    if not (candidate.evaluated / EXPLAINED).exists():
        return []
    found = pd.read_parquet(candidate.evaluated / EXPLAINED)
    ranked = found.sort_values("permutation_drop", ascending=False)
    shown = ranked.head(12)
    return [
        Section(
            "What matters",
            "permutation_drop: how much worse the metric becomes when a column is shuffled. "
            "mean_abs_shap: how far, on average, a column moves a single prediction.",
            table=_table(ranked.head(30)),
            figure=bar_figure(
                dict(zip(shown["column"], shown["permutation_drop"], strict=True)),
                "Permutation importance",
            ),
        )
    ]


def _errors(candidate: Candidate) -> Section:
    import pandas as pd

    found = pd.read_parquet(candidate.evaluated / ERRORS).reset_index()
    return Section("Worst rows", "Where the model was most wrong.", table=_table(found))


def _trials(candidate: Candidate) -> Section:
    import pandas as pd

    found = pd.read_parquet(candidate.evaluated / TRIALS)
    return Section(
        "Trials",
        f"The metric of all {len(found)} trials on folds of the rows learned from, as tried.",
        table=_table(found),
        folded=True,
    )


def _table(frame: "pd.DataFrame") -> Table:
    columns = [str(name) for name in frame.columns]
    rows = [[_cell(value) for value in row] for row in frame.astype(object).to_numpy().tolist()]
    return Table(columns, rows)


def _cell(value: object) -> Cell:
    import pandas as pd

    if bool(pd.isna(value)):  # type: ignore[call-overload]
        return None
    return value if isinstance(value, str | int | float | bool) else str(value)


def _onnx(evaluation: Evaluation) -> list[Section]:
    facts = evaluation.facts
    if "onnx.max_difference" not in facts:
        return []
    return [
        Section(
            "Without an API",
            "The ONNX model in the bundle scores with ONNX Runtime alone. Its scores differ from "
            f"the model's by {facts['onnx.max_difference']:.1g} at most. One row takes "
            f"{facts['onnx.one_row_p50_ms']:.3g} ms (median); in a batch, "
            f"{facts['onnx.rows_per_second']:,.0f} rows a second.",
        )
    ]
