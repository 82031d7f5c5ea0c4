"""An ASGI server in a few lines: what a middleware does, message by message, is seen."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from services.guard.asgi import App, Message, Receive, Scope, Send

Parts = Iterable[bytes | float]
LEAVE = b"<the client leaves>"


class Response:
    """What the application sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"]) if self.messages else 0

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def error(self) -> dict[str, Any]:
        return dict(json.loads(self.body)["error"])

    @property
    def whole(self) -> bool:
        return bool(self.messages) and not self.messages[-1].get("more_body", False)


def scope(
    method: str = "POST",
    path: str = "/v1/predict",
    headers: dict[str, str] | None = None,
    client: str = "10.0.0.1",
) -> Scope:
    given = {"host": "127.0.0.1:3000", **(headers or {})}
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"q=secret",
        "scheme": "http",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": (client, 5000),
        "state": {},
    }


async def call(app: App, asked: Scope | None = None, parts: Parts = (b"{}",)) -> Response:
    """Send ``parts`` as the body: bytes as they are, a number waits so long, LEAVE goes away."""
    asked = asked if asked is not None else scope()
    if not any(name in (b"content-length", b"transfer-encoding") for name, _ in asked["headers"]):
        asked["headers"] = [*asked["headers"], (b"transfer-encoding", b"chunked")]
    response, pending, gone = Response(), list(parts), asyncio.Event()

    async def receive() -> Message:
        while pending and isinstance(wait := pending[0], float):
            pending.pop(0)
            await asyncio.sleep(wait)
        if not pending:
            await gone.wait()
        if gone.is_set() or pending[0] == LEAVE:
            gone.set()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pending.pop(0), "more_body": bool(pending)}

    async def send(message: Message) -> None:
        response.messages.append(message)

    await app(asked, receive, send)
    return response


async def body_of(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body it got."""
    body = await body_of(receive)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
