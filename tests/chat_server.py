"""An OpenAI-compatible chat server in this process that says what a test scripts."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True)
class Reply:
    """``pieces`` are streamed one by one; ``breaks_off`` after them, without an end;
    ``delay_s`` passes before the first, ``between_s`` after each."""

    pieces: tuple[str, ...] = ()
    status: int = 200
    breaks_off: bool = False
    delay_s: float = 0.0
    between_s: float = 0.0


Script = Callable[[dict[str, Any]], Reply]


@dataclass
class ChatServer:
    """``requests``: the JSON bodies it got; ``keys``: the Authorization headers; ``said``: how many
    pieces it sent; ``left``: how many clients went away before the end."""

    script: Script
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    said: int = 0
    left: int = 0


@contextmanager
def chat_server(script: Script) -> Iterator[ChatServer]:
    """A server on a free port of this machine; it ends with the block."""
    state = ChatServer(script)
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.state.requests.append(body)
        self.state.keys.append(self.headers["Authorization"])
        reply = self.state.script(body)
        time.sleep(reply.delay_s)
        self.send_response(reply.status)
        if reply.status == 200:
            try:
                self._stream(reply)
            except (BrokenPipeError, ConnectionResetError):
                self.state.left += 1
        else:
            self._refuse(reply.status)

    def _stream(self, reply: Reply) -> None:
        self.send_header("Content-Type", "text/event-stream")
        if reply.breaks_off:
            self.send_header("Content-Length", "1000000")
        self.end_headers()
        for piece in reply.pieces:
            self._send({"delta": {"role": "assistant", "content": piece}})
            self.state.said += 1
            time.sleep(reply.between_s)
        if not reply.breaks_off:
            self._send({"delta": {}, "finish_reason": "stop"})
            self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, choice: dict[str, Any]) -> None:
        event = {
            "id": "c1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "scripted",
            "choices": [{"index": 0, "finish_reason": None, **choice}],
        }
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()

    def _refuse(self, status: int) -> None:
        body = json.dumps({"error": {"message": f"scripted refusal {status}"}}).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not in the tests' output."""
