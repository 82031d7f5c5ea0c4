"""The report of a RAG run: retrieval side by side, answers, latency, the worst questions."""

import json
from typing import TYPE_CHECKING, Any

from lifecycle.bundle import Manifest
from lifecycle.candidates import Judgement, load_evaluation
from lifecycle.evaluation import Evaluation
from lifecycle.figures import bar_figure, interval_figure
from lifecycle.registration import Candidate
from lifecycle.report import (
    Report,
    Section,
    Table,
    by_prefix,
    by_segment,
    metric_table,
    run_facts,
    settings,
)
from rag.stages.files import SKIPPED, STALE

if TYPE_CHECKING:
    import pandas as pd

RETRIEVERS = ("lexical", "dense", "hybrid")
SYNTHETIC = (
    "\n\nThe questions are synthetic: sentences of the documents with a third of their words left "
    "out. They show whether the index finds again what is in it, not how people ask."
)
SEGMENT_METRICS = ("hybrid.ndcg@10", "hybrid.recall@5", "answer.span_f1")


def headline(manifest: Manifest) -> tuple[str, ...]:
    """The metrics that stand beside a version where there is room for few."""
    return "hybrid.ndcg@10", "answer.span_f1"


def algorithm(manifest: Manifest) -> str:
    """Who embeds and who answers."""
    chosen = manifest.settings
    return f"{chosen['embedding']['model']}, {chosen['generation']['provider']}"


def make_report(candidate: Candidate, judgement: Judgement) -> Report:
    """The report of one evaluated index and what the gate said of it."""
    evaluation, scores = load_evaluation(candidate.evaluated)
    manifest = candidate.bundle.manifest
    return Report(
        title=f"{manifest.name}: retrieval and answers",
        subtitle=f"Pipeline run {candidate.run}",
        decision=judgement.decision,
        facts=[
            *run_facts(manifest, evaluation, judgement.champion),
            ("Chunks", f"{evaluation.facts.get('index.chunks', 0):,.0f}"),
        ],
        sections=[
            _retrieval(evaluation, bool(evaluation.facts.get("questions.synthetic"))),
            _answers(evaluation, judgement),
            *unsupported_answers(scores),
            *_segments(evaluation),
            _latency(evaluation),
            _worst(scores),
            *_left_out(candidate),
            settings("Configuration", dict(candidate.params)),
            settings("Libraries", dict(manifest.libraries)),
        ],
    )


def _retrieval(evaluation: Evaluation, synthetic: bool) -> Section:
    made = SYNTHETIC if synthetic else ""
    series = by_prefix(evaluation, RETRIEVERS)
    return Section(
        "Retrieval",
        "How well the passages that answer are found, by BM25 alone, by vectors alone, and by both "
        "fused. Each question counts once; unanswerable ones do not count here." + made,
        table=metric_table(series),
        figure=interval_figure(series, "Retrieval metrics with their intervals"),
    )


def _answers(evaluation: Evaluation, judgement: Judgement) -> Section:
    series: dict[str, Any] = {"This model": {}}
    for prefix in ("answer", "abstention", "judge"):
        for name, interval in by_prefix(evaluation, [prefix])[prefix].items():
            series["This model"][f"{prefix}.{name}"] = interval
    text = (
        "span_f1 compares the answer with the gold span; citation_precision is the share of "
        "citations whose passage answers; groundedness is the share of an answer's sentences that "
        "the passages support; abstention precision and recall say whether the model "
        "keeps silent exactly where the documents hold no answer."
    )
    if judgement.champion:
        theirs = ", ".join(
            f"{name} {value:.3f}"
            for name, value in judgement.champion_metrics.items()
            if name in series["This model"] or name == "hybrid.ndcg@10"
        )
        text += f"\n\nThe champion (version {judgement.champion}) on the same questions: {theirs}."
    return Section("Answers", text, table=metric_table(series))


def unsupported_answers(scores: "pd.DataFrame") -> list[Section]:
    """The answers that say what their passages do not, the least supported first."""
    if "unsupported" not in scores.columns:  # nothing could be asked
        return []
    doubtful = scores[scores["unsupported"].fillna("") != ""].sort_values("answer.groundedness")
    if doubtful.empty:
        return []
    columns = ["question", "unsupported", "answer.groundedness", "cited"]
    rows = doubtful[columns].head(15).astype(object).itertuples(index=False, name=None)
    return [
        Section(
            "Sentences without support",
            f"{len(doubtful)} answers hold sentences that the passages they cite do not support, "
            "as far as words and vectors can tell.",
            table=Table(columns, [list(row) for row in rows]),
        )
    ]


def _segments(evaluation: Evaluation) -> list[Section]:
    sections = []
    for segment in evaluation.segments:
        series = by_segment(evaluation, segment, SEGMENT_METRICS)
        sections.append(Section(f"By {segment}", table=metric_table(series, segment.capitalize())))
    return sections


def _latency(evaluation: Evaluation) -> Section:
    prefix = "latency."
    values = {
        name.removeprefix(prefix).removesuffix("_ms").replace("_", " "): value
        for name, value in evaluation.facts.items()
        if name.startswith(prefix)
    }
    return Section(
        "Latency",
        "Milliseconds a question on this machine, by stage: median (p50) and 95th percentile.",
        figure=bar_figure(values, "Latency by stage", "ms"),
    )


def _worst(scores: "pd.DataFrame") -> Section:
    import pandas as pd

    from rag.evaluate import worst_questions

    columns = ["question", "topic", "hybrid.ndcg@10", "answer.span_f1", "answer", "top_sources"]
    frame = worst_questions(scores, 15)
    shown = [name for name in columns if name in frame.columns]
    rows = [
        [None if pd.isna(value) else value for value in row]
        for row in frame[shown].astype(object).itertuples(index=False, name=None)
    ]
    return Section(
        "Worst questions",
        "Answerable questions whose passage was found worst, then those answered worst.",
        table=Table(shown, rows),
    )


def _left_out(candidate: Candidate) -> list[Section]:
    """Files that are not in the index, and questions that could not be asked, with the reason."""
    skipped = json.loads((candidate.bundle.path / SKIPPED).read_text("utf-8"))
    stale = json.loads((candidate.evaluated / STALE).read_text("utf-8"))
    rows = [["file", one["uri"], one["reason"]] for one in skipped]
    rows += [["question", name, reason] for name, reason in stale.items()]
    if not rows:
        return []
    return [Section("Left out", table=Table(["what", "which", "why"], rows))]
