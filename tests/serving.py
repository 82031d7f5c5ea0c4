"""Bundles, origins and applications for tests of services: small, real, and made in seconds."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from lifecycle.atomic import write_text
from lifecycle.bundle import open_bundle, read_manifest
from lifecycle.fingerprint import ROOT
from lifecycle.predictors import load
from lifecycle.stages import VERSION
from lifecycle.state import State
from lifecycle.tracking import Run, Tracker
from services.app import build
from services.context import Context
from services.guard.chain import Guard
from services.metrics import Metrics
from services.served import Holder, Model
from services.settings import Limits, ServiceSettings
from tests.toys import write_notes


def notes_bundle(folder: Path, minutes: str = "three", chat: str = "") -> Path:
    """A RAG bundle over the notes, in which green tea steeps for so many minutes.

    ``chat``: the address of a language model that answers.
    """
    from rag.config import GenerationConfig, RagConfig, SourceConfig
    from rag.stages.index import Parts, build_index
    from rag.stages.load import load as load_documents
    from rag.stages.prepare import prepare

    parts = Parts(folder / "data", folder / "version", folder / "chunks")
    for path in (parts.data, parts.version):
        path.mkdir(parents=True)
    write_notes(folder / "notes")
    tea = folder / "notes" / "tea.md"
    tea.write_text(tea.read_text().replace("three minutes", f"{minutes} minutes"))
    write_text(parts.version / VERSION, json.dumps({"id": f"tea-{minutes}"}))
    cache = folder.parent / "cache"
    config = RagConfig()
    if chat:
        said = GenerationConfig(provider="openai", base_url=chat, model="scripted")
        config = RagConfig(generation=said)
    load_documents(SourceConfig(paths=[str(folder / "notes")]), ROOT, cache, parts.data)
    prepare(parts.data, config.chunking, config.embedding, cache, "cpu", parts.chunks)
    build_index(parts, "notes", "notes", config, folder / "bundle")
    return folder / "bundle"


def films_bundle(folder: Path) -> Path:
    """A recommender of simulated films."""
    from classic.recommend.config import FilmSource, SplitConfig, Training
    from classic.recommend.settings import Ease, Popular
    from classic.recommend.simulate import SimulationConfig
    from classic.recommend.stages.load import load as load_films
    from classic.recommend.stages.split import split
    from classic.recommend.stages.train import train
    from classic.recommend.stages.warehouse import build as warehouse
    from classic.recommend.warehouse import WarehouseConfig
    from lifecycle.resources import Resources

    for name in ("loaded", "version", "parts"):
        (folder / name).mkdir(parents=True)
    small = SimulationConfig(users=200, films=80, events=4_000, months=2, start="2024-09")
    load_films(FilmSource(simulation=small), ROOT, folder / "loaded")
    state = State(folder / "state")
    warehouse(folder / "loaded", "films", WarehouseConfig(), state, folder / "version")
    split(folder / "version", SplitConfig(), folder / "parts")
    chosen = Training(model="ease", contender=Ease(), cold=Popular(), resources=Resources())
    train(folder / "parts", folder / "version", "films", "movies", chosen, folder / "bundle")
    return folder / "bundle"


@dataclass
class Folders:
    """Bundles in folders as versions 1, 2, …, of which ``chosen`` is the champion."""

    paths: list[Path]
    chosen: int | None = 1
    loaded: list[int] = field(default_factory=list)

    def wanted(self) -> Model | None:
        return Model("notes", self.chosen, f"data-{self.chosen}") if self.chosen else None

    def load(self, model: Model) -> Any:
        self.loaded.append(model.version)
        return opened(self.paths[model.version - 1])


def opened(path: Path) -> Any:
    """The predictor of a bundle."""
    if read_manifest(path).kind == "rag":
        return load(path)
    from classic.recommend.predictor import RecommendPredictor

    return RecommendPredictor(open_bundle(path))


class Kept:
    """A request log in memory."""

    dropped = 0

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def append(self, record: Any) -> bool:
        self.rows.append(dict(record))
        return True


@dataclass
class Service:
    """An application in this process, with what it works with."""

    context: Context
    app: Any
    kept: Kept

    @property
    def holder(self) -> Holder:
        return self.context.holder

    def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        return run(self._request(method, path, **given))

    def post(self, path: str, payload: Any, **given: Any) -> httpx.Response:
        return self.request("POST", path, json=payload, **given)

    def get(self, path: str, **given: Any) -> httpx.Response:
        return self.request("GET", path, **given)

    async def _request(self, method: str, path: str, **given: Any) -> httpx.Response:
        async with self.client() as client:
            return await client.request(method, path, **given)

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000")


def service(holder: Holder, guard: Guard | None = None, **settings: Any) -> Service:
    """The application around ``holder``, which has loaded or has not."""
    limits = Limits(**settings.pop("limits", {}))
    told = ServiceSettings(name="notes", limits=limits, **settings)
    kept = Kept()
    context = Context(told, holder, ThreadPoolExecutor(2), Metrics(), kept)
    return Service(context, build(context, guard or Guard()), kept)


def serving(*paths: Path, **settings: Any) -> Service:
    """An application that serves the first of ``paths``, warm."""
    holder = Holder(Folders(list(paths)))
    assert holder.check(), holder.failure
    return service(holder, **settings)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    import asyncio

    return asyncio.run(work)


def events(text: str) -> list[tuple[str, Any]]:
    """Server-sent events as name and data."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((lines.get("event", ""), json.loads(lines["data"])))
    return found


def register(tracker: Tracker, name: str, bundle: Path) -> int:
    run_id = tracker.log_run(Run(name, "r", {}, {"ndcg@10": 0.5}, {}))
    tags = {"gate": "passed", "data_version": read_manifest(bundle).data_version}
    return tracker.register(name, bundle, run_id, tags, ["numpy"]).number


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """A service as a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def get(self, path: str, **given: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, **given)

    def post(self, path: str, payload: Any, **given: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=payload, timeout=30, **given)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def running(state: State, log: Path, *words: str) -> Iterator[Running]:
    """`run.py serve WORDS` with ``state``, ready."""
    port = free_port()
    command = [sys.executable, str(ROOT / "run.py"), "serve", *words, "--port", str(port)]
    with started(command, port, {**os.environ, "MLOPS_HOME": str(state.root)}, log, ROOT) as found:
        yield found


@contextmanager
def started(
    command: list[str], port: int, environment: dict[str, str], log: Path, folder: Path
) -> Iterator[Running]:
    """A service that ``command``, run in ``folder``, brings up on ``port``, ready."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=folder)
    found = Running(process, f"http://127.0.0.1:{port}", log)
    try:
        _wait(found)
        yield found
    finally:
        if process.poll() is None:
            found.stop()


def _wait(found: Running, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert found.process.poll() is None, found.log.read_text()
        try:
            if found.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"not ready within {seconds} s: {found.log.read_text()[-2000:]}")
