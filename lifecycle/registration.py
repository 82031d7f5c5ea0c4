"""What a candidate leaves behind: an MLflow run, a report, a registered version."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle.atomic import write_text
from lifecycle.bundle import Bundle, seal
from lifecycle.candidates import EVALUATION, SCORES, Judgement, load_evaluation, version_tags
from lifecycle.evaluation import Evaluation
from lifecycle.predictors import method_module
from lifecycle.registry import Version
from lifecycle.report import Report, render
from lifecycle.state import State
from lifecycle.tracking import Run, Tracker, metric_name


@dataclass(frozen=True)
class Candidate:
    """An evaluated bundle on its way into the registry. ``run`` names the pipeline run, ``work``
    is a folder for what is written on the way."""

    bundle: Bundle
    evaluated: Path
    params: Mapping[str, Any]
    run: str
    work: Path


def log_version(
    tracker: Tracker, state: State, candidate: Candidate, judgement: Judgement
) -> Version:
    """Log run, report and tables, then register the sealed bundle as a new version."""
    evaluation, scores = load_evaluation(candidate.evaluated)
    manifest = candidate.bundle.manifest
    metrics = evaluation.to_dict()["metrics"]
    sealed = seal(
        candidate.bundle, candidate.work / "bundle", metrics, judgement.decision.to_dict()
    )
    report = state.reports / manifest.name / f"{candidate.run}.html"
    write_text(report, render(_report(candidate, judgement)))
    describing = method_module(manifest.kind, "report")
    headline = describing.headline(manifest)
    tags = version_tags(
        sealed,
        judgement,
        {
            "report": str(report),
            "run": candidate.run,
            "algorithm": describing.algorithm(manifest),
            "holdout": evaluation.holdout,
            "headline": ",".join(metric_name(name) for name in headline),
        },
    )
    run_id = tracker.log_run(
        Run(
            experiment=manifest.use_case,
            name=candidate.run,
            params=_flat(candidate.params),
            metrics=_metrics(evaluation),
            tags=tags | {"model": manifest.name},
            files={
                report: "report",
                candidate.evaluated / EVALUATION: "evaluation",
                candidate.evaluated / SCORES: "evaluation",
            },
        )
    )
    tracker.log_table(run_id, scores.reset_index(), "evaluation/examples.json")
    return tracker.register(manifest.name, sealed.path, run_id, tags, _requirements(sealed))


def _report(candidate: Candidate, judgement: Judgement) -> Report:
    module = method_module(candidate.bundle.manifest.kind, "report")
    report: Report = module.make_report(candidate, judgement)
    return report


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    values = {name: interval.value for name, interval in evaluation.metrics.items()}
    values |= evaluation.facts
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = json.dumps(value) if isinstance(value, list) else value
    return flat


def _requirements(bundle: Bundle) -> list[str]:
    return [f"{name}=={version}" for name, version in bundle.manifest.libraries.items()]
