"""Progress of long work, for a person who watches a terminal: all of it on standard error."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")


def console() -> "Console":
    """A console on standard error as it is now."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def track(iterable: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate with a progress bar where standard error is a terminal, in silence elsewhere."""
    if not sys.stderr.isatty():
        yield from iterable
        return
    from rich.progress import track as rich_track

    yield from rich_track(
        iterable, f"  {description}", total=total, console=console(), transient=True
    )


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that ``what`` is being worked on, until the block ends."""
    if sys.stderr.isatty():
        print(f"  … {what}", end="\r", file=sys.stderr, flush=True)
    yield


@contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[str], None]]:
    """A function that moves a progress bar by one of ``total`` and says what was done, where
    standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=console(), transient=True) as shown:
        task = shown.add_task(f"  {what}", total=total)
        yield lambda text: shown.update(task, advance=1, description=f"  {what}: {escape(text)}")


def say_step(name: str, text: str, seconds: float) -> None:
    """One finished step: its name, what came out, and the time it took."""
    from rich.markup import escape

    line = f"  [green]✓[/] {name:<9} {escape(text)}  [dim]{seconds:.1f} s[/]"
    console().print(line, soft_wrap=True)
