"""From an iterator that blocks to one that does not: it runs in a thread, and stops when asked."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import Executor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


async def streamed(executor: Executor, make: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
    """The items of ``make()``, which runs in ``executor``.

    Once the reader stops, is cancelled or closes this iterator, no further item is asked for and
    the iterator is closed in its thread. Items wait without a bound: a slow reader holds no thread.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[T | None] = asyncio.Queue()
    stopped = threading.Event()

    def hand_over(item: T | None) -> None:
        loop.call_soon_threadsafe(waiting.put_nowait, item)

    def work() -> None:
        try:
            if not stopped.is_set():
                _pass_on(make(), hand_over, stopped)
        finally:
            hand_over(None)

    done = loop.run_in_executor(executor, copy_context().run, work)
    try:
        while (item := await waiting.get()) is not None:
            yield item
        await done
    finally:
        stopped.set()


def _pass_on(items: Iterator[T], hand_over: Callable[[T], None], stopped: threading.Event) -> None:
    try:
        for item in items:
            hand_over(item)
            if stopped.is_set():
                return
    finally:
        if isinstance(items, Generator):
            items.close()
