"""Every request has an id: the client's if it is sane, else a new one; every response names it."""

import re
import uuid

from services.guard.asgi import App, Message, Receive, Scope, Send, header

# Longer than any id in use, and nothing that could break a log line or a header.
_SANE = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class RequestId:
    """Puts ``request_id`` into the request's state, and ``X-Request-ID`` on the response."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = header(scope, b"x-request-id")
        chosen = given if _SANE.fullmatch(given) else uuid.uuid4().hex.encode()
        scope["state"] = {**scope.get("state", {}), "request_id": chosen.decode()}
        line = (b"x-request-id", chosen)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), line]
            await send(message)

        await self.app(scope, receive, named)
