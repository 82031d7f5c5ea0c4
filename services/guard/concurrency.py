"""So many requests at once; some more wait; the rest is told to come back."""

import asyncio
from collections import deque
from collections.abc import Awaitable

from services.guard.asgi import CLOSE, App, Headers, Receive, Refused, Scope, Send

_AFTER: Headers = ((b"retry-after", b"1"),)


class Places:
    """``most`` requests run, ``queue`` more wait their turn in order.

    One object for the process, used from its event loop alone.
    """

    def __init__(self, most: int, queue: int) -> None:
        self.most, self.queue = most, queue
        self.running = 0
        self.closing = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._empty = asyncio.Event()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def take(self) -> Awaitable[None] | None:
        """None where there is a place, which is taken; else what to wait for.

        Raises Refused: 503 while closing, 429 where the queue is full.
        """
        if self.closing:
            raise Refused(503, "the service is shutting down.", "Try again.", (*_AFTER, *CLOSE))
        if self.running < self.most:
            self.running += 1
            return None
        if len(self._waiting) >= self.queue:
            raise Refused(429, "the service is busy.", "Try again in a second.", _AFTER)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        return self._turn(turn)

    def give(self) -> None:
        """Hand a place to whoever waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.running -= 1
        if not self.running:
            self._empty.set()

    async def close(self, seconds: float) -> bool:
        """Refuse what comes from now on and wait for what runs; False after ``seconds``."""
        self.closing = True
        self._empty.clear()
        if not self.running:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def _turn(self, turn: "asyncio.Future[None]") -> None:
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise


class Concurrency:
    """429 beyond ``places``, 503 while they close. ``free`` paths need no place."""

    def __init__(self, app: App, places: Places, free: frozenset[str] = frozenset()) -> None:
        self.app, self.places, self.free = app, places, free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in self.free:
            return await self.app(scope, receive, send)
        turn = self.places.take()
        if turn is not None:
            await turn
        try:
            await self.app(scope, receive, send)
        finally:
            self.places.give()
