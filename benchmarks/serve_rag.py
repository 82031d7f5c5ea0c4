"""The RAG service under load: extractive answers over many chunks.

    python benchmarks/serve_rag.py [--chunks 20000] [--seconds 10] [--rounds 3] [--json FILE]

The documents are synthetic, made of documentation found on the machine (see scale_corpus.py), eight
chunks each. `run.py serve` starts with one worker on all cores as it is shipped, on the loopback,
which asks for no key. First each of 300 questions is asked once, streamed; by then the service has
met the passages and remembers their sentences (see rag/remembered.py). Then the same are asked in
turn over 1 and 32 busy connections; the best of ``--rounds`` counts, as the client shares the
machine. Printed are answers a second, latency at the median and the 99th percentile, the median
time to the first streamed piece, before and after, memory, and the load average at the start.
"""

import argparse
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.load import load
from benchmarks.scale_corpus import QUESTIONS, make
from benchmarks.serve import Server, memory, running
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State
from lifecycle.tracking import Run
from rag.types import Chunk, Document

NAME, PATH = "chunks", "/v1/ask"
CONNECTIONS = (1, 32)
SENTENCES, ASKED = 6_000, 300
OF_DOCUMENT = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="kept, and used again; default: a temporary one")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = (options.work or Path(temporary)).absolute() / str(options.chunks)
        if not (home / QUESTIONS).exists():
            prepare(home, options.chunks)
        found = measured(home, options.seconds, options.rounds)
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def prepare(home: Path, chunks: int) -> None:
    """Make a bundle of so many chunks, the champion in a state folder in ``home``."""
    from lifecycle.atomic import write_text
    from lifecycle.registry import CHAMPION
    from lifecycle.stages import VERSION
    from rag.config import EmbeddingConfig, RagConfig
    from rag.engines import add_to_bundle, open_embedder
    from rag.stages.index import Parts, build_index

    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    make(work, chunks, ASKED, work / "cache", SENTENCES)
    located(work)
    write_text(work / VERSION, json.dumps({"id": "synthetic"}))
    add_to_bundle(open_embedder(EmbeddingConfig(), "cpu", work / "cache"), work)
    build_index(Parts(work, work, work), NAME, NAME, RagConfig(), work / "bundle")
    state = State(home / "state")
    tracker = tracker_of(load_stack("local", state), state)
    run = tracker.log_run(Run(NAME, NAME, {}, {}, {}))
    version = tracker.register(NAME, work / "bundle", run, {"data_version": "synthetic"}, [])
    tracker.set_alias(NAME, CHAMPION, version.number)
    (work / QUESTIONS).replace(home / QUESTIONS)


def located(work: Path) -> None:
    """Put the chunks into documents, at places of their own, and count their terms."""
    import numpy as np
    import pyarrow.parquet as pq

    from lifecycle.atomic import write_text
    from lifecycle.stages import TABLE
    from rag.arrow_files import map_table
    from rag.prepared import CHUNKS, VECTORS, Prepared
    from rag.stages.files import SKIPPED
    from rag.tables import chunks_from, documents_table

    chunks = chunks_from(map_table(work / CHUNKS))
    parts = [chunks[at : at + OF_DOCUMENT] for at in range(0, len(chunks), OF_DOCUMENT)]
    documents, placed = zip(*(document_of(part) for part in parts), strict=True)
    flat = [chunk for part in placed for chunk in part]
    Prepared.of(flat, np.load(work / VECTORS)).save(work)
    pq.write_table(documents_table(documents), work / TABLE)
    write_text(work / SKIPPED, "[]")


def document_of(chunks: list[Chunk]) -> tuple[Document, list[Chunk]]:
    """The document that the texts of ``chunks`` make, a line each, and where they are in it."""
    placed: list[Chunk] = []
    at = 0
    for line, chunk in enumerate(chunks, 1):
        end = at + len(chunk.text)
        placed.append(replace(chunk, start=at, end=end, line_start=line, line_end=line))
        at = end + 1
    text = "\n".join(chunk.text for chunk in chunks)
    first = chunks[0]
    return Document(first.doc_id, first.uri, "", text, "text/plain", ()), placed


def measured(home: Path, seconds: float, rounds: int) -> dict[str, Any]:
    asked: list[str] = json.loads((home / QUESTIONS).read_text())
    bodies = [json.dumps({"question": one}).encode() for one in asked]
    found: dict[str, Any] = {"load_average": os.getloadavg()[0]}
    environment = {"MLOPS_HOME": str(home / "state")}
    words = ["run.py", "serve", NAME, "--workers", "1"]
    server = Server("ours", words, PATH, bodies[0], "/readyz", environment)
    with running(server) as (port, process, started):
        url = f"http://127.0.0.1:{port}{PATH}"
        found["unseen_ms"] = statistics.median(first_pieces(port, asked))
        for connections in CONNECTIONS:
            rows = [load(url, bodies, connections, seconds).figures() for _ in range(rounds)]
            found[str(connections)] = max(rows, key=lambda row: row["rps"])
        found["seen_ms"] = statistics.median(first_pieces(port, asked))
        found |= {"cold_start_s": started, "memory_mb": memory(process) / 2**20}
    return found


def first_pieces(port: int, questions: list[str]) -> Iterator[float]:
    """Milliseconds until the first server-sent event of each answer has come."""
    for question in questions:
        body = json.dumps({"question": question, "stream": True}).encode()
        head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port)) as connection:
            began, seen = time.perf_counter(), b""
            connection.sendall(head.encode() + body)
            while b"event: " not in seen and (part := connection.recv(65536)):
                seen += part
            yield (time.perf_counter() - began) * 1000


def show(found: dict[str, Any]) -> None:
    print(f"{'connections':>12}{'answers/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}")
    for connections in map(str, CONNECTIONS):
        row = found[connections]
        print(
            f"{connections:>12}{row['rps']:>12,.1f}{row['p50_ms']:>9.1f}{row['p99_ms']:>9.1f}"
            f"{row['failed']:>8.0f}"
        )
    print(
        f"first streamed piece after {found['unseen_ms']:.1f} ms where the service meets the "
        f"passages for the first time, {found['seen_ms']:.1f} ms after"
    )
    print(
        f"memory {found['memory_mb']:,.0f} MB, ready after {found['cold_start_s']:.1f} s; "
        f"load average {found['load_average']:.1f}"
    )


if __name__ == "__main__":
    main()
