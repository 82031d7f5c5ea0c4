"""What a service lives through: killed workers, signals, slow and absent clients, too much load."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from lifecycle.registry import CHAMPION
from lifecycle.state import State
from lifecycle.tracking import Tracker
from tests.chat_server import ChatServer, Reply, chat_server
from tests.serving import Running, notes_bundle, register, running
from tests.small_rows import rows_bundle
from tests.tabular_contract import row

TEA = {"question": "How long should green tea steep?"}
ROW = {"rows": [row()]}
CLIENTS = 8
HEAD = "POST /v1/predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def chat() -> Iterator[ChatServer]:
    """Says a word every 50 ms, for ten seconds."""
    with chat_server(lambda _: Reply(("tea ",) * 200, between_s=0.05)) as found:
        yield found


@pytest.fixture(scope="module")
def state(
    tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path, chat: ChatServer
) -> State:
    """`rows` answers at once, `slow` waits for a language model."""
    folder = tmp_path_factory.mktemp("survival")
    found = State(folder / "state")
    found.mlflow_db.parent.mkdir(parents=True)
    found.mlflow_db.write_bytes(mlflow_template.read_bytes())
    tracker = Tracker(f"sqlite:///{found.mlflow_db}", found.mlflow_artifacts)
    register(tracker, "rows", rows_bundle(folder / "rows"))
    register(tracker, "slow", notes_bundle(folder / "slow", chat=chat.url))
    for name in ("rows", "slow"):
        tracker.set_alias(name, CHAMPION, 1)
    return found


@dataclass
class Load:
    """What clients saw that asked without a pause; 0 stands for a broken connection."""

    statuses: list[int] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def failed(self) -> list[int]:
        return [status for status in self.statuses if status != 200]

    def reached(self, more: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.statuses) + more
        until_true(lambda: len(self.statuses) >= wanted)

    def ask(self, url: str) -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            while not self.stop.is_set():
                try:
                    status = client.post("/v1/predict", json=ROW).status_code
                except httpx.TransportError:
                    status = 0
                self.statuses.append(status)


@contextmanager
def loaded(service: Running) -> Iterator[Load]:
    load = Load()
    threads = [threading.Thread(target=load.ask, args=(service.url,)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        for thread in threads:
            thread.join()


def until_true(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def workers(service: Running) -> set[int]:
    children = psutil.Process(service.process.pid).children()
    alive = [one for one in children if one.status() != psutil.STATUS_ZOMBIE]
    return {one.pid for one in alive if "_bentoml_impl.worker.service" in one.cmdline()}


def test_a_worker_killed_under_load_costs_its_running_requests_alone(
    state: State, tmp_path: Path
) -> None:
    """A client learns of the death by its connection, so each loses one request at most."""
    with running(state, tmp_path / "log", "rows", "--workers", "2") as service:
        before = workers(service)
        assert len(before) == 2
        with loaded(service) as load:
            load.reached(200)
            assert not load.failed
            dead = before.pop()
            os.kill(dead, signal.SIGKILL)
            load.reached(200)
            until_true(lambda: len(workers(service) - {dead}) == 2)
            lost = len(load.failed)
            load.reached(400)
        assert set(load.failed) <= {0} and lost <= CLIENTS
        assert len(load.failed) == lost, "none fails once it has come back"


def test_sigterm_under_load_loses_no_answer(state: State, tmp_path: Path) -> None:
    """Clients whose next request it does not take find the connection closed."""
    with running(state, tmp_path / "log", "rows") as service, loaded(service) as load:
        load.reached(200)
        assert not load.failed
        assert service.stop() == 0
    assert set(load.failed) <= {0, 503}
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if "access" in line]
    taken = [line["status"] for line in lines if line["path"] == "/v1/predict"]
    assert taken.count(200) == load.statuses.count(200) and set(taken) <= {200, 503}


def test_clients_that_trickle_hold_up_nobody(state: State, tmp_path: Path) -> None:
    """Neither those that never end their headers nor those that never end their body."""
    words = ("rows", "--set", "limits.body_seconds=1", "--set", "limits.concurrency=2")
    with running(state, tmp_path / "log", *words) as service:
        address = ("127.0.0.1", urlsplit(service.url).port or 0)
        slow = [socket.create_connection(address, timeout=30) for _ in range(100)]
        for number, connection in enumerate(slow):
            head = HEAD + "content-length: 1000\r\n\r\n" if number % 2 else HEAD + "x-slow: "
            connection.sendall(head.encode())
        began = time.monotonic()
        while time.monotonic() < began + 0.5:
            for connection in slow:
                connection.sendall(b"x")
            assert service.post("/v1/predict", ROW).status_code == 200
        for connection in slow[1::2]:
            assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
        assert service.post("/v1/predict", ROW).status_code == 200
        for connection in slow:
            connection.close()


def test_a_client_that_goes_away_cancels_its_generation(
    state: State, chat: ChatServer, tmp_path: Path
) -> None:
    with running(state, tmp_path / "log", "slow") as service:
        for stream in (True, False):
            said, left = chat.said, chat.left
            # It reads until the timeout, then closes.
            with pytest.raises(httpx.ReadTimeout), httpx.Client(timeout=0.04) as client:
                asked = TEA | {"stream": stream}
                with client.stream("POST", f"{service.url}/v1/ask", json=asked) as answer:
                    answer.read()
            until_true(lambda left=left: chat.left > left, 5)
            assert chat.said - said < 100


def test_overload_is_refused_with_a_time_to_come_back_and_passes(
    state: State, tmp_path: Path
) -> None:
    words = [f"limits.{one}" for one in ("concurrency=1", "queue=1", "seconds=2")]
    options = [word for one in words for word in ("--set", one)]
    with (
        running(state, tmp_path / "log", "slow", *options) as service,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        asked = [pool.submit(service.post, "/v1/ask", TEA) for _ in range(CLIENTS)]
        time.sleep(0.5)
        assert service.get("/healthz").status_code == 200
        answers = [one.result() for one in asked]
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [429] * (CLIENTS - 2) + [504] * 2
        assert all(
            int(one.headers["retry-after"]) >= 1 for one in answers if one.status_code == 429
        )
        assert service.post("/v1/search", TEA).status_code == 200
