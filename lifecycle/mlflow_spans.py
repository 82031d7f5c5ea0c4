"""Spans in MLflow, where its UI shows them as traces."""

from typing import TYPE_CHECKING

from lifecycle.tracing import Span, Value

if TYPE_CHECKING:
    from mlflow.entities import LiveSpan

# These are what MLflow's list of traces shows in its columns.
_INPUT, _OUTPUT = "question", "answer"


class MlflowTracer:
    """Traces in experiment ``experiment`` of the MLflow at ``uri``; see ``lifecycle.tracing``."""

    def __init__(self, uri: str, experiment: str, with_text: bool) -> None:
        """``experiment``: an id."""
        import mlflow

        mlflow.set_tracking_uri(uri)
        self.experiment = experiment
        self.with_text = with_text

    def start(self, name: str, parent: Span | None, attributes: dict[str, Value]) -> Span:
        import mlflow

        above = parent.live if isinstance(parent, _MlflowSpan) else None
        live = mlflow.start_span_no_context(
            name, parent_span=above, experiment_id=None if above else self.experiment
        )
        started = _MlflowSpan(live)
        started.set(attributes)
        return started

    def flush(self) -> None:
        """Wait until what was recorded is stored."""
        import mlflow

        mlflow.flush_trace_async_logging()


class _MlflowSpan:
    def __init__(self, live: "LiveSpan") -> None:
        self.live = live

    def set(self, attributes: dict[str, Value]) -> None:
        if _INPUT in attributes:
            self.live.set_inputs({_INPUT: attributes[_INPUT]})
        if _OUTPUT in attributes:
            self.live.set_outputs({_OUTPUT: attributes[_OUTPUT]})
        self.live.set_attributes(attributes)

    def end(self, error: BaseException | None = None) -> None:
        if error is not None:
            # MLflow takes no KeyboardInterrupt.
            self.live.record_exception(
                error if isinstance(error, Exception) else type(error).__name__
            )
        self.live.end()
