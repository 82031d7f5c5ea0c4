"""Spans as a collector gets them: a local server stands in for it, and speaks real HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lifecycle import tracing
from lifecycle.bundle import Bundle
from lifecycle.errors import ConfigError
from lifecycle.otel_spans import OtlpTracer, otlp_tracer
from lifecycle.tracing import annotate, span
from rag.config import GenerationConfig
from rag.generators import load_generator
from rag.predictor import RagPredictor
from tests import corpus, toys


class Collector:
    """Keeps what is posted, and answers with the statuses it is told, then 200."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.statuses: list[int] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = collector.statuses.pop(0) if collector.statuses else 200
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.posts.append((self.path, headers, json.loads(body)))
                self.send_response(status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def spans(self) -> dict[str, dict[str, Any]]:
        found = [
            one
            for _, _, document in self.posts
            for resource in document["resourceSpans"]
            for scope in resource["scopeSpans"]
            for one in scope["spans"]
        ]
        return {one["name"]: one for one in found}


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def tracer(collector: Collector) -> Iterator[OtlpTracer]:
    made = OtlpTracer(f"{collector.url}/v1/traces", "handbook", waits_s=(0.01, 0.01))
    tracing.install(made, model="handbook", version=3)
    yield made
    tracing.install(None)
    made.close()


def attributes(one: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: pair["value"] for pair in one["attributes"]}


def test_spans_nest_and_carry_their_attributes(tracer: OtlpTracer, collector: Collector) -> None:
    with span("ask", share=0.5, abstained=True), span("retrieve"):
        annotate(passages=7, kind="hybrid")
    assert tracer.flush()
    ask, retrieve = collector.spans["ask"], collector.spans["retrieve"]
    assert (retrieve["traceId"], retrieve["parentSpanId"]) == (ask["traceId"], ask["spanId"])
    assert (len(ask["traceId"]), len(ask["spanId"]), ask["parentSpanId"]) == (32, 16, "")
    assert attributes(ask) == {
        "model": {"stringValue": "handbook"},
        "version": {"intValue": "3"},
        "share": {"doubleValue": 0.5},
        "abstained": {"boolValue": True},
    }
    assert attributes(retrieve)["passages"] == {"intValue": "7"}
    begun, ended = (int(ask[f"{name}TimeUnixNano"]) for name in ("start", "end"))
    assert begun <= int(retrieve["startTimeUnixNano"]) <= int(retrieve["endTimeUnixNano"]) <= ended


def test_the_documents_are_what_opentelemetry_reads(
    tracer: OtlpTracer, collector: Collector
) -> None:
    protobuf = pytest.importorskip("google.protobuf.json_format")
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    with span("predict", rows=2):
        pass
    tracer.flush()
    path, headers, document = collector.posts[0]
    assert (path, headers["content-type"]) == ("/v1/traces", "application/json")
    # Protobuf's own JSON has bytes in base64 where OTLP writes hex.
    one = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    for name in ("traceId", "spanId", "parentSpanId"):
        one.pop(name)
    request = protobuf.ParseDict(document, service.ExportTraceServiceRequest())
    read = request.resource_spans[0]
    assert read.resource.attributes[0].value.string_value == "handbook"
    assert read.scope_spans[0].spans[0].name == "predict"
    assert read.scope_spans[0].spans[0].end_time_unix_nano > 0


def test_an_error_is_named_and_its_text_is_not_sent(
    tracer: OtlpTracer, collector: Collector
) -> None:
    with pytest.raises(ValueError, match="private"), span("predict"):
        raise ValueError("a private question")
    tracer.flush()
    assert collector.spans["predict"]["status"] == {"code": 2, "message": "ValueError"}
    assert "private" not in json.dumps(collector.posts[0][2])


@pytest.mark.parametrize("with_text", [False, True])
def test_a_real_answer_gives_its_spans(
    with_text: bool, tracer: OtlpTracer, collector: Collector, tmp_path: Path
) -> None:
    tracer.with_text = with_text
    bundle: Bundle = toys.make(tmp_path / "bundle")
    generator = load_generator(GenerationConfig(), corpus.embedder())
    predictor = RagPredictor(bundle, corpus.retriever(), generator, merge_tokens=0)
    predictor.answer("Why are there no locks in the Suez Canal?")
    tracer.flush()
    assert {"ask", "retrieve", "generate"} <= set(collector.spans)
    assert ("Suez" in json.dumps([post[2] for post in collector.posts])) == with_text


def test_a_collector_that_is_busy_is_asked_again(tracer: OtlpTracer, collector: Collector) -> None:
    collector.statuses = [503, 429]
    with span("predict"):
        pass
    assert tracer.flush()
    assert (len(collector.posts), tracer.dropped) == (3, 0)


def test_a_collector_that_refuses_costs_spans_and_is_not_asked_again(
    tracer: OtlpTracer, collector: Collector
) -> None:
    collector.statuses = [400]
    with span("predict"):
        pass
    assert tracer.flush()
    assert (len(collector.posts), tracer.dropped) == (1, 1)


def test_a_collector_that_is_down_costs_spans_and_no_request(collector: Collector) -> None:
    url = collector.url
    collector.server.shutdown()
    collector.server.server_close()
    tracer = OtlpTracer(f"{url}/v1/traces", "handbook", waits_s=(0.01,))
    tracing.install(tracer)
    try:
        with span("predict"):
            pass
    finally:
        tracing.install(None)
    assert tracer.flush()
    assert tracer.dropped == 1
    tracer.close()


def test_the_environment_says_where_spans_go(collector: Collector) -> None:
    assert otlp_tracer("handbook", environment={}) is None
    tracer = otlp_tracer(
        "handbook",
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.url}/",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20abc,x-tenant=a",
            "OTEL_SERVICE_NAME": "mine",
        },
    )
    assert tracer is not None
    tracer.start("predict", None, {}).end()
    tracer.close()
    path, headers, document = collector.posts[0]
    assert (path, headers["authorization"], headers["x-tenant"]) == ("/v1/traces", "Basic abc", "a")
    assert "mine" in json.dumps(document["resourceSpans"][0]["resource"])
    elsewhere = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/here"}
    tracer = otlp_tracer("handbook", environment=elsewhere)
    assert tracer is not None
    assert tracer.url == "http://127.0.0.1:1/here"
    tracer.close()


def test_grpc_is_refused_rather_than_spoken_wrongly() -> None:
    asked = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    }
    with pytest.raises(ConfigError, match="'grpc' is not spoken"):
        otlp_tracer("handbook", environment=asked)


@pytest.mark.parametrize("url", ["localhost:4317", "file:///etc/passwd", "http://"])
def test_what_is_no_address_of_a_collector_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no address of a collector"):
        otlp_tracer("handbook", environment={"OTEL_EXPORTER_OTLP_ENDPOINT": url})
