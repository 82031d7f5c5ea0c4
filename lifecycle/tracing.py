"""Spans: what happened inside of one request, in what order, and how long it took.

Code opens spans by name and knows nothing of who records them. Until a tracer is installed they
cost next to nothing and import nothing.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, TypeVar

Value = str | int | float | bool
T = TypeVar("T")


class Span(Protocol):
    """A piece of work that began when the span was made."""

    def set(self, attributes: dict[str, Value]) -> None: ...

    def end(self, error: BaseException | None = None) -> None: ...


class Tracer(Protocol):
    """What records spans: one module each, for MLflow ``lifecycle.mlflow_spans``."""

    @property
    def with_text(self) -> bool:
        """Whether questions and answers may be recorded."""

    def start(self, name: str, parent: Span | None, attributes: dict[str, Value]) -> Span: ...


@dataclass(frozen=True)
class _Installed:
    tracer: Tracer
    attributes: dict[str, Value]


_installed: list[_Installed] = []
_current: ContextVar[Span | None] = ContextVar("span", default=None)


def install(tracer: Tracer | None, **attributes: Value) -> None:
    """Record spans with ``tracer`` from now on; None records no more.

    ``attributes`` are those of every outermost span: which model answers, for example.
    """
    _installed[:] = [_Installed(tracer, attributes)] if tracer else []


@contextmanager
def span(name: str, **attributes: Value) -> Iterator[None]:
    """A span over the block, inside of the one that is open here."""
    if not _installed:
        yield
        return
    opened = _start(name, attributes)
    try:
        with _as_current(opened):
            yield
    except BaseException as error:
        opened.end(error)
        raise
    opened.end()


def spanned(
    name: str, make: Callable[[], Iterator[T]], **attributes: Value
) -> Generator[T, None, None]:
    """The items of ``make()`` under a span that ends with them, or when their reader stops.

    ``make`` is called at once. The span is open only while it or its stream works: what the reader
    does between two items is not inside of it.
    """
    if not _installed:
        return _plain(make())
    opened = _start(name, attributes)
    try:
        with _as_current(opened):
            stream = make()
    except BaseException as error:
        opened.end(error)
        raise
    return _spanned(opened, stream)


def annotate(**attributes: Value) -> None:
    """Attributes of the span that is open here."""
    opened = _current.get()
    if opened is not None:
        opened.set(attributes)


def annotate_text(**attributes: str) -> None:
    """The same for questions and answers: left out unless the tracer may record them."""
    if _installed and _installed[0].tracer.with_text:
        annotate(**attributes)


def _start(name: str, attributes: dict[str, Value]) -> Span:
    parent, installed = _current.get(), _installed[0]
    common = {} if parent else installed.attributes
    return installed.tracer.start(name, parent, common | attributes)


@contextmanager
def _as_current(opened: Span) -> Iterator[None]:
    token = _current.set(opened)
    try:
        yield
    finally:
        _current.reset(token)


def _plain(stream: Iterator[T]) -> Generator[T, None, None]:
    yield from stream


def _spanned(opened: Span, stream: Iterator[T]) -> Generator[T, None, None]:
    failure: BaseException | None = None
    try:
        while True:
            try:
                with _as_current(opened):
                    item = next(stream)
            except StopIteration:
                return
            yield item
    except GeneratorExit:
        raise
    except BaseException as error:
        failure = error
        raise
    finally:
        if isinstance(stream, Generator):
            with _as_current(opened):
                stream.close()
        opened.end(failure)
