"""Logs as JSON, one object a line, formatted and written off the request path.

An access line tells what was asked and what came of it, but no query string and no body. Messages
of errors may quote what a user wrote: unless texts are allowed, a line names the error and where it
arose, and leaves its message out.
"""

import json
import logging
import os
import stat
import time
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from lifecycle.background import Background
from services.guard.asgi import App, Message, Receive, Scope, Send, state_of

# What routes may put into the request's state for the access line.
FACTS = ("client", "model", "version", "error")
LONGEST_PATH = 200
Line = dict[str, Any]


class JsonLines:
    """Writes objects as lines to the file descriptor ``out`` in a thread of its own."""

    def __init__(self, out: int = 2, *, with_text: bool = False, capacity: int = 20_000) -> None:
        self.out, self.with_text = out, with_text
        # Lines of several processes do not mix: POSIX writes so much to a pipe in one piece.
        self._piece = 4096 if stat.S_ISFIFO(os.fstat(out).st_mode) else 1 << 20
        self._queue: Background[Line] = Background(self._write, "log", capacity=capacity)

    @property
    def dropped(self) -> int:
        return self._queue.dropped

    def put(self, line: Line) -> None:
        """Queue a line. ``time`` holds seconds since 1970."""
        self._queue.put(line)

    def close(self) -> None:
        self._queue.close()

    def _write(self, lines: list[Line]) -> None:
        for piece in _pieces(map(_dumped, lines), self._piece):
            os.write(self.out, piece)


class JsonHandler(logging.Handler):
    """Sends the records of ``logging`` to the same lines."""

    def __init__(self, lines: JsonLines) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.lines.put(record_line(record, self.lines.with_text))
        except (TypeError, ValueError):
            # Arguments that do not fit the message, which must not reach whoever logs.
            self.handleError(record)


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
        if scope["path"] in self.free:
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
            self.lines.put(access_line(scope, status, time.perf_counter() - began))


def access_line(scope: Scope, status: int, took: float) -> Line:
    """The line of one request. ``status`` 0: the client left before there was one."""
    state = state_of(scope)
    line: Line = {
        "time": time.time(),
        "level": "INFO",
        "logger": "access",
        "request_id": state.get("request_id", ""),
        "method": scope["method"],
        "path": scope["path"][:LONGEST_PATH],
        "status": status,
        "ms": round(took * 1000, 3),
    }
    for name in FACTS:
        if name in state:
            line[name] = state[name]
    return line


def record_line(record: logging.LogRecord, with_text: bool) -> Line:
    """The line of one log record; see the module about ``with_text``."""
    line: Line = {
        "time": record.created,
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


def _dumped(line: Line) -> bytes:
    import orjson

    line["time"] = datetime.fromtimestamp(line["time"], UTC)
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # Half a surrogate pair, for example, in the message of a library.
        return json.dumps(line, default=str).encode() + b"\n"


def _pieces(lines: Iterable[bytes], size: int) -> Iterable[bytes]:
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > size:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece
