"""Moving the champion alias, with an audit trail that a crash cannot tear.

Every move is first written down as intended, then made, then marked done; the entries are tags of
the registered model, so that the trail lives where the truth lives. A process killed in between
leaves an intention that the next one settles by looking at where the alias stands.
"""

import getpass
import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from lifecycle.atomic import lock
from lifecycle.bundle import open_bundle
from lifecycle.errors import RegistryError
from lifecycle.registry import CHALLENGER, CHAMPION, Version
from lifecycle.state import State
from lifecycle.tracking import Tracker

_TAG = "audit."
Action = Literal["promote", "rollback"]
Outcome = Literal["intended", "done", "abandoned"]


@dataclass(frozen=True)
class AuditEntry:
    """One move of the champion alias. ``before`` is 0 where there was no champion; ``at`` is
    UTC, ISO 8601; ``who`` is ``user@host``."""

    at: str
    who: str
    action: Action
    model: str
    before: int
    after: int
    reason: str
    outcome: Outcome = "intended"
    key: str = ""


@contextmanager
def registry_lock(state: State, name: str) -> Iterator[None]:
    """One process at a time changes the aliases of model ``name`` on this machine."""
    with lock(state.locks / f"registry-{name}.lock"):
        yield


def promote(tracker: Tracker, state: State, name: str, number: int, reason: str) -> AuditEntry:
    """Make version ``number`` the champion.

    Raises RegistryError where there is no such version, where its gate refused it, or where it
    is champion already; BundleError where its bundle does not load unaltered.
    """
    with registry_lock(state, name):
        return promote_locked(tracker, state, name, number, reason)


def promote_locked(
    tracker: Tracker,
    state: State,
    name: str,
    number: int,
    reason: str,
    action: Action = "promote",
) -> AuditEntry:
    """``promote`` for a caller that holds the registry lock."""
    settle(tracker, name)
    version = tracker.version(name, number)
    champion = tracker.champion(name)
    _may_serve(version, champion)
    open_bundle(tracker.bundle_path(version), state.receipts, renew=True)
    entry = AuditEntry(
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        who=f"{getpass.getuser()}@{socket.gethostname()}",
        action=action,
        model=name,
        before=champion.number if champion else 0,
        after=number,
        reason=reason,
        key=uuid.uuid4().hex[:8],
    )
    _write(tracker, entry)
    tracker.set_alias(name, CHAMPION, number)
    if CHALLENGER in version.aliases:
        tracker.delete_alias(name, CHALLENGER)
    done = replace(entry, outcome="done")
    _write(tracker, done)
    return done


def rollback(tracker: Tracker, state: State, name: str, reason: str) -> AuditEntry:
    """Give the alias back to the champion before the present one.

    Going back twice goes back two champions: versions rolled away from do not count. Raises
    RegistryError where there is no earlier champion.
    """
    with registry_lock(state, name):
        settle(tracker, name)
        tracker.versions(name)
        past = served_before(audit_trail(tracker, name))
        if not past:
            raise RegistryError(
                f"{name} has no earlier champion to roll back to.",
                "See python run.py models, and promote a version by its number.",
            )
        return promote_locked(tracker, state, name, past[-1], reason, "rollback")


def served_before(trail: list[AuditEntry]) -> list[int]:
    """The champions that a rollback can return to, oldest first: a stack that promotions push
    and rollbacks pop, less its top, the present champion."""
    stack: list[int] = []
    for entry in trail:
        if entry.outcome != "done":
            continue
        if entry.action == "rollback" and stack:
            stack.pop()
        elif entry.action == "promote":
            stack.append(entry.after)
    return stack[:-1]


def audit_trail(tracker: Tracker, name: str) -> list[AuditEntry]:
    """Every move of the alias of ``name``, oldest first."""
    tags = tracker.model_tags(name)
    entries = [AuditEntry(**json.loads(v)) for k, v in tags.items() if k.startswith(_TAG)]
    return sorted(entries, key=lambda entry: entry.at)


def settle(tracker: Tracker, name: str) -> None:
    """Decide what became of moves whose process was killed: done if the alias stands there."""
    if name not in tracker.names():
        return
    champion = tracker.champion(name)
    for entry in audit_trail(tracker, name):
        if entry.outcome == "intended":
            moved = champion is not None and champion.number == entry.after
            _write(tracker, replace(entry, outcome="done" if moved else "abandoned"))


def _may_serve(version: Version, champion: Version | None) -> None:
    label = f"{version.name} version {version.number}"
    if not version.passed:
        raise RegistryError(
            f"{label} was rejected by its gate: {version.tags.get('gate_reasons', 'unknown')}",
            "A rejected version is never served; mend the cause and run the pipeline again.",
        )
    if champion is not None and champion.number == version.number:
        raise RegistryError(f"{label} is the champion already.")


def _write(tracker: Tracker, entry: AuditEntry) -> None:
    tracker.tag_model(entry.model, f"{_TAG}{entry.at}.{entry.key}", json.dumps(asdict(entry)))
