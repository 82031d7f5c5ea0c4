"""`run.py rollback`: give the champion's place back to the one before."""

import argparse

from cli.output import next_step
from cli.promote import report_move
from lifecycle.promotion import rollback
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State


def main(options: argparse.Namespace) -> int:
    state = State.from_env()
    tracker = tracker_of(load_stack(options.stack, state), state)
    report_move(rollback(tracker, state, options.name, options.reason))
    next_step(f"python run.py models {options.name}")
    return 0
