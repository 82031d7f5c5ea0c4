"""The endpoints of a RAG service, in this process."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_openai import ChatOpenAI

from services.routes.chat import Completion
from services.routes.rag import Answered, Passages, Text
from tests.serving import Service, events, notes_bundle, run, serving

TEA = "How long should green tea steep?"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return notes_bundle(tmp_path_factory.mktemp("notes") / "one")


@pytest.fixture(scope="module")
def notes(bundle: Path) -> Service:
    return serving(bundle)


def error(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/json"
    told: dict[str, Any] = response.json()["error"]
    assert told["status"] == response.status_code
    assert told["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    return told


def test_an_answer_names_its_passages_its_model_and_the_request(notes: Service) -> None:
    response = notes.post("/v1/ask", {"question": TEA})
    assert response.status_code == 200
    found = Answered.model_validate(response.json())
    assert "three minutes" in found.answer
    assert found.question == TEA and not found.abstained and 0 < found.confidence <= 1
    cited = found.citations[0]
    assert cited.source.endswith("tea.md") and "steep for three minutes" in cited.passage
    assert 1 <= cited.line_start <= cited.line_end
    assert (found.model, found.version, found.data_version) == ("notes", 1, "data-1")
    assert found.request_id == response.headers["x-request-id"]


def test_a_question_without_an_answer_is_declined(notes: Service) -> None:
    found = notes.post("/v1/ask", {"question": "Who won the chess olympiad of 1924?"}).json()
    assert found["abstained"] and found["citations"] == []


def test_the_stream_brings_the_same_answer_piece_by_piece(notes: Service) -> None:
    whole = notes.post("/v1/ask", {"question": TEA}).json()
    response = notes.post("/v1/ask", {"question": TEA, "stream": True})
    assert response.headers["content-type"] == "text/event-stream"
    found = events(response.text)
    assert [name for name, _ in found[:-1]] == ["token"] * (len(found) - 1)
    name, last = found[-1]
    assert name == "answer"
    assert "".join(data["text"] for _, data in found[:-1]) == last["answer"]
    assert {**last, "request_id": ""} == {**whole, "request_id": ""}


def test_search_gives_passages_that_fit_the_filter(notes: Service) -> None:
    response = notes.post("/v1/search", {"question": TEA, "k": 2})
    found = Passages.model_validate(response.json()).passages
    assert [one.rank for one in found] == [1, 2]
    assert found[0].source.endswith("tea.md")
    only = {"question": TEA, "filters": {"suffix": ["rst", "txt"]}}
    sources = {one["source"] for one in notes.post("/v1/search", only).json()["passages"]}
    assert sources and all(source.endswith((".rst", ".txt")) for source in sources)


def test_a_cited_document_can_be_opened(notes: Service) -> None:
    cited = notes.post("/v1/ask", {"question": TEA}).json()["citations"][0]
    response = notes.get("/v1/document", params={"source": cited["source"]})
    assert cited["passage"] in Text.model_validate(response.json()).text
    assert error(notes.get("/v1/document", params={"source": "nowhere.md"}))["status"] == 404
    assert error(notes.get("/v1/document"))["status"] == 404


@pytest.mark.parametrize(
    ("payload", "status", "words"),
    [
        ({}, 422, "question does not fit"),
        ({"question": ""}, 422, "question does not fit"),
        ({"question": "  "}, 422, "the question is empty"),
        ({"question": 3}, 422, "question does not fit"),
        ({"question": "x" * 2_001}, 422, "2001 characters"),
        ({"question": "tea", "k": 0}, 422, "k does not fit"),
        ({"question": "tea", "k": 101}, 422, "k=101 is more than 100"),
        ({"question": "tea", "wrong": 1}, 422, "wrong does not fit"),
        ({"question": "tea", "filters": {"colour": "red"}}, 400, "no field 'colour'"),
        ([], 422, "the body does not fit"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(
    notes: Service, payload: Any, status: int, words: str
) -> None:
    told = error(notes.post("/v1/ask", payload))
    assert told["status"] == status
    assert words in told["message"]


def test_other_bodies_methods_and_paths_are_refused(notes: Service) -> None:
    json_type = {"content-type": "application/json"}
    broken = notes.request("POST", "/v1/ask", content=b"{", headers=json_type)
    assert error(broken)["status"] == 400
    half = notes.request("POST", "/v1/ask", content=b'{"question": "\xff"}', headers=json_type)
    assert error(half)["status"] == 400
    assert error(notes.request("POST", "/v1/ask", content=b"tea"))["status"] == 415
    told = notes.get("/v1/ask")
    assert error(told)["status"] == 405 and told.headers["allow"] == "POST"
    assert error(notes.get("/v1/recommend"))["status"] == 404
    assert error(notes.get("/page/../settings.py"))["status"] == 404


def test_questions_are_not_kept_unless_texts_are_allowed(bundle: Path) -> None:
    for log_texts in (False, True):
        asked = serving(bundle, log_texts=log_texts)
        asked.post("/v1/ask", {"question": TEA})
        (row,) = asked.kept.rows
        assert (TEA in json.dumps(row)) == log_texts
        assert ("three minutes" in json.dumps(row)) == log_texts
        assert (row["kind"], row["endpoint"], row["status"]) == ("predict", "/v1/ask", 200)
        assert row["latency_ms"] > 0 and 0 < row["confidence"] <= 1 and row["abstained"] is False


def test_feedback_is_kept_beside_the_answer_it_is_about(bundle: Path) -> None:
    asked = serving(bundle)
    request = asked.post("/v1/ask", {"question": TEA}).json()["request_id"]
    given = {"request_id": request, "rating": "down", "correction": "four minutes"}
    assert asked.post("/v1/feedback", given).json() == {"kept": True, "request_id": request}
    answer, feedback = asked.kept.rows
    assert answer["request_id"] == feedback["request_id"] == request
    assert (feedback["rating"], feedback["correction"]) == (0.0, "four minutes")
    assert (feedback["model"], feedback["version"]) == ("notes", 1)
    nothing = asked.post("/v1/feedback", {"request_id": request})
    assert "give a rating, a correction or a label" in error(nothing)["message"]


def test_openais_client_asks_streams_and_is_refused(notes: Service) -> None:
    async def ask() -> None:
        url = "http://127.0.0.1:3000/v1"
        async with notes.client() as http:
            client = openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http)
            assert [one.id async for one in client.models.list()] == ["notes"]
            said: Any = {"model": "notes", "messages": [{"role": "user", "content": TEA}]}
            whole: Any = await client.chat.completions.create(**said)
            text = whole.choices[0].message.content
            assert "three minutes" in text and whole.choices[0].finish_reason == "stop"
            assert whole.citations[0]["source"].endswith("tea.md")
            Completion.model_validate(whole.model_dump(exclude_none=True))
            stream: Any = await client.chat.completions.create(**said, stream=True)
            chunks = [chunk async for chunk in stream]
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
            assert chunks[-1].choices[0].finish_reason == "stop" and chunks[-1].citations
            with pytest.raises(openai.NotFoundError, match="has no model 'other'"):
                await client.chat.completions.create(**said | {"model": "other"})

    run(ask())


def test_langchain_asks_and_streams(notes: Service) -> None:
    async def ask() -> None:
        async with notes.client() as http:
            model = ChatOpenAI(
                model="notes",
                base_url="http://127.0.0.1:3000/v1",
                api_key="none",  # type: ignore[arg-type]
                http_async_client=http,
                max_retries=0,
                use_responses_api=False,
            )
            answer = await model.ainvoke(TEA)
            assert "three minutes" in answer.text
            pieces = [piece.text async for piece in model.astream(TEA)]
            assert "".join(pieces) == answer.text and len(pieces) > 1

    run(ask())


class Slow:
    """A generator that would write for a minute, and says when it was stopped."""

    name = "slow"

    def __init__(self) -> None:
        self.began, self.stopped = 0, 0

    def stream(self, question: str, passages: Any) -> Any:
        self.began += 1
        try:
            for number in range(600):
                yield f"{number} "
                time.sleep(0.1)
        finally:
            self.stopped += 1


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_generation(bundle: Path, stream: bool) -> None:
    slow = Slow()
    asked = serving(bundle)
    asked.holder.serving().predictor.generator = slow

    async def leave() -> None:
        gone = asyncio.Event()
        body = json.dumps({"question": TEA, "stream": stream}).encode()
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        sent: list[bytes] = []

        async def send(message: Any) -> None:
            sent.append(message.get("body", b""))

        headers = [(b"content-type", b"application/json"), (b"host", b"127.0.0.1")]
        scope = {"type": "http", "method": "POST", "path": "/v1/ask", "headers": headers}
        asking = asyncio.create_task(asked.app(scope | {"query_string": b""}, receive, send))
        while not slow.began or (stream and len(sent) < 4):
            await asyncio.sleep(0.01)
        assert not stream or sent[1] == b'event: token\ndata: {"text":"0 "}\n\n'
        gone.set()
        await asyncio.wait_for(asking, 5)
        while not slow.stopped:
            await asyncio.sleep(0.01)

    run(asyncio.wait_for(leave(), 10))
    assert (slow.began, slow.stopped) == (1, 1)


def test_counts_say_which_model_answered_how_fast_and_how_sure(bundle: Path) -> None:
    asked = serving(bundle)
    asked.post("/v1/ask", {"question": TEA})
    asked.post("/v1/ask", {"question": "Who won the chess olympiad of 1924?"})
    asked.get("/a/path/of/somebody")
    text = asked.get("/metrics").text
    labels = 'model="notes",version="1"'
    ok = 'mlops_requests_total{endpoint="/v1/ask",model="notes",status="200",version="1"} 2.0'
    assert ok in text
    for stage in ("retrieve", "generate"):
        assert f'mlops_stage_seconds_count{{model="notes",stage="{stage}",version="1"}} 2.0' in text
    assert f"mlops_confidence_count{{{labels}}} 2.0" in text
    assert f"mlops_abstentions_total{{{labels}}} 1.0" in text
    assert 'endpoint="other"' in text and "somebody" not in text
