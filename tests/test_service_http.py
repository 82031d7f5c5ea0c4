"""`run.py serve` as processes of its own: BentoML's workers, real sockets, real signals."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest
from langchain_openai import ChatOpenAI

from lifecycle.keys import add_key
from lifecycle.registry import CHAMPION
from lifecycle.requests import read
from lifecycle.state import State
from lifecycle.tracking import Tracker
from tests.chat_server import ChatServer, Reply, chat_server
from tests.serving import Running, events, notes_bundle, register, running

TEA = {"question": "How long should green tea steep?"}
WATCH = ("--set", "watch_s=0.1")


@pytest.fixture(scope="module")
def chat() -> Iterator[ChatServer]:
    with chat_server(lambda _: Reply(("Green tea ", "steeps [1]."), delay_s=1.5)) as found:
        yield found


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path, chat: ChatServer
) -> tuple[State, Tracker]:
    """Versions 1 and 2 of `notes` differ, 3 is damaged; `slow` waits for a language model."""
    folder = tmp_path_factory.mktemp("registry")
    state = State(folder / "state")
    state.mlflow_db.parent.mkdir(parents=True)
    state.mlflow_db.write_bytes(mlflow_template.read_bytes())
    tracker = Tracker(f"sqlite:///{state.mlflow_db}", state.mlflow_artifacts)
    bundles = [notes_bundle(folder / minutes, minutes) for minutes in ("three", "four")]
    for bundle in (*bundles, bundles[0]):
        register(tracker, "notes", bundle)
    register(tracker, "slow", notes_bundle(folder / "slow", chat=chat.url))
    damaged = tracker.bundle_path(tracker.version("notes", 3))
    (damaged / "leads.npy").write_bytes(b"nothing")
    for name in ("notes", "slow"):
        tracker.set_alias(name, CHAMPION, 1)
    return state, tracker


@pytest.fixture(scope="module")
def notes(registry: tuple[State, Tracker], tmp_path_factory: pytest.TempPathFactory) -> Any:
    log = tmp_path_factory.mktemp("log") / "out"
    with running(registry[0], log, "notes", *WATCH) as found:
        yield found


def promote(tracker: Tracker, service: Running, number: int, version: int | None = None) -> None:
    """Move the alias, and wait until ``version`` (by default that one) serves."""
    tracker.set_alias("notes", CHAMPION, number)
    until = time.monotonic() + 30
    while service.get("/v1/info").json()["version"] != (version or number):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_address_is_printed_and_everything_is_there(notes: Running) -> None:
    told = notes.log.read_text()
    assert f"address       {notes.url} (page at /, API at /docs)" in told
    assert "device        cpu" in told and "workers       1" in told
    found = notes.post("/v1/ask", TEA)
    assert found.status_code == 200 and "three minutes" in found.json()["answer"]
    info = notes.get("/v1/info").json()
    assert (info["name"], info["version"], info["data_version"]) == ("notes", 1, "tea-three")
    for path in ("/", "/docs", "/openapi.json", "/metrics", "/healthz", "/livez", "/readyz"):
        assert notes.get(path).status_code == 200, path
    assert "mlops_stage_seconds_count" in notes.get("/metrics").text
    assert "bentoml" not in str(found.headers).lower()


def test_a_web_page_of_elsewhere_cannot_reach_it(notes: Running) -> None:
    rebound = notes.post("/v1/ask", TEA, headers={"host": "evil.example"})
    foreign = notes.post("/v1/ask", TEA, headers={"origin": "https://evil.example"})
    assert rebound.status_code == foreign.status_code == 403


def test_clients_of_openai_and_langchain_work_over_the_wire(notes: Running) -> None:
    client = openai.OpenAI(base_url=f"{notes.url}/v1", api_key="none")
    said: Any = {"model": "notes", "messages": [{"role": "user", "content": TEA["question"]}]}
    text = client.chat.completions.create(**said).choices[0].message.content
    stream: Any = client.chat.completions.create(**said, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == text
    model = ChatOpenAI(
        model="notes",
        base_url=f"{notes.url}/v1",
        api_key="none",  # type: ignore[arg-type]
        use_responses_api=False,
    )
    assert model.invoke(TEA["question"]).text == text
    assert "".join(piece.text for piece in model.stream(TEA["question"])) == text


def test_twenty_promotions_under_load_fail_no_request(
    notes: Running, registry: tuple[State, Tracker]
) -> None:
    tracker, stop = registry[1], threading.Event()

    def ask(_: int) -> list[tuple[int, str]]:
        seen = []
        with httpx.Client(base_url=notes.url, timeout=30) as client:
            while not stop.is_set():
                found = client.post("/v1/ask", json=TEA)
                assert found.status_code == 200, found.text
                seen.append((found.json()["version"], found.json()["answer"]))
        return seen

    worker = memory(notes)
    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, number) for number in range(3)]
        try:
            for number in range(20):
                promote(tracker, notes, 2 - number % 2)
        finally:
            stop.set()
        seen = [one for each in asking for one in each.result()]
    assert {version for version, _ in seen} == {1, 2}
    for version, answer in seen:
        assert f"{'three' if version == 1 else 'four'} minutes" in answer
    assert notes.get("/v1/info").json()["swaps"] == 20
    assert memory(notes) < worker + 100 * 2**20


def memory(service: Running) -> int:
    """Bytes that the workers hold."""
    workers = psutil.Process(service.process.pid).children(recursive=True)
    return sum(worker.memory_info().rss for worker in workers)


def test_a_damaged_champion_leaves_the_old_one_serving(
    notes: Running, registry: tuple[State, Tracker]
) -> None:
    tracker = registry[1]
    promote(tracker, notes, 1)
    tracker.set_alias("notes", CHAMPION, 3)
    until = time.monotonic() + 30
    while (info := notes.get("/v1/info").json())["failure"] is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert info["version"] == 1 and info["failure"]["version"] == 3
    assert "leads.npy" in info["failure"]["problem"]
    assert notes.post("/v1/ask", TEA).status_code == 200
    promote(tracker, notes, 1)
    time.sleep(1)
    assert notes.get("/v1/info").json()["failure"] is None
    assert "notes version 3 does not serve" in notes.log.read_text(errors="replace")


def test_sigterm_lets_a_running_answer_finish(
    registry: tuple[State, Tracker], tmp_path: Path
) -> None:
    with running(registry[0], tmp_path / "log", "slow") as slow, ThreadPoolExecutor(2) as pool:
        asked = [TEA, TEA | {"stream": True}]
        running_ones = [pool.submit(slow.post, "/v1/ask", one) for one in asked]
        time.sleep(0.7)
        assert slow.stop() == 0
        whole, stream = (one.result() for one in running_ones)
        assert whole.status_code == 200 and "steeps" in whole.json()["answer"]
        assert events(stream.text)[-1][0] == "answer"
        with pytest.raises(httpx.TransportError):
            slow.get("/healthz")
    kept = read(registry[0].requests).to_pylist()
    assert sum(row["model"] == "slow" for row in kept) == 2


def test_a_killed_worker_comes_back_and_the_other_answers_meanwhile(
    registry: tuple[State, Tracker], tmp_path: Path
) -> None:
    words = ("notes", "--workers", "2", *WATCH)
    with running(registry[0], tmp_path / "log", *words) as notes:
        workers = bento_workers(notes)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        answered = [status_of(notes) for _ in range(20)]
        assert answered.count(200) >= 19, answered
        until = time.monotonic() + 60
        while len(now := bento_workers(notes)) < 2 or workers[0] in now:
            assert time.monotonic() < until
            time.sleep(0.2)


def bento_workers(service: Running) -> list[int]:
    children = psutil.Process(service.process.pid).children()
    alive = [one for one in children if one.status() != psutil.STATUS_ZOMBIE]
    return [one.pid for one in alive if "_bentoml_impl.worker.service" in one.cmdline()]


def status_of(service: Running) -> int:
    try:
        return service.post("/v1/ask", TEA).status_code
    except httpx.TransportError:
        return 0


def test_with_keys_nobody_else_gets_in(registry: tuple[State, Tracker], tmp_path: Path) -> None:
    state = registry[0]
    secret = add_key(state.keys, state.locks / "keys.lock", "app", ["predict"])
    try:
        with running(state, tmp_path / "log", "notes") as notes:
            assert notes.post("/v1/ask", TEA).status_code == 401
            key = {"authorization": f"Bearer {secret}"}
            assert notes.post("/v1/ask", TEA, headers=key).status_code == 200
            assert notes.get("/metrics", headers=key).status_code == 403
            assert notes.get("/healthz").status_code == 200
    finally:
        state.keys.unlink()
