"""What each step did and how long its own work took, told as it happens."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lifecycle import progress


@dataclass
class Note:
    """Filled by a step while it works: the sentence shown when it is done."""

    text: str = ""


@dataclass
class Ledger:
    """Seconds inside our own functions by step, in the order in which steps ran."""

    seconds: dict[str, float] = field(default_factory=dict)


LEDGER = Ledger()


@contextmanager
def clock(step: str) -> Iterator[Note]:
    """Time the block as the work of ``step`` and print one line when it ends."""
    note = Note()
    started = time.perf_counter()
    with progress.working(step):
        yield note
    spent = time.perf_counter() - started
    LEDGER.seconds[step] = spent
    progress.say_step(step, note.text, spent)
