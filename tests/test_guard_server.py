"""The guard under the server that BentoML runs, talked to over a socket by rude clients."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from services.guard.asgi import Receive, Scope, Send
from services.guard.chain import Guard, guarded
from services.guard.concurrency import Places
from tests.asgi import body_of, echo

HEAD = "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
CANCELLED: list[str] = []


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Echoes; ``/slow`` never answers, ``/stream`` never ends, ``/flood`` sends all it can."""
    path = scope["path"]
    if path == "/echo":
        return await echo(scope, receive, send)
    await body_of(receive)
    try:
        if path != "/slow":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            if path != "/slow":
                piece = b"x" * (100_000 if path == "/flood" else 10)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0 if path == "/flood" else 0.01)
    except asyncio.CancelledError:
        CANCELLED.append(path)
        raise


@pytest.fixture(scope="module")
def places() -> Places:
    return Places(8, 0)


@pytest.fixture(scope="module")
def port(places: Places) -> Iterator[int]:
    guard = Guard(places=places, body_bytes=100_000, body_seconds=0.5, seconds=2)
    config = uvicorn.Config(
        guarded(application, guard),  # type: ignore[arg-type]
        port=0,
        log_level="critical",
        lifespan="off",
        http="httptools",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield int(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join()


def connect(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def read_all(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def until(condition: str, places: Places) -> None:
    deadline = time.monotonic() + 5
    while not (condition in CANCELLED and places.running == 0):
        assert time.monotonic() < deadline, (CANCELLED, places.running)
        time.sleep(0.01)


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def test_a_chunked_body_is_counted_and_the_connection_closed(port: int) -> None:
    with connect(port) as connection:
        connection.sendall((HEAD.format("/echo") + "transfer-encoding: chunked\r\n\r\n").encode())
        sent = 0
        try:
            while sent < 50_000_000:
                connection.sendall(chunk(b"x" * 10_000))
                sent += 10_000
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 50_000_000


@pytest.mark.parametrize("size", [100_001, 10_000_000_000])
def test_a_body_that_says_it_is_too_large_is_refused_unread(size: int, port: int) -> None:
    with connect(port) as connection:
        connection.sendall((HEAD.format("/echo") + f"content-length: {size}\r\n\r\n").encode())
        answer = read_all(connection)
    assert status_of(answer) == 413
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["status"] == 413


def test_a_chunked_body_within_the_limit_comes_through(port: int) -> None:
    with connect(port) as connection:
        head = HEAD.format("/echo") + "transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        connection.sendall(head.encode())
        for _ in range(10):
            connection.sendall(chunk(b"y" * 10_000))
        connection.sendall(b"0\r\n\r\n")
        answer = read_all(connection)
    assert status_of(answer) == 200
    assert answer.count(b"y") >= 100_000


def test_clients_that_send_a_byte_at_a_time_hold_up_nobody(port: int) -> None:
    slow = [connect(port) for _ in range(30)]
    for connection in slow:
        connection.sendall((HEAD.format("/echo") + "content-length: 1000\r\n\r\nx").encode())
    with connect(port) as quick:
        quick.sendall((HEAD.format("/echo") + "content-length: 2\r\n\r\n{}").encode())
        assert status_of(quick.recv(65536)) == 200
    began = time.monotonic()
    for connection in slow:
        try:
            connection.sendall(b"x")
        except OSError:
            continue
    answers = [read_all(connection) for connection in slow]
    assert time.monotonic() - began < 5
    assert {status_of(answer) for answer in answers} == {408}
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("path", ["/slow", "/stream"])
def test_a_client_that_goes_away_cancels_its_request(path: str, port: int, places: Places) -> None:
    CANCELLED.clear()
    with connect(port) as connection:
        connection.sendall((HEAD.format(path) + "content-length: 2\r\n\r\n{}").encode())
        time.sleep(0.2)
        assert places.running == 1
    until(path, places)


def test_a_request_that_lasts_too_long_is_answered(port: int, places: Places) -> None:
    CANCELLED.clear()
    with connect(port) as connection:
        connection.sendall((HEAD.format("/slow") + "content-length: 2\r\n\r\n{}").encode())
        assert status_of(connection.recv(65536)) == 504
        # The connection is good for another request.
        connection.sendall((HEAD.format("/echo") + "content-length: 2\r\n\r\n{}").encode())
        assert status_of(connection.recv(65536)) == 200
    until("/slow", places)


def test_a_client_that_reads_nothing_is_cut_off(port: int, places: Places) -> None:
    CANCELLED.clear()
    with connect(port) as connection:
        connection.sendall((HEAD.format("/flood") + "content-length: 2\r\n\r\n{}").encode())
        until("/flood", places)
        answer = read_all(connection)
    assert status_of(answer) == 200
    # A chunked response that was not finished lacks its last chunk.
    assert not answer.endswith(b"0\r\n\r\n")
