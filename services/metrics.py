"""What Prometheus reads of a service.

Counts of several workers are put together where ``PROMETHEUS_MULTIPROC_DIR`` is set, as BentoML
does. A label costs memory for each of its values, so paths that are no endpoint count as one.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from services.served import Model

TEXT = b"text/plain; version=0.0.4; charset=utf-8"
# Seconds: from an endpoint that looks something up to one that asks a language model.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SHARES = tuple(number / 10 for number in range(1, 11))
MODEL = ("model", "version")


class Metrics:
    """The counters of one process. Looking a label up is slow, so what was found is kept."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry = CollectorRegistry()
        self._found: dict[tuple[Any, ...], Any] = {}

        def counter(name: str, about: str, labels: tuple[str, ...]) -> Counter:
            return Counter(name, about, labels, registry=self.registry)

        def histogram(
            name: str, about: str, labels: tuple[str, ...], buckets: tuple[float, ...]
        ) -> Histogram:
            return Histogram(name, about, labels, buckets=buckets, registry=self.registry)

        each = ("endpoint", *MODEL)
        self._requests = counter("mlops_requests", "Requests.", ("status", *each))
        self._seconds = histogram("mlops_request_seconds", "Time of a request.", each, SECONDS)
        self._stages = histogram(
            "mlops_stage_seconds", "Time of a stage of a request.", ("stage", *MODEL), SECONDS
        )
        self._confidence = histogram(
            "mlops_confidence", "Confidence of answers, 0 to 1.", MODEL, SHARES
        )
        self._abstentions = counter("mlops_abstentions", "Questions left unanswered.", MODEL)
        self._dropped = counter("mlops_records_dropped", "Rows lost to the request log.", ())
        self._rows = counter("mlops_rows", "Rows predicted.", ("outcome", *MODEL))

    def request(self, endpoint: str, status: int, seconds: float, model: "Model | None") -> None:
        each = (endpoint, *_labels(model))
        self._child(self._requests, str(status), *each).inc()
        self._child(self._seconds, *each).observe(seconds)

    def stage(self, stage: str, seconds: float, model: "Model") -> None:
        self._child(self._stages, stage, *_labels(model)).observe(seconds)

    def answered(self, confidence: float, abstained: bool, model: "Model") -> None:
        self._child(self._confidence, *_labels(model)).observe(confidence)
        if abstained:
            self._child(self._abstentions, *_labels(model)).inc()

    def rows(self, count: int, errors: int, model: "Model") -> None:
        self._child(self._rows, "predicted", *_labels(model)).inc(count - errors)
        self._child(self._rows, "refused", *_labels(model)).inc(errors)

    def dropped(self) -> None:
        """A row that the request log had no place for."""
        self._dropped.inc()

    def text(self) -> bytes:
        from prometheus_client import generate_latest

        return generate_latest(self._all())

    def _all(self) -> "CollectorRegistry":
        if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            return self.registry
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return together

    def _child(self, metric: Any, *labels: str) -> Any:
        key = (metric, *labels)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = metric.labels(*labels)
        return found


def _labels(model: "Model | None") -> tuple[str, str]:
    return (model.name, str(model.version)) if model else ("", "")
