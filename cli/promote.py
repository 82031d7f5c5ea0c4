"""`run.py promote`: make a version the champion."""

import argparse

from cli.output import next_step, say
from lifecycle.promotion import AuditEntry, promote
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State


def main(options: argparse.Namespace) -> int:
    state = State.from_env()
    tracker = tracker_of(load_stack(options.stack, state), state)
    report_move(promote(tracker, state, options.name, options.version, options.reason))
    next_step(f"python run.py rollback {options.name}")
    return 0


def report_move(entry: AuditEntry) -> None:
    before = f"version {entry.before}" if entry.before else "no champion"
    say(f"{entry.model}: champion is version {entry.after} now (was {before}).")
    say(f"Written to the audit trail: {entry.who}, {entry.at[:19]} UTC, {entry.reason!r}.")
