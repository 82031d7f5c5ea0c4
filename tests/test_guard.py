"""What stands before a service, driven as a server drives it."""

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import BundleError, InputError
from lifecycle.keys import Key, KeyRing, digest_of
from services.guard.asgi import App, Receive, Scope, Send, state_of
from services.guard.body import BodyLimit
from services.guard.chain import Guard, guarded
from services.guard.concurrency import Places
from services.guard.deadline import EVERY_S, Deadline
from services.guard.errors import JsonErrors
from services.guard.logs import JsonHandler, JsonLines, log_as_json
from services.guard.rate import Rates
from services.guard.request_id import RequestId
from tests.asgi import LEAVE, Response, body_of, call, echo, scope

SECRET = "k" * 43
RING = KeyRing(
    [
        Key("app", ("predict",), digest_of(SECRET)),
        Key("gone", ("predict",), digest_of("g" * 43), revoked="2026-01-01T00:00:00Z"),
    ]
)


def run(app: App, asked: Scope | None = None, parts: Any = (b"{}",)) -> Response:
    return asyncio.run(call(app, asked, parts))


def behind(app: App, **options: Any) -> App:
    return guarded(app, Guard(**options))


def raising(error: Exception) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return app


async def streams_for_ever(scope: Scope, receive: Receive, send: Send) -> None:
    await body_of(receive)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.sleep(0.01)


def test_a_request_id_is_taken_over_if_it_is_sane() -> None:
    app = behind(echo)
    assert (
        run(app, scope(headers={"x-request-id": "abc-1.2_3"})).headers["x-request-id"]
        == "abc-1.2_3"
    )
    for bad in ("", "a b", "x" * 129, 'a"b', "ä"):
        made = run(app, scope(headers={"x-request-id": bad})).headers["x-request-id"]
        assert len(made) == 32
        int(made, 16)


def test_the_state_of_a_request_is_its_own() -> None:
    shared: dict[str, Any] = {"model": "of the lifespan"}
    seen: list[dict[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(state_of(scope))
        await echo(scope, receive, send)

    for _ in range(2):
        run(behind(app), scope() | {"state": shared})
    assert shared == {"model": "of the lifespan"}
    assert seen[0]["request_id"] != seen[1]["request_id"]
    assert seen[0]["model"] == "of the lifespan"


def test_errors_of_the_tree_are_told_in_json() -> None:
    response = run(behind(raising(InputError("k is 0.", "Ask for 1 or more."))))
    assert (response.status, response.headers["content-type"]) == (422, "application/json")
    assert response.error == {
        "status": 422,
        "message": "k is 0.",
        "remedy": "Ask for 1 or more.",
        "request_id": response.headers["x-request-id"],
    }


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("secret /srv/x"), 500), (BundleError("secret /srv/x is torn."), 503)],
)
def test_what_fails_inside_is_logged_and_not_told(
    error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    response = run(behind(raising(error)))
    assert response.status == status
    assert b"secret" not in response.body
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error]
    assert caplog.records[0].request_id == response.error["request_id"]  # type: ignore[attr-defined]


def test_a_failure_after_the_response_began_cuts_it_off() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError("no")

    response = run(behind(app))
    assert (response.status, response.body, response.whole) == (200, b"half", False)


def test_a_body_is_counted_as_it_arrives() -> None:
    app = behind(echo, body_bytes=10)
    assert run(app, parts=[b"12345", b"67890"]).body == b"1234567890"
    refused = run(app, parts=[b"12345", b"67890", b"1"])
    assert (refused.status, refused.headers["connection"]) == (413, "close")
    assert run(app, parts=[b"12345678901"]).status == 413


def test_content_length_is_believed_only_where_it_is_too_large() -> None:
    app = behind(echo, body_bytes=10)
    for length in ("11", "9" * 5000):
        assert run(app, scope(headers={"content-length": length}), [60.0]).status == 413
    assert run(app, scope(headers={"content-length": "3"}), [b"12345678", b"901"]).status == 413
    assert run(app, scope(headers={"content-length": "ten"}), [b"1"]).status == 200


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=8))
def test_a_body_arrives_as_it_was_sent_or_not_at_all(parts: list[bytes]) -> None:
    response = run(behind(echo, body_bytes=20), parts=parts)
    sent = b"".join(parts)
    assert (response.status, response.body == sent) == (
        (200, True) if len(sent) <= 20 else (413, False)
    )


def test_a_slow_body_is_given_up_and_holds_no_place() -> None:
    places = Places(1, 0)
    app = behind(echo, body_seconds=0.2, places=places)

    async def both() -> tuple[Response, Response]:
        slow = asyncio.create_task(call(app, parts=[b"a", 60.0, b"b"]))
        await asyncio.sleep(0.05)
        quick = await call(app, parts=[b"quick"])
        return await slow, quick

    slow, quick = asyncio.run(both())
    assert (slow.status, slow.headers["connection"], quick.body) == (408, "close", b"quick")
    # Nor does a client that sends its headers and nothing else.
    assert run(app, parts=[60.0, b""]).status == 408


def test_bodies_that_arrive_at_once_share_a_budget() -> None:
    limit = BodyLimit(echo, 10, budget=15)
    app = RequestId(JsonErrors(limit))

    async def together() -> list[int]:
        calls = [call(app, parts=[b"12345678", 0.05, b"9"]) for _ in range(3)]
        return [response.status for response in await asyncio.gather(*calls)]

    assert sorted(asyncio.run(together())) == [200, 503, 503]
    assert limit.held == 0
    assert run(app, parts=[b"12345678", b"9"]).status == 200


def test_a_client_that_leaves_while_it_sends_gets_nothing() -> None:
    reached = False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal reached
        reached = True

    response = run(behind(app), parts=[b"half", LEAVE])
    assert (response.messages, reached) == ([], False)


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({}, "/v1/predict", 401),
        ({"authorization": "Bearer " + "x" * 43}, "/v1/predict", 401),
        ({"authorization": "Bearer " + "g" * 43}, "/v1/predict", 401),
        ({"authorization": "Basic " + SECRET}, "/v1/predict", 401),
        ({"authorization": "Bearer " + SECRET}, "/v1/predict", 200),
        ({"authorization": "bearer  " + SECRET}, "/v1/predict", 200),
        ({"x-api-key": SECRET}, "/v1/predict", 200),
        ({"x-api-key": SECRET}, "/v1/feedback", 403),
        ({"x-api-key": SECRET}, "/metrics", 403),
        ({}, "/healthz", 200),
        ({}, "/readyz", 200),
        ({}, "/", 200),
        ({}, "/page/chat.js", 200),
        ({}, "/page", 401),
        ({}, "/healthz/", 401),
        ({}, "//healthz", 401),
    ],
)
def test_keys_guard_all_but_health(headers: dict[str, str], path: str, status: int) -> None:
    response = run(behind(echo, keys=RING), scope(path=path, headers=headers))
    assert response.status == status
    if status == 401:
        assert response.headers["www-authenticate"] == "Bearer"
    if status == 403:
        assert "lacks the scope" in response.error["message"]


def test_a_body_is_not_read_for_a_client_without_a_key() -> None:
    assert run(behind(echo, keys=RING), parts=[60.0, b"x"]).status == 401


@given(
    st.floats(0.1, 50),
    st.integers(1, 20),
    st.lists(st.floats(0, 2), min_size=1, max_size=200),
)
def test_no_more_than_burst_and_rate_gets_through(
    per_second: float, burst: int, gaps: list[float]
) -> None:
    now = [1000.0]
    rates = Rates(per_second, burst, clock=lambda: now[0])
    through: list[float] = []
    for gap in gaps:
        now[0] += gap
        wait = rates.wait("a")
        assert wait >= 0
        if not wait:
            through.append(now[0])
        for start in range(len(through)):
            window = through[-1] - through[start]
            assert len(through) - start <= burst + per_second * window + 1e-6
    # Whoever waits as long as told gets through.
    if wait := rates.wait("a"):
        now[0] += wait + 1e-6
        assert rates.wait("a") == 0


@given(st.lists(st.integers(0, 50), max_size=200))
def test_a_flood_of_clients_takes_no_memory_and_gains_nothing(clients: list[int]) -> None:
    now = [1000.0]
    rates = Rates(0.001, 2, most=5, clock=lambda: now[0])
    through = sum(rates.wait(str(client)) == 0 for client in clients)
    assert len(rates) <= 6
    assert through <= 2 * 6


def test_a_rate_below_one_a_minute_lets_one_through() -> None:
    app = behind(echo, per_minute=0.5)
    assert [run(app).status for _ in range(2)] == [200, 429]


def test_beyond_the_rate_a_client_is_told_when_to_come_back() -> None:
    app = behind(echo, per_minute=2)
    statuses = [run(app).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert 1 <= int(run(app).headers["retry-after"]) <= 30
    assert run(app, scope(client="10.0.0.2")).status == 200
    assert run(app, scope(path="/healthz")).status == 200


def test_the_rate_is_of_the_key_and_of_an_ipv6_network() -> None:
    app = behind(echo, per_minute=1, keys=RING)
    asked = {"x-api-key": SECRET}
    assert run(app, scope(headers=asked, client="10.0.0.1")).status == 200
    assert run(app, scope(headers=asked, client="10.0.0.2")).status == 429
    app = behind(echo, per_minute=1)
    assert run(app, scope(client="2001:db8::1")).status == 200
    assert run(app, scope(client="2001:db8::2")).status == 429
    assert run(app, scope(client="2001:db8:0:1::1")).status == 200


class Held:
    """An application that answers when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.running = self.most = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.go.wait()
            await echo(scope, receive, send)
        finally:
            self.running -= 1


def test_so_many_run_so_many_wait_and_the_rest_is_refused() -> None:
    async def crowd() -> tuple[list[Response], int]:
        held = Held()
        app = behind(held, places=Places(2, 3))
        calls = [asyncio.create_task(call(app)) for _ in range(9)]
        await asyncio.sleep(0.05)
        health = await asyncio.wait_for(call(behind(echo), scope(path="/healthz")), 1)
        assert health.status == 200
        held.go.set()
        return await asyncio.gather(*calls), held.most

    responses, most = asyncio.run(crowd())
    assert [response.status for response in responses] == [200] * 5 + [429] * 4
    assert most == 2
    assert responses[-1].headers["retry-after"] == "1"


@given(st.integers(1, 3), st.integers(0, 3), st.lists(st.integers(0, 9), max_size=40))
def test_places_are_never_exceeded_and_never_lost(most: int, queue: int, steps: list[int]) -> None:
    """Step 0 to 5: a request comes; 6 and 7: the oldest ends; 8 and 9: the newest goes away."""

    async def play() -> None:
        places = Places(most, queue)
        tasks: list[tuple[asyncio.Task[Response], Held]] = []
        for step in steps:
            if step < 6:
                held = Held()
                tasks.append((asyncio.create_task(call(behind(held, places=places))), held))
            elif tasks and step < 8:
                tasks.pop(0)[1].go.set()
            elif tasks:
                tasks.pop()[0].cancel()
            await asyncio.sleep(0)
            assert 0 <= places.running <= most
            assert places.waiting <= queue
        for _, held in tasks:
            held.go.set()
        await asyncio.sleep(0.001)
        assert await places.close(1)
        assert (places.running, places.waiting) == (0, 0)
        statuses = {task.result().status for task, _ in tasks if task.done()}
        assert statuses <= {200, 429}

    asyncio.run(play())


def test_a_service_that_closes_refuses_and_finishes() -> None:
    async def close() -> tuple[bool, bool, Response, Response]:
        held, places = Held(), Places(2, 2)
        app = behind(held, places=places)
        running = asyncio.create_task(call(app))
        await asyncio.sleep(0.01)
        early = await places.close(0.01)
        refused = await call(app)
        held.go.set()
        return early, await places.close(1), refused, await running

    early, late, refused, finished = asyncio.run(close())
    assert (early, late) == (False, True)
    assert (refused.status, refused.headers["connection"]) == (503, "close")
    assert finished.status == 200


def test_whoever_stops_waiting_leaves_the_queue() -> None:
    async def crowd() -> tuple[int, int, int]:
        held, places = Held(), Places(1, 5)
        app = behind(held, places=places, seconds=5)
        calls = [asyncio.create_task(call(app)) for _ in range(4)]
        await asyncio.sleep(0.01)
        calls[1].cancel()
        calls[0].cancel()
        await asyncio.sleep(0.01)
        waiting = places.waiting
        held.go.set()
        done = await asyncio.gather(*calls, return_exceptions=True)
        return waiting, sum(isinstance(one, Response) for one in done), places.running

    assert asyncio.run(crowd()) == (1, 2, 0)


def test_a_request_that_takes_too_long_is_cancelled() -> None:
    held: list[Held] = []

    async def late() -> Response:
        held.append(Held())
        return await call(behind(held[0], seconds=0.05))

    response = asyncio.run(late())
    assert (response.status, held[0].running) == (504, 0)


def test_a_stream_that_takes_too_long_is_cut_off() -> None:
    response = run(behind(streams_for_ever, seconds=0.1))
    assert (response.status, response.whole) == (200, False)


def test_a_timeout_of_the_application_is_no_timeout_of_the_request() -> None:
    assert run(behind(raising(TimeoutError()))).status == 500


@pytest.mark.parametrize("app", [streams_for_ever, Held])
def test_a_client_that_goes_away_cancels_its_request(app: Any) -> None:
    async def leave() -> Response:
        made = app() if isinstance(app, type) else app
        asked = scope(headers={"content-length": "2"})
        places = Places(1, 0)
        response = await asyncio.wait_for(
            call(behind(made, places=places), asked, [b"{}", 0.1, LEAVE]), 2
        )
        assert places.running == 0
        return response

    assert not asyncio.run(leave()).whole


def test_the_watch_takes_nothing_from_a_late_reader() -> None:
    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()
        await asyncio.sleep(4 * EVERY_S)
        rest = await body_of(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": first["body"] + rest})

    app = RequestId(Deadline(late, 5, 5))
    assert run(app, parts=[b"one", b"two"]).body == b"onetwo"


def test_every_response_has_the_security_headers() -> None:
    for app in (behind(echo), behind(raising(ValueError())), behind(echo, body_bytes=1)):
        headers = run(app).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert not [name for name in headers if name.startswith("access-control")]


def test_pages_of_other_origins_are_refused_unless_named() -> None:
    evil, ours = {"origin": "https://evil.example"}, {"origin": "http://127.0.0.1:3000"}
    assert run(behind(echo), scope(headers=evil)).status == 403
    assert run(behind(echo), scope(headers=ours)).status == 200
    assert run(behind(echo), scope(headers={"origin": "null"})).status == 403
    allowed = behind(echo, origins=("https://shop.example",), keys=RING)
    shop = {"origin": "https://shop.example", "x-api-key": SECRET}
    response = run(allowed, scope(headers=shop))
    assert response.headers["access-control-allow-origin"] == "https://shop.example"
    assert run(allowed, scope(headers=evil | {"x-api-key": SECRET})).status == 403


def test_a_preflight_is_answered_before_a_key_is_asked_for() -> None:
    app = behind(echo, origins=("https://shop.example",), keys=RING)
    asked = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    response = run(app, scope("OPTIONS", headers=asked))
    assert response.status == 204
    assert "authorization" in response.headers["access-control-allow-headers"]
    assert run(app, scope(headers=asked)).status == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:3000", 200),
        ("LocalHost", 200),
        ("[::1]:3000", 200),
        ("evil.example:3000", 403),
        ("localhost.evil.example", 403),
        ("", 403),
    ],
)
def test_a_service_on_the_loopback_answers_to_its_own_names(host: str, status: int) -> None:
    app = behind(echo, hosts=("127.0.0.1", "localhost", "[::1]"))
    assert run(app, scope(headers={"host": host})).status == status


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[tuple[JsonLines, Path]]:
    path = tmp_path / "log"
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    made = JsonLines(out)
    yield made, path
    made.close()
    os.close(out)


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_access_line_tells_who_and_what_but_no_text(lines: tuple[JsonLines, Path]) -> None:
    log, path = lines
    app = behind(echo, keys=RING, log=log)
    answered = run(app, scope(headers={"x-api-key": SECRET}), [b"a private question"])
    run(app)
    run(app, scope(path="/healthz"))
    log.close()
    first, second = read_lines(path)
    assert first["request_id"] == answered.headers["x-request-id"]
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v1/predict", 200)
    assert (first["client"], second["status"], second["error"]) == ("app", 401, "Refused")
    assert 0 <= first["ms"] < 1000
    assert not [word for word in ("private", "secret", SECRET) if word in path.read_text()]


@pytest.mark.parametrize("with_text", [False, True])
def test_the_message_of_an_error_is_logged_only_if_texts_are_allowed(
    with_text: bool, lines: tuple[JsonLines, Path]
) -> None:
    log, path = lines
    log.with_text = with_text
    before = logging.root.handlers[:], logging.root.level
    try:
        log_as_json(log)
        response = run(behind(raising(ValueError("cannot read 'a private question'"))))
        log.close()
    finally:
        logging.root.handlers[:], logging.root.level = before
    (line,) = read_lines(path)
    assert line["error"]["type"] == "ValueError"
    assert "raising" in line["error"]["at"][-1] or "app" in line["error"]["at"][-1]
    assert line["request_id"] == response.error["request_id"]
    assert ("private" in path.read_text()) == with_text


def test_no_text_can_break_a_line(lines: tuple[JsonLines, Path]) -> None:
    log, path = lines
    for text in ("two\nlines", "half \ud800 a pair", "\x00", "ä" * 5000):
        log.put({"time": 0.5, "text": text})
    log.close()
    read = read_lines(path)
    assert read[0]["text"] == "two\nlines"
    assert len(read) == 4
    assert read[0]["time"] == "1970-01-01T00:00:00.500000+00:00"


def test_a_log_call_that_does_not_fit_harms_nobody(
    lines: tuple[JsonLines, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger = logging.Logger("test")
    logger.addHandler(JsonHandler(lines[0]))
    logger.error("%d", "no number")
    logger.error("after %s", "it")
    lines[0].close()
    assert [line["message"] for line in read_lines(lines[1])] == ["after it"]


def test_a_log_that_nobody_reads_drops_lines_and_blocks_nobody() -> None:
    reader, writer = os.pipe()
    log = JsonLines(writer, capacity=100)
    for _ in range(2000):
        log.put({"time": 0.0, "text": "x" * 1000})
    assert log.dropped > 0
    os.close(reader)
    log.close()
    os.close(writer)


def test_start_and_stop_reach_the_application_and_websockets_do_not() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    response = run(behind(app, keys=RING), scope() | {"type": "websocket"})
    run(behind(app, keys=RING), scope() | {"type": "lifespan"})
    assert (seen, response.messages[0]["type"]) == (["lifespan"], "websocket.close")


def test_the_whole_chain_serves_a_real_client() -> None:
    app = behind(echo, keys=RING, per_minute=600, body_bytes=1000)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as http:
            keyed = {"authorization": f"Bearer {SECRET}"}
            return [
                await http.post("/v1/predict", content=b"hello", headers=keyed),
                await http.post("/v1/predict", content=b"x" * 2000, headers=keyed),
                await http.get("/v1/info", headers=keyed),
                await http.get("/v1/info"),
            ]

    responses = asyncio.run(ask())
    assert [response.status_code for response in responses] == [200, 413, 200, 401]
    assert responses[0].text == "hello"
