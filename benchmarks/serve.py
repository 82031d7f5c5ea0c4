"""Our service, FastAPI around the same ONNX session, and `mlflow models serve`, under one load.

    python benchmarks/serve.py [--use-case fraud] [--seconds 8] [--rounds 3] [--json FILE]

Trains the use case's model once (a small one, into a temporary state folder), starts each server
with one worker on the loopback, and sends it the same row over 1, 16 and 64 busy connections, turn
by turn; the best of ``--rounds`` counts, since the machine is shared with the client. Ours runs as
it is shipped, with an API key, the request log and metrics. Printed are requests a second, latency
at the median and the 99th percentile, the memory of the server's processes, the seconds until it is
ready, and ours as a ratio of each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.load import load

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = (1, 16, 64)
KEY = "benchmark-" + "k" * 40
SMALL = ["--set", "source.options.payments=30000", "--set", "source.options.accounts=1200"]
SMALL += ["--set", "learning={candidates: [lightgbm], tuning: {trials: 1, folds: 3}}"]


@dataclass(frozen=True)
class Server:
    """How it is started, where it is asked and with what."""

    name: str
    words: list[str]
    path: str
    body: bytes
    ready: str
    environment: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--use-case", default="fraud")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        servers = prepared(options.use_case, Path(home))
        found = measured(servers, options.seconds, options.rounds)
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def prepared(use_case: str, home: Path, trained: bool = False) -> list[Server]:
    """Train a model, unless one is ``trained``, and write what the servers need."""
    if not trained:
        _train(use_case, home)
    os.environ["MLOPS_HOME"] = str(home)
    from lifecycle.predictors import load as load_predictor
    from lifecycle.stack import load_stack, tracker_of
    from lifecycle.state import State

    state = State.from_env()
    tracker = tracker_of(load_stack("local", state), state)
    champion = tracker.champion(use_case)
    assert champion is not None
    bundle = tracker.bundle_path(champion)
    model: Any = load_predictor(bundle)
    row = example(model.model.schema, home)
    columns = {n: c.model_dump(mode="json") for n, c in model.model.schema.columns.items()}
    (home / "schema.json").write_text(json.dumps(columns))
    ours = json.dumps({"rows": [row]}).encode()
    theirs = {"MODEL": str(bundle / "model.onnx"), "SCHEMA": str(home / "schema.json")}
    theirs |= {"PYTHONPATH": str(ROOT)}
    store = {"MLFLOW_TRACKING_URI": tracker.uri, "PYTHONPATH": str(ROOT)}
    bare = ["-m", "uvicorn", "benchmarks.serve_peer:app", "--log-level", "warning"]
    served = ["-m", "mlflow", "models", "serve", "-m", f"models:/{use_case}@champion"]
    keys = {"MLOPS_API_KEYS": f"benchmark:predict:{KEY}"}
    return [
        Server(
            "ours",
            ["run.py", "serve", use_case],
            "/v1/predict",
            ours,
            "/readyz",
            {"MLOPS_HOME": str(home), **keys},
            {"Authorization": f"Bearer {KEY}"},
        ),
        Server("fastapi", [*bare, "--no-access-log"], "/v1/predict", ours, "/readyz", theirs),
        Server(
            "mlflow",
            [*served, "--env-manager", "local"],
            "/invocations",
            json.dumps({"dataframe_records": [row]}).encode(),
            "/ping",
            store,
        ),
    ]


def _train(use_case: str, home: Path) -> None:
    environment = os.environ | {"MLOPS_HOME": str(home)}
    words = ["run.py", "--pipeline", "classic", "--use-case", use_case, *SMALL]
    run = [sys.executable, *words, "--set", "gate.rules=[]"]
    subprocess.run(run, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


def example(schema: Any, home: Path) -> dict[str, Any]:
    """A row of the data, as JSON has it."""
    import pandas as pd
    import pyarrow.parquet as pq

    file = next(home.rglob("test.parquet"))
    frame = pd.DataFrame(pq.read_table(file).to_pylist()[:1])
    return {n: frame[n].tolist()[0] for n in schema.features if not pd.isna(frame[n].iloc[0])}


def measured(servers: list[Server], seconds: float, rounds: int) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for server in servers:
        with running(server) as (port, process, started):
            results: dict[str, Any] = {"cold_start_s": started}
            for connections in CONNECTIONS:
                url = f"http://127.0.0.1:{port}{server.path}"
                load(url, server.body, connections, 2, dict(server.headers))
                rows = [
                    load(url, server.body, connections, seconds, dict(server.headers)).figures()
                    for _ in range(rounds)
                ]
                results[str(connections)] = max(rows, key=lambda row: row["rps"])
            results["memory_mb"] = memory(process) / 2**20
        found[server.name] = results
    return found


@contextmanager
def running(server: Server) -> Iterator[tuple[int, psutil.Process, float]]:
    """The server's port, its process, and how long it took to be ready."""
    port = free_port()
    words = [sys.executable, *server.words, "--port", str(port)]
    began = time.perf_counter()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = os.environ | {"PATH": path} | server.environment
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(words, cwd=ROOT, env=given, stdout=log, stderr=log)
        try:
            while not answers(f"http://127.0.0.1:{port}{server.ready}"):
                if process.poll() is not None or time.perf_counter() - began > 120:
                    log.seek(0)
                    said = log.read()[-2000:].decode()
                    raise SystemExit(f"{server.name} did not start:\n{said}")
                time.sleep(0.05)
            yield port, psutil.Process(process.pid), time.perf_counter() - began
        finally:
            stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
    for one in family:
        if one.is_running():
            one.kill()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def memory(process: psutil.Process) -> int:
    """Bytes that the process and its children have to themselves or share fairly."""
    family = [process, *process.children(recursive=True)]
    return sum(one.memory_full_info().pss for one in family)


def show(found: dict[str, dict[str, Any]]) -> None:
    print(f"{'':<10}{'connections':>12}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}")
    for name, results in found.items():
        for connections in map(str, CONNECTIONS):
            row = results[connections]
            print(
                f"{name:<10}{connections:>12}{row['rps']:>12,.0f}{row['p50_ms']:>9.2f}"
                f"{row['p99_ms']:>9.2f}{row['failed']:>8.0f}"
            )
        print(
            f"{name:<10} memory {results['memory_mb']:,.0f} MB, ready after "
            f"{results['cold_start_s']:.1f} s"
        )
    for other in ("fastapi", "mlflow"):
        ratios = [found["ours"][c]["rps"] / found[other][c]["rps"] for c in map(str, CONNECTIONS)]
        print(f"ours / {other}: " + "  ".join(f"{ratio:.2f}" for ratio in ratios))


if __name__ == "__main__":
    main()
