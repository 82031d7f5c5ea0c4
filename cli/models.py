"""`run.py models`: what is registered, what is served, and where it came from."""

import argparse
from datetime import UTC, datetime

from cli.output import next_step, print_table, say
from lifecycle.lineage import by_data_version, trained_on, version_facts
from lifecycle.promotion import audit_trail
from lifecycle.registry import CHAMPION, Version
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State
from lifecycle.tracking import Tracker


def main(options: argparse.Namespace) -> int:
    state = State.from_env()
    tracker = tracker_of(load_stack(options.stack, state), state)
    names = [options.name] if options.name else tracker.names()
    versions = [version for name in names for version in tracker.versions(name)]
    if options.data_version:
        versions = trained_on(versions, options.data_version)
    if not versions:
        say("No model is registered yet.")
        next_step("python run.py --pipeline rag")
        return 0
    _overview(tracker, versions)
    if options.lineage or options.data_version:
        _lineage(tracker, versions)
    if options.name:
        _audit(tracker, options.name)
    next_step(_suggestion(versions))
    return 0


def _overview(tracker: Tracker, versions: list[Version]) -> None:
    rows = [
        [
            version.name,
            str(version.number),
            "champion" if CHAMPION in version.aliases else version.tags.get("gate", ""),
            _headline(tracker, version),
            version.tags.get("data_version", ""),
            _time(version),
        ]
        for version in versions
    ]
    print_table(["model", "version", "status", "metrics", "data version", "registered (UTC)"], rows)


def _lineage(tracker: Tracker, versions: list[Version]) -> None:
    for version in versions:
        say(f"\n{version.name} version {version.number}")
        for label, value in version_facts(tracker, version):
            say(f"  {label:<13} {value}")
        if not version.passed:
            say(f"  {'rejected':<13} {version.tags.get('gate_reasons', '')}")
    say("\nTrained on each data version")
    for data, trained in by_data_version(versions).items():
        say(f"  {data}  {', '.join(f'{v.name} {v.number}' for v in trained)}")


def _audit(tracker: Tracker, name: str) -> None:
    trail = audit_trail(tracker, name)
    if not trail:
        return
    say("\nAudit trail")
    rows = [
        [e.at[:19], e.who, e.action, str(e.before or "-"), str(e.after), e.outcome, e.reason]
        for e in trail
    ]
    print_table(["when (UTC)", "who", "what", "from", "to", "outcome", "why"], rows)


def _headline(tracker: Tracker, version: Version) -> str:
    metrics = tracker.run_metrics(version.run_id)
    wanted = version.tags.get("headline", "").split(",")
    return "  ".join(f"{name} {metrics[name]:.3f}" for name in wanted if name in metrics)


def _suggestion(versions: list[Version]) -> str:
    passed = [v for v in versions if v.passed and CHAMPION not in v.aliases]
    if passed:
        return f"python run.py promote {passed[-1].name} --version {passed[-1].number}"
    return f"python run.py models {versions[0].name} --lineage"


def _time(version: Version) -> str:
    return datetime.fromtimestamp(version.created_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
