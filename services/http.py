"""Requests, replies and routes: the little of HTTP that a service needs, on ASGI alone."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from services.guard.asgi import Headers, Receive, Refused, Scope, Send, header, state_of
from services.guard.errors import error_body, told

JSON = b"application/json"
EVENTS = b"text/event-stream"
M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """Base of what requests send: unknown keys are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Request:
    """One request: its body is read once."""

    __slots__ = ("_body", "_receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self._body: bytes | None = None

    @property
    def id(self) -> str:
        found: str = state_of(self.scope).get("request_id", "")
        return found

    @property
    def content_type(self) -> str:
        return header(self.scope, b"content-type").decode("latin-1")

    @property
    def media_type(self) -> str:
        """Of the body, in lower case and without parameters."""
        return self.content_type.partition(";")[0].strip().lower()

    def query(self, name: str) -> str:
        """The first value of a parameter; empty where it is not given."""
        text: str = self.scope.get("query_string", b"").decode("latin-1")
        given = parse_qs(text)
        return given.get(name, [""])[0]

    async def body(self) -> bytes:
        if self._body is None:
            parts = []
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise asyncio.CancelledError
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    break
            self._body = b"".join(parts)
        return self._body

    async def read(self, model: type[M]) -> M:
        """The body, JSON, as ``model``. Raises Refused: 415, 400 for no JSON, 422 for another
        shape."""
        if self.media_type != "application/json" and not self.media_type.endswith("+json"):
            raise Refused(
                415,
                f"the body is {self.media_type[:80] or 'of no type'!r}, not application/json.",
                "Send JSON with the header 'Content-Type: application/json'.",
            )
        body = await self.body()
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            raise _misfit(error) from None


def _misfit(error: ValidationError) -> Refused:
    first = error.errors(include_url=False, include_context=False)[0]
    words = first["msg"].removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return Refused(400, f"the body is no JSON: {words}.")
    place = ".".join(str(part) for part in first["loc"])
    return Refused(422, f"{place or 'the body'} does not fit: {words}.", "See /docs.")


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole response."""

    body: bytes
    status: int = 200
    media_type: bytes = JSON
    headers: Headers = ()

    async def send(self, send: Send) -> None:
        length = (b"content-length", str(len(self.body)).encode())
        kind = (b"content-type", self.media_type)
        headers = [kind, length, *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


@dataclass(frozen=True, slots=True)
class Stream:
    """A response that comes piece by piece: server-sent events."""

    pieces: AsyncGenerator[bytes, None]

    async def send(self, send: Send) -> None:
        headers = [(b"content-type", EVENTS), (b"cache-control", b"no-store")]
        # Proxies (nginx) would collect the pieces.
        headers.append((b"x-accel-buffering", b"no"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with aclosing(self.pieces) as pieces:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


Handler = Callable[[Request], Awaitable[Reply | Stream]]


@dataclass(frozen=True)
class Route:
    """An endpoint, and what its documentation says.

    ``body``, ``answer``: what it reads and gives, None for no JSON; ``examples`` of the body by
    name; ``other``: media types of the body besides JSON; ``query``: parameters and what they are.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    examples: Mapping[str, Any] | None = None
    other: Sequence[str] = ()
    query: Mapping[str, str] | None = None
    gives: str = "application/json"


def reply(payload: Any, status: int = 200) -> Reply:
    """JSON; numbers that JSON does not know become null."""
    return Reply(orjson.dumps(payload, option=orjson.OPT_SERIALIZE_NUMPY), status)


def event(name: str, payload: Any) -> bytes:
    """One server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(payload))


def data(payload: Any) -> bytes:
    """One server-sent event without a name, as OpenAI writes them."""
    return b"data: %b\n\n" % orjson.dumps(payload)


def broken_off(error: Exception, request_id: str) -> bytes:
    """The event of an error after the response has begun."""
    return b"event: error\ndata: %b\n\n" % error_body(*told(error), request_id)
