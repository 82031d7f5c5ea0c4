"""Work put off to a thread, in batches: what a request hands over costs it one append.

The queue is bounded. What does not fit is dropped and counted, so that a slow disk or a collector
that does not answer costs records and never a request, and memory stays bounded.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


class Background(Generic[T]):
    """Hands what is ``put`` to ``write`` in a thread of its own, in order.

    ``write`` gets at most ``batch`` items at a time, and an empty list when nothing came in
    ``every_s`` seconds. What it raises is logged, and the batch is counted as dropped.
    """

    def __init__(
        self,
        write: Callable[[list[T]], None],
        name: str,
        *,
        capacity: int = 20_000,
        batch: int = 500,
        every_s: float = 0.2,
    ) -> None:
        self._write, self._name = write, name
        self._capacity, self._batch, self._every_s = capacity, batch, every_s
        self._items: deque[T] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._asked = self._done = 0
        self._closed = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> bool:
        """Queue ``item``; False where the queue is full or closed. Never waits."""
        if len(self._items) >= self._capacity or self._closed:
            self._drop(1)
            return False
        self._items.append(item)
        return True

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was put before is written; False after ``timeout_s``."""
        with self._idle:
            self._asked += 1
            wanted = self._asked
            self._wake.set()
            return self._idle.wait_for(
                lambda: self._done >= wanted or not self._thread.is_alive(), timeout_s
            )

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what is queued and end the thread. What is put later is dropped."""
        self._closed = True
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        closing = False
        while not closing:
            self._wake.wait(self._every_s)
            self._wake.clear()
            closing = self._closed
            with self._idle:
                wanted = self._asked
            self._drain()
            with self._idle:
                self._done = wanted
                self._idle.notify_all()

    def _drain(self) -> None:
        # No more than is there now: a flood must not keep a flush waiting for ever.
        left = len(self._items)
        self._hand_over(min(left, self._batch))
        while (left := left - self._batch) > 0:
            self._hand_over(min(left, self._batch))

    def _hand_over(self, size: int) -> None:
        items = [self._items.popleft() for _ in range(size)]
        try:
            self._write(items)
        except Exception:
            # This thread must outlive whatever one batch brings.
            log.exception("%s: %d records are lost.", self._name, len(items))
            self._drop(len(items))

    def _drop(self, count: int) -> None:
        with self._lock:
            self.dropped += count
