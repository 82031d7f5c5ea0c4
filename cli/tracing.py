"""Turns tracing on for a command where the user asked for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from lifecycle import tracing as spans
from lifecycle.errors import UsageError, did_you_mean
from lifecycle.registry import Version
from lifecycle.tracking import Tracker

TRACER = "MLOPS_TRACE"
WITH_TEXT = "MLOPS_TRACE_TEXT"
TRACERS = ("mlflow",)


@contextmanager
def tracing(tracker: Tracker, version: Version, wanted: bool) -> Iterator[None]:
    """Record the spans of the block in MLflow, where ``wanted`` or the environment says so.

    They stand in the experiment of the version's use case. Raises UsageError where MLOPS_TRACE
    names no tracer.
    """
    name = os.environ.get(TRACER, "")
    if name and name not in TRACERS:
        raise UsageError(f"{TRACER}={name!r} names no tracer.", did_you_mean(name, TRACERS))
    if not (wanted or name):
        yield
        return
    from lifecycle.mlflow_spans import MlflowTracer

    with_text = os.environ.get(WITH_TEXT, "") == "1"
    place = tracker.experiment(version.tags.get("use_case") or version.name)
    tracer = MlflowTracer(tracker.uri, place, with_text)
    facts = {"data_version": version.tags.get("data_version", "")}
    spans.install(tracer, model=version.name, version=version.number, **facts)
    try:
        yield
    finally:
        spans.install(None)
        tracer.flush()
