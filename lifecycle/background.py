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

    At most ``capacity`` items of ``budget`` bytes wait. ``write`` gets at most ``batch`` of them at
    a time, few enough that it does not keep Python's lock for long, and an empty list when nothing
    came in ``every_s`` seconds. What it raises is logged, and the batch is counted as dropped.
    """

    def __init__(
        self,
        write: Callable[[list[T]], None],
        name: str,
        *,
        capacity: int = 20_000,
        budget: int = 64 * 1024 * 1024,
        batch: int = 100,
        every_s: float = 0.2,
    ) -> None:
        self._write, self._name = write, name
        self._capacity, self._batch, self._every_s = capacity, batch, every_s
        self._budget, self._held = budget, 0
        self._items: deque[tuple[T, int]] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._asked = self._done = 0
        self._closed = self._failing = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T, size: int = 0) -> bool:
        """Queue ``item`` of about ``size`` bytes; False where the queue is full or closed.

        Never waits for ``write``.
        """
        with self._lock:
            full = len(self._items) >= self._capacity or self._held + size > self._budget
            if full or self._closed:
                self.dropped += 1
                return False
            self._items.append((item, size))
            self._held += size
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
        with self._lock:
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
        taken = [self._items.popleft() for _ in range(size)]
        items = [item for item, _ in taken]
        lost = 0 if self._succeeds(items) else len(items)
        with self._lock:
            self.dropped += lost
            self._held -= sum(held for _, held in taken)

    def _succeeds(self, items: list[T]) -> bool:
        try:
            self._write(items)
        except Exception:
            # This thread must outlive whatever one batch brings; told once, not at every batch.
            if not self._failing:
                log.exception("%s: records are lost until this is mended.", self._name)
            self._failing = True
            return False
        self._failing = False
        return True
