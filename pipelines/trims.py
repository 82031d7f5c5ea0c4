"""Time that ZenML 0.98.0 spends on nothing we use, and how it is saved.

Each trim replaces a private function, so all of them are tied to the exact version and skipped
for any other; ``tests/test_trims.py`` fails when a name moves.
"""

import functools
from importlib.metadata import version
from typing import Any

ZENML = "0.98.0"


def apply() -> None:
    """Apply the trims; without effect on another version of ZenML."""
    if version("zenml") != ZENML:
        return
    _do_not_import_integrations()
    _look_up_packages_once()
    _write_ahead()


def _do_not_import_integrations() -> None:
    """Activation imports torch, lightgbm and bentoml to register materializers for them; our
    steps hand on folders and plain values, and flavours are imported by name when needed."""
    from zenml.integrations.registry import IntegrationRegistry

    IntegrationRegistry.activate_integrations = _nothing  # type: ignore[method-assign]


def _look_up_packages_once() -> None:
    """ZenML scans all installed distributions again for every artifact of a class of ours."""
    from zenml.utils import source_utils

    name = "_get_package_for_module"
    original = getattr(source_utils, name)
    if original.__module__ == source_utils.__name__:
        by_package = functools.cache(original)
        setattr(source_utils, name, lambda module_name: by_package(module_name.partition(".")[0]))


def _write_ahead() -> None:
    """ZenML's own database commits some fifty times a run. A write-ahead log spares each of them
    waiting for the disk and stays whole when the process is killed; MLflow's is left as it is."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if not event.contains(Engine, "connect", _configure):
        event.listen(Engine, "connect", _configure)


def _configure(connection: Any, record: object) -> None:
    if not type(connection).__module__.startswith("sqlite3"):
        return
    _, _, path = connection.execute("PRAGMA database_list").fetchone()
    if path.endswith("zenml.db"):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")


def _nothing(self: object) -> None:
    return None
