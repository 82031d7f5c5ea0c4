"""Logs as JSON, one object a line, formatted and written off the request path.

An access line tells what was asked and what came of it, but no query string and no body. Messages
of errors may quote what a user wrote: unless texts are allowed, a line names the error and where it
arose, and leaves its message out.
"""

import logging
import os
import time
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from lifecycle.background import Background
from services.guard.asgi import App, Message, Receive, Scope, Send, state_of

# What POSIX writes to a pipe in one piece: lines of several processes do not mix.
_PIECE = 4096
# What routes may put into the request's state for the access line.
FACTS = ("client", "model", "version", "error")
Line = dict[str, Any]


class JsonLines:
    """Writes objects as lines to the file descriptor ``out`` in a thread of its own."""

    def __init__(self, out: int = 2, *, with_text: bool = False, capacity: int = 20_000) -> None:
        self.out, self.with_text = out, with_text
        self._queue: Background[Callable[[], Line]] = Background(
            self._write, "log", capacity=capacity
        )

    @property
    def dropped(self) -> int:
        return self._queue.dropped

    def put(self, make: Callable[[], Line]) -> None:
        """Queue a line; ``make`` is called in the thread."""
        self._queue.put(make)

    def close(self) -> None:
        self._queue.close()

    def _write(self, makers: list[Callable[[], Line]]) -> None:
        import orjson

        lines = [
            orjson.dumps(make(), default=str, option=orjson.OPT_APPEND_NEWLINE) for make in makers
        ]
        for piece in _pieces(lines):
            os.write(self.out, piece)


class JsonHandler(logging.Handler):
    """Sends the records of ``logging`` to the same lines."""

    def __init__(self, lines: JsonLines) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        line = record_line(record, self.lines.with_text)
        self.lines.put(lambda: line)


def log_as_json(lines: JsonLines, level: int = logging.INFO) -> None:
    """Let everything that is logged in this process go to ``lines``."""
    logging.basicConfig(level=level, handlers=[JsonHandler(lines)], force=True)


class AccessLog:
    """One line a request: what, who, the outcome and how long it took, in milliseconds."""

    def __init__(
        self, app: App, lines: JsonLines, free: frozenset[str] = frozenset({"/healthz", "/readyz"})
    ) -> None:
        """``free``: paths that are not logged."""
        self.app, self.lines, self.free = app, lines, free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self.free:
            return await self.app(scope, receive, send)
        status, began = 0, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            took, at = time.perf_counter() - began, time.time()
            self.lines.put(lambda: access_line(scope, status, took, at))


def access_line(scope: Scope, status: int, took: float, at: float) -> Line:
    """The line of one request. ``status`` 0: the client left before there was one."""
    state = state_of(scope)
    line: Line = {
        "time": _time(at),
        "level": "INFO",
        "logger": "access",
        "request_id": state.get("request_id", ""),
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(took * 1000, 3),
    }
    return line | {name: state[name] for name in FACTS if name in state}


def record_line(record: logging.LogRecord, with_text: bool) -> Line:
    """The line of one log record; see the module about ``with_text``."""
    line: Line = {
        "time": _time(record.created),
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
    }
    if request_id := getattr(record, "request_id", ""):
        line["request_id"] = request_id
    if record.exc_info and record.exc_info[1] is not None:
        line["error"] = _error(record.exc_info[1], with_text)
    return line


def _error(error: BaseException, with_text: bool) -> Line:
    frames = traceback.extract_tb(error.__traceback__)
    told: Line = {
        "type": type(error).__name__,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if with_text:
        told["message"] = str(error)
    if error.__cause__ is not None:
        told["cause"] = _error(error.__cause__, with_text)
    return told


def _pieces(lines: Iterable[bytes]) -> Iterable[bytes]:
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > _PIECE:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
