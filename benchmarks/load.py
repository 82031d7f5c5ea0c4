"""A small HTTP/1.1 client that keeps connections busy: each sends its next request when it has the
answer to the last. Answers need a Content-Length, or come in chunks.

    python benchmarks/load.py http://127.0.0.1:3000/v1/predict --body row.json --connections 16
"""

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np


@dataclass
class Result:
    """``latencies`` in seconds; ``failed`` by status, 0 where the connection broke."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failed: dict[int, int] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """Requests a second, milliseconds at the median and the 99th percentile, failures."""
        found = np.array(self.latencies) * 1_000
        p50, p99 = np.percentile(found, [50, 99]) if len(found) else (np.nan, np.nan)
        return {
            "rps": len(found) / max(self.seconds, 1e-9),
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "failed": float(sum(self.failed.values())),
        }


class _Connection(asyncio.Protocol):
    """One connection: asks again as soon as it is answered, until ``until``."""

    def __init__(self, requests: Iterator[bytes], until: float, result: Result) -> None:
        self.requests, self.until, self.result = requests, until, result
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = bytearray()
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (status := self._answered()) is not None:
            now = time.perf_counter()
            if status == 200:
                self.result.latencies.append(now - self.sent)
            else:
                self.result.failed[status] = self.result.failed.get(status, 0) + 1
            if now >= self.until:
                self.transport.close()
                return
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self.until:
            self.result.failed[0] = self.result.failed.get(0, 0) + 1
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(next(self.requests))

    def _answered(self) -> int | None:
        """The status of a whole answer at the start of the buffer, which loses it; or None."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.buffer[:end]).lower()
        at = head.find(b"content-length:")
        if at >= 0:
            length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self.buffer) < end + 4 + length:
                return None
            del self.buffer[: end + 4 + length]
        else:
            last = self.buffer.find(b"0\r\n\r\n", end)
            if last < 0:
                return None
            del self.buffer[: last + 5]
        return int(head[9:12])


async def _run(
    host: str, port: int, requests: Iterator[bytes], connections: int, seconds: float
) -> Result:
    result = Result()
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    until = started + seconds
    opened = []
    for _ in range(connections):
        _, one = await loop.create_connection(
            lambda: _Connection(requests, until, result), host, port
        )
        opened.append(one)
    await asyncio.gather(*(one.done for one in opened))
    result.seconds = time.perf_counter() - started
    return result


def load(
    url: str,
    body: bytes | Sequence[bytes],
    connections: int,
    seconds: float,
    headers: dict[str, str] | None = None,
) -> Result:
    """Keep ``connections`` busy with POSTs of ``body`` (JSON), or of several in turn, for
    ``seconds``."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    lines = [f"POST {parts.path or '/'} HTTP/1.1", f"Host: {host}:{port}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += ["Content-Type: application/json"]
    head = "\r\n".join(lines).encode()
    bodies = [body] if isinstance(body, bytes) else body
    requests = [b"%b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(one), one) for one in bodies]
    return asyncio.run(_run(host, port, itertools.cycle(requests), connections, seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--body", type=Path, required=True, help="a file with the JSON to send")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")
    options = parser.parse_args()
    headers = dict(line.split(":", 1) for line in options.header)
    body = options.body.read_bytes()
    found = load(options.url, body, options.connections, options.seconds, headers)
    print(json.dumps(found.figures() | {"failures": found.failed}))


if __name__ == "__main__":
    main()
