"""Bodies: read whole before anything is computed, and counted as they arrive."""

from services.guard.asgi import CLOSE, App, Message, Receive, Refused, Scope, Send, header, state_of

_AFTER = (b"retry-after", b"1")


class _Gone(Exception):
    """The client left before it had sent its request."""


class BodyLimit:
    """413 for a body beyond ``most`` bytes.

    The application gets the body in one message. As it is read here, a client that sends slowly
    holds no place in the service, only what it has sent; ``budget`` bytes bound that for all
    clients together, and beyond it the answer is 503. The header Content-Length is only believed
    where it is too large.
    """

    def __init__(self, app: App, most: int, budget: int = 64 * 1024 * 1024) -> None:
        self.app, self.most = app, most
        self.budget = max(budget, most)
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = header(scope, b"content-length")
        # Python reads no number of thousands of digits.
        if declared.isdigit() and (len(declared) > 18 or int(declared) > self.most):
            raise self._too_large()
        try:
            before = [await self._body(receive)]
        except _Gone:
            state_of(scope)["error"] = "ClientGone"
            return

        async def replayed() -> Message:
            return before.pop() if before else await receive()

        await self.app(scope, replayed, send)

    async def _body(self, receive: Receive) -> Message:
        message = await _next(receive)
        if len(message.get("body", b"")) > self.most:
            raise self._too_large()
        return await self._rest(message, receive) if message.get("more_body") else message

    async def _rest(self, message: Message, receive: Receive) -> Message:
        parts, size = [message.get("body", b"")], 0
        try:
            size = self._hold(len(parts[0]))
            while message.get("more_body"):
                message = await _next(receive)
                parts.append(message.get("body", b""))
                size += self._hold(len(parts[-1]))
                if size > self.most:
                    raise self._too_large()
        finally:
            self.held -= size
        return {"type": "http.request", "body": b"".join(parts), "more_body": False}

    def _hold(self, size: int) -> int:
        if self.held + size > self.budget:
            problem = "too many bodies are arriving at once."
            raise Refused(503, problem, "Try again.", (_AFTER, *CLOSE))
        self.held += size
        return size

    def _too_large(self) -> Refused:
        problem = f"the body is larger than {self.most} bytes."
        return Refused(413, problem, "Send less at once.", CLOSE)


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _Gone
    return message
