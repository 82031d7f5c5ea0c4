"""What the guard of a service costs a request, without a network.

    python benchmarks/guard.py

Drives an application that does nothing, bare and behind everything that ``Guard`` can ask for, and
prints microseconds a request (the best of several rounds), with those of a row of the request log.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lifecycle.keys import Key, KeyRing, digest_of, new_secret
from lifecycle.requests import RequestLog
from services.guard.asgi import App, Message, Receive, Scope, Send
from services.guard.chain import Guard, guarded
from services.guard.logs import JsonLines

ROUNDS, REQUESTS = 20, 5_000
SECRET = new_secret()
BODY = b'{"rows": [{"amount": 3}]}'
HEADERS = [
    (b"host", b"127.0.0.1:3000"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"user-agent", b"benchmark"),
    (b"content-type", b"application/json"),
    (b"content-length", str(len(BODY)).encode()),
    (b"authorization", f"Bearer {SECRET}".encode()),
]


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def drive(app: App) -> float:
    """Microseconds a request, the best of all rounds."""

    async def receive() -> Message:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Message) -> None:
        pass

    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(REQUESTS):
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/v1/predict",
                "headers": HEADERS,
                "client": ("127.0.0.1", 5000),
            }
            await app(scope, receive, send)
        best = min(best, time.perf_counter() - began)
    return best / REQUESTS * 1e6


def log_rows(folder: Path) -> tuple[float, float]:
    """Microseconds a row: to append it, and to write it to the journal in the other thread."""
    row = {
        "request_id": "0" * 32,
        "kind": "predict",
        "endpoint": "/v1/predict",
        "model": "fraud",
        "version": 3,
        "latency_ms": 1.5,
        "status": 200,
        "features": {"amount": 3.5, "city": "Bern"},
        "output": {"probability": 0.25},
    }
    log = RequestLog(folder)
    began = time.perf_counter()
    for _ in range(REQUESTS):
        log.append(row)
    appended = time.perf_counter() - began
    log.flush()
    written = time.perf_counter() - began
    log.close()
    assert log.dropped == 0
    return appended / REQUESTS * 1e6, written / REQUESTS * 1e6


def main() -> None:
    ring = KeyRing([Key("app", ("predict",), digest_of(SECRET))])
    guard = Guard(keys=ring, per_minute=1e9, hosts=("127.0.0.1",))
    lines = JsonLines(os.open(os.devnull, os.O_WRONLY), capacity=10**7)
    bare = asyncio.run(drive(nothing))
    print(f"nothing                       {bare:6.1f} µs")
    print(f"behind the guard              {asyncio.run(drive(guarded(nothing, guard))):6.1f} µs")
    logged = Guard(keys=ring, per_minute=1e9, hosts=("127.0.0.1",), log=lines)
    print(f"with access lines             {asyncio.run(drive(guarded(nothing, logged))):6.1f} µs")
    lines.close()
    with tempfile.TemporaryDirectory() as folder:
        appended, written = log_rows(Path(folder))
    print(f"request log, a row appended   {appended:6.2f} µs")
    print(f"request log, until it is kept {written:6.2f} µs")


if __name__ == "__main__":
    main()
