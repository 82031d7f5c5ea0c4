"""The words of ASGI that the middlewares share."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from lifecycle.errors import MLOpsError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

CLOSE: Headers = ((b"connection", b"close"),)


class Refused(MLOpsError):
    """A request that is not let through. What it says is meant for the client."""

    def __init__(self, status: int, problem: str, remedy: str = "", headers: Headers = ()) -> None:
        super().__init__(problem, remedy)
        self.http_status = status
        self.headers = headers


def header(scope: Scope, name: bytes) -> bytes:
    """The first header ``name`` (lower case), empty where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return b""


def state_of(scope: Scope) -> dict[str, Any]:
    """What middlewares and routes tell each other about this request.

    A dictionary of this request's own: a server hands the same ``state`` to all requests of an
    application with a lifespan.
    """
    found: dict[str, Any] = scope["state"]
    return found
