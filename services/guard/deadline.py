"""A request ends when its time is up, or when nobody waits for its answer any more."""

import asyncio
from collections import deque

from services.guard.asgi import CLOSE, App, Message, Receive, Refused, Scope, Send, state_of

# How often the running requests are looked through. One timer for all costs each of them nothing.
EVERY_S = 0.05


class Deadline:
    """Cancels a request after its time (408 while its body arrives, 504 after), and one whose
    client has gone.

    ``body_seconds`` for the body to arrive, ``seconds`` for the rest. The application is cancelled
    where it waits; what it runs in threads must look for itself.
    """

    def __init__(self, app: App, seconds: float, body_seconds: float) -> None:
        self.app, self.seconds, self.body_seconds = app, seconds, body_seconds
        self._running: set[_Request] = set()
        self._looking: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        request = _Request(loop, receive, self.seconds, self.body_seconds)
        self._running.add(request)
        if self._looking is not loop:
            self._looking = loop
            loop.call_later(EVERY_S, self._look, loop)
        try:
            await self.app(scope, request.receive, send)
        except asyncio.CancelledError:
            # Nobody else has cancelled it, as a server that stops would.
            if not request.ended or request.task.uncancel() > 0:
                raise
            if request.late:
                raise self._late(request) from None
            state_of(scope)["error"] = "ClientGone"
        finally:
            self._running.discard(request)
            if request.watch is not None:
                request.watch.cancel()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for request in self._running:
            request.look(now)
        if self._running:
            loop.call_later(EVERY_S, self._look, loop)
        else:
            self._looking = None

    def _late(self, request: "_Request") -> Refused:
        if request.arrived:
            problem = f"the request took longer than {self.seconds:g} s."
            return Refused(504, problem, "Ask for less at once.")
        problem = f"the request did not arrive within {self.body_seconds:g} s."
        return Refused(408, problem, headers=CLOSE)


class _Request:
    __slots__ = (
        "_due",
        "_loop",
        "_receive",
        "_seconds",
        "_seen",
        "_since",
        "arrived",
        "ended",
        "late",
        "task",
        "watch",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        receive: Receive,
        seconds: float,
        body_seconds: float,
    ) -> None:
        task = asyncio.current_task(loop)
        assert task is not None, "a request runs in a task"
        self.task = task
        self.arrived = self.ended = self.late = False
        self.watch: asyncio.Task[None] | None = None
        self._loop, self._receive, self._seconds = loop, receive, seconds
        self._since = loop.time()
        self._due = self._since + body_seconds
        self._seen: deque[Message] | None = None

    async def receive(self) -> Message:
        """What the application receives: nothing that the watch read is lost to it."""
        if self._seen:
            return self._seen.popleft()
        message = await self._receive()
        if not self.arrived and not message.get("more_body", False):
            self.arrived, self._since = True, self._loop.time()
            self._due = self._since + self._seconds
        return message

    def look(self, now: float) -> None:
        """Cancel it if it is late; watch the client of one that lasts."""
        if now >= self._due and not self.ended:
            self.late = True
            self._end()
        elif self.arrived and self.watch is None and now - self._since > EVERY_S:
            self._seen = deque()
            self.watch = self._loop.create_task(self._until_gone(self._seen))

    async def _until_gone(self, seen: deque[Message]) -> None:
        while (message := await self._receive())["type"] != "http.disconnect":
            seen.append(message)
        seen.append(message)
        if not self.ended:
            self._end()

    def _end(self) -> None:
        self.ended = True
        self.task.cancel()
