"""`run.py compare --use-case NAME`: every run of a use case in one table."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime

from cli.output import next_step, print_table, say
from lifecycle import usecases
from lifecycle.errors import UsageError, did_you_mean
from lifecycle.registry import CHAMPION, Version
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State
from lifecycle.tracking import RunRecord, Tracker, metric_name


def main(options: argparse.Namespace) -> int:
    state = State.from_env()
    tracker = tracker_of(load_stack(options.stack, state), state)
    use_case = usecases.find(options.use_case)
    runs = [run for run in tracker.runs(use_case.name) if "model" in run.tags]
    if options.name:
        runs = _of_model(runs, options.name)
    if not runs:
        say(f"There is no run of use case {use_case.name!r} yet.")
        next_step(f"python run.py --pipeline {_pipeline(use_case)} --use-case {use_case.name}")
        return 0
    metrics = _metrics(runs, [metric_name(name) for name in options.metric])
    _table(tracker, runs, metrics)
    say("\nOnly rows of the same holdout compare; there the best by the first metric stands first.")
    next_step("python run.py ui")
    return 0


def _pipeline(use_case: usecases.UseCase) -> str:
    return use_case.pipelines()[0].stem


def _of_model(runs: list[RunRecord], name: str) -> list[RunRecord]:
    found = [run for run in runs if run.tags["model"] == name]
    if not found:
        names = {run.tags["model"] for run in runs}
        raise UsageError(f"no run is of model {name!r}.", did_you_mean(name, names))
    return found


def _metrics(runs: Sequence[RunRecord], wanted: Sequence[str]) -> list[str]:
    """The metrics asked for, or those that stand beside each version."""
    there = {name for run in runs for name in run.metrics}
    for name in wanted:
        if name not in there:
            raise UsageError(f"no run has the metric {name!r}.", did_you_mean(name, there))
    headlines = [name for run in runs for name in run.tags.get("headline", "").split(",")]
    return list(wanted) or list(dict.fromkeys(name for name in headlines if name in there))


def _table(tracker: Tracker, runs: list[RunRecord], metrics: list[str]) -> None:
    versions = _versions(tracker, {run.tags["model"] for run in runs})
    groups = list(dict.fromkeys(run.tags.get("holdout", "") for run in runs))
    runs.sort(key=lambda run: (groups.index(run.tags.get("holdout", "")), _best(run, metrics)))
    fixed = ["model", "version", "status", "algorithm", "data version", "holdout", "run (UTC)"]
    rows = [
        [
            *_who(run, versions),
            run.tags.get("algorithm", ""),
            run.tags.get("data_version", "")[:8],
            run.tags.get("holdout", "")[:8],
            datetime.fromtimestamp(run.started_ms / 1000, UTC).strftime("%m-%d %H:%M"),
            *(f"{run.metrics[name]:.4g}" if name in run.metrics else "" for name in metrics),
        ]
        for run in runs
    ]
    print_table([*fixed, *metrics], rows, len(fixed))


def _versions(tracker: Tracker, names: set[str]) -> dict[str, Version]:
    """Registered versions by the run that they came from."""
    registered = names.intersection(tracker.names())
    return {v.run_id: v for name in registered for v in tracker.versions(name)}


def _who(run: RunRecord, versions: dict[str, Version]) -> list[str]:
    version = versions.get(run.id)
    if version is None:
        return [run.tags["model"], "", run.tags.get("gate", "")]
    status = CHAMPION if CHAMPION in version.aliases else version.tags.get("gate", "")
    return [version.name, str(version.number), status]


def _best(run: RunRecord, metrics: list[str]) -> tuple[bool, float]:
    """Runs without the first metric stand last; errors and costs are better when small."""
    first = metrics[0] if metrics else ""
    if first not in run.metrics:
        return True, 0.0
    small = any(word in first for word in ("error", "loss", "cost", "latency", "brier", "rmse"))
    return False, run.metrics[first] * (1 if small else -1)
