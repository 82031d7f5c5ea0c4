"""Does a service stay as it is? Half of what it can take, for minutes, its memory sampled.

    python benchmarks/soak.py [--minutes 10] [--use-case fraud] [--json FILE]

Trains a small model of the use case into a temporary state folder (--home: uses the champion in
that one), starts `run.py serve` with one worker and measures how many requests a second 16 busy
connections get. Then requests are sent at half that rate, whatever the answers take. Memory is what
the worker has to itself (USS); the first fifth of the time is its warm-up, and the growth after it
is that of a straight line through the samples, as a share of their mean.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.load import load
from benchmarks.serve import Server, prepared, running

CONNECTIONS, WARM_UP, EVERY_S = 16, 0.2, 2.0
MOST_GROWTH = 0.05


@dataclass
class Soak:
    """``samples``: seconds since the start and bytes; status 0 stands for a broken connection."""

    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    samples: list[tuple[float, int]] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--use-case", default="fraud")
    parser.add_argument("--home", type=Path, help="a state folder with a champion")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        ours = prepared(options.use_case, options.home or Path(temporary), bool(options.home))[0]
        found = soaked(ours, options.minutes * 60)
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0 if found["failed"] == 0 and found["growth"] < MOST_GROWTH else 1


def soaked(server: Server, seconds: float) -> dict[str, Any]:
    with running(server) as (port, process, _):
        url, headers = f"http://127.0.0.1:{port}{server.path}", dict(server.headers)
        load(url, server.body, CONNECTIONS, 3, headers)
        capacity = load(url, server.body, CONNECTIONS, 10, headers).figures()["rps"]
        soak = asyncio.run(steady(url, server, capacity / 2, seconds, worker_of(process)))
    return figures(soak, capacity, seconds)


def worker_of(process: psutil.Process) -> psutil.Process:
    """The largest of the server's processes is the one with the model."""
    family = [process, *process.children(recursive=True)]
    return max(family, key=lambda one: one.memory_info().rss)


async def steady(
    url: str, server: Server, rate: float, seconds: float, worker: psutil.Process
) -> Soak:
    """Send ``rate`` requests a second over CONNECTIONS connections for ``seconds``."""
    soak, due = Soak(), asyncio.Queue[float]()
    began = time.perf_counter()
    senders = [asyncio.create_task(send(url, server, due, soak)) for _ in range(CONNECTIONS)]
    sent, next_sample = 0, 0.0
    while (now := time.perf_counter() - began) < seconds:
        for _ in range(int(now * rate) - sent):
            due.put_nowait(time.perf_counter())
            sent += 1
        if now >= next_sample:
            soak.samples.append((now, worker.memory_full_info().uss))
            next_sample += EVERY_S
        await asyncio.sleep(0.01)
    for _ in senders:
        due.put_nowait(0.0)
    await asyncio.gather(*senders)
    return soak


async def send(url: str, server: Server, due: "asyncio.Queue[float]", soak: Soak) -> None:
    """Send what is due over one connection, opened again where it breaks."""
    parts = urlsplit(url)
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(server.body)}"]
    lines += [f"{name}: {value}" for name, value in server.headers.items()]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode() + server.body
    streams = None
    while began := await due.get():
        try:
            if streams is None:
                streams = await asyncio.open_connection(parts.hostname, parts.port)
            status = await exchange(*streams, request)
        except (OSError, EOFError):
            status, streams = 0, None
        soak.statuses[status] += 1
        soak.latencies.append(time.perf_counter() - began)
    if streams is not None:
        streams[1].close()


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> int:
    """The status of the answer, which has a Content-Length."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    return int(head[9:12])


def figures(soak: Soak, capacity: float, seconds: float) -> dict[str, Any]:
    at, size = np.array(soak.samples, dtype=float).T
    kept = at >= WARM_UP * seconds
    slope = np.polyfit(at[kept], size[kept], 1)[0]
    p50, p99 = np.percentile(np.array(soak.latencies) * 1000, [50, 99])
    return {
        "seconds": seconds,
        "capacity_rps": capacity,
        "sent": soak.statuses.total(),
        "failed": soak.statuses.total() - soak.statuses[200],
        "statuses": {str(status): count for status, count in soak.statuses.items()},
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "warm_mb": float(size[kept][0]) / 2**20,
        "end_mb": float(size[-1]) / 2**20,
        "most_mb": float(size.max()) / 2**20,
        "growth": float(slope * (at[-1] - at[kept][0]) / size[kept].mean()),
        "load_average": os.getloadavg()[0],
        "samples_mb": [[round(t, 1), round(b / 2**20, 1)] for t, b in soak.samples],
    }


def show(found: dict[str, Any]) -> None:
    rows = {
        "capacity": f"{found['capacity_rps']:,.0f} requests/s at {CONNECTIONS} connections",
        "sent": f"{found['sent']:,} in {found['seconds']:,.0f} s, at half of it",
        "failed": f"{found['failed']:,} {found['statuses']}",
        "latency": f"p50 {found['p50_ms']:.2f} ms, p99 {found['p99_ms']:.2f} ms",
        "memory": f"{found['warm_mb']:.1f} MB warm, {found['end_mb']:.1f} MB at the end, "
        f"{found['most_mb']:.1f} MB at most",
        "growth": f"{found['growth']:+.2%} after the warm-up (limit {MOST_GROWTH:.0%})",
    }
    for name, text in rows.items():
        print(f"{name:<10}{text}")


if __name__ == "__main__":
    sys.exit(main())
