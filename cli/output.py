"""What a command prints on standard output: plain lines and tables, and the next thing to type."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console() -> "Console":
    """A console on standard output as it is now; wide where nobody sees the width."""
    from rich.console import Console

    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=140)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: int = -1) -> None:
    """A table whose columns from ``numeric`` on (−1: none) stand to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for place, name in enumerate(columns):
        right = 0 <= numeric <= place
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def say(text: str = "") -> None:
    print(text, flush=True)


def next_step(command: str) -> None:
    """The last line of every command."""
    say(f"\nNext: {command}")
