"""A request ends when its time is up, or when nobody waits for its answer any more."""

import asyncio
from collections import deque

from services.guard.asgi import App, Message, Receive, Refused, Scope, Send, state_of

# Most requests are over by then, and cost no task that watches them.
GRACE_S = 0.05
CLIENT_GONE = 499


class Deadline:
    """Cancels a request after ``seconds`` (504), and one whose client has gone.

    The application is cancelled where it waits; what it runs in threads must look for itself.
    """

    def __init__(self, app: App, seconds: float, grace_s: float = GRACE_S) -> None:
        self.app, self.seconds, self.grace_s = app, seconds, grace_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        client = _Client(receive, self.grace_s)
        try:
            async with asyncio.timeout(self.seconds) as limit:
                await self.app(scope, client.receive, send)
        except TimeoutError:
            if not limit.expired():
                raise
            raise Refused(
                504, f"the request took longer than {self.seconds:g} s.", "Ask for less at once."
            ) from None
        except asyncio.CancelledError:
            if not client.gone:
                raise
            client.request.uncancel()
            state_of(scope)["error"] = "ClientGone"
        finally:
            client.forget()


class _Client:
    """Cancels the running task once the client of a request that lasts has gone."""

    def __init__(self, receive: Receive, grace_s: float) -> None:
        task = asyncio.current_task()
        assert task is not None, "a request runs in a task"
        self.request = task
        self.gone = False
        self._receive = receive
        self._seen: deque[Message] = deque()
        self._watch: asyncio.Task[None] | None = None
        self._timer = task.get_loop().call_later(grace_s, self._start)

    async def receive(self) -> Message:
        """What the application receives: nothing that the watch read is lost to it."""
        return self._seen.popleft() if self._seen else await self._receive()

    def forget(self) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    def _start(self) -> None:
        self._watch = self.request.get_loop().create_task(self._until_gone())

    async def _until_gone(self) -> None:
        while (message := await self._receive())["type"] != "http.disconnect":
            self._seen.append(message)
        self._seen.append(message)
        self.gone = True
        self.request.cancel()
