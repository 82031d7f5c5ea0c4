"""Spans: nested and named as the work was, recorded by the real MLflow, and nothing when off."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.tracing import tracing as asked_for
from lifecycle import tracing
from lifecycle.bundle import Bundle
from lifecycle.errors import InputError, UsageError
from lifecycle.fingerprint import ROOT
from lifecycle.mlflow_spans import MlflowTracer
from lifecycle.tracing import Span, Value, annotate, span, spanned
from lifecycle.tracking import Tracker, Version
from rag.config import GenerationConfig
from rag.generators import load_generator
from rag.predictor import RagPredictor
from rag.types import Answer
from tests import corpus, toys

QUESTION = "Why are there no locks in the Suez Canal?"


class Recorded:
    def __init__(self, name: str, parent: Span | None, attributes: dict[str, Value]) -> None:
        self.name, self.parent, self.attributes = name, parent, attributes
        self.error: BaseException | None = None
        self.ended = 0

    def set(self, attributes: dict[str, Value]) -> None:
        self.attributes = self.attributes | attributes

    def end(self, error: BaseException | None = None) -> None:
        self.error = error
        self.ended += 1


class Recorder:
    """A tracer that keeps what it is told."""

    def __init__(self, with_text: bool = False) -> None:
        self.with_text = with_text
        self.spans: dict[str, Recorded] = {}

    def start(self, name: str, parent: Span | None, attributes: dict[str, Value]) -> Span:
        self.spans[name] = Recorded(name, parent, attributes)
        return self.spans[name]

    def above(self, name: str) -> str:
        parent = self.spans[name].parent
        return parent.name if isinstance(parent, Recorded) else ""


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    tracing.install(made, model="toy")
    yield made
    tracing.install(None)


@pytest.fixture
def predictor(tmp_path: Path) -> RagPredictor:
    bundle: Bundle = toys.make(tmp_path / "bundle")
    generator = load_generator(GenerationConfig(), corpus.embedder())
    return RagPredictor(bundle, corpus.retriever(), generator, merge_tokens=0)


def test_spans_nest_as_the_blocks_do(recorder: Recorder) -> None:
    with span("outer", size=1), span("inner"):
        annotate(found=2)
    assert recorder.above("inner") == "outer"
    assert recorder.spans["outer"].attributes == {"model": "toy", "size": 1}
    assert recorder.spans["inner"].attributes == {"found": 2}


def test_a_span_tells_of_the_error_that_ended_it(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="no"), span("outer"):
        raise ValueError("no")
    assert isinstance(recorder.spans["outer"].error, ValueError)
    assert recorder.spans["outer"].ended == 1


def test_a_streams_span_is_open_only_while_the_stream_works(recorder: Recorder) -> None:
    def numbers() -> Iterator[int]:
        with span("inside"):
            yield 1
        yield 2

    stream = spanned("stream", numbers)
    assert next(stream) == 1
    with span("reader"):
        pass
    assert list(stream) == [2]
    assert recorder.above("reader") == ""
    assert recorder.above("inside") == "stream"
    assert [one.ended for one in recorder.spans.values()] == [1, 1, 1]


def test_a_reader_that_stops_early_ends_every_span(
    recorder: Recorder, predictor: RagPredictor
) -> None:
    stream = predictor.ask(QUESTION)
    next(stream)
    stream.close()
    assert set(recorder.spans) >= {"ask", "retrieve", "generate"}
    assert [one.ended for one in recorder.spans.values()] == [1] * len(recorder.spans)
    assert all(one.error is None for one in recorder.spans.values())


def test_an_answer_is_spans_of_retrieving_fusing_and_generating(
    recorder: Recorder, predictor: RagPredictor
) -> None:
    for ask in (predictor.answer, lambda question: list(predictor.ask(question))):
        recorder.spans.clear()
        ask(QUESTION)
        assert recorder.above("retrieve") == recorder.above("generate") == "ask"
        for stage in ("embed", "lexical", "dense", "fuse"):
            assert recorder.above(stage) == "retrieve"
        asked = recorder.spans["ask"].attributes
        assert asked["abstained"] is False
        assert 0 < float(asked["confidence"]) <= 1
        assert recorder.spans["retrieve"].attributes["passages"] == 6
        assert recorder.spans["generate"].attributes == {"generator": "extractive"}


def test_texts_are_recorded_only_where_they_may_be(
    recorder: Recorder, predictor: RagPredictor
) -> None:
    predictor.answer(QUESTION)
    assert not {"question", "answer"} & recorder.spans["ask"].attributes.keys()
    recorder.with_text = True
    answer = predictor.answer(QUESTION)
    assert recorder.spans["ask"].attributes["question"] == QUESTION
    assert recorder.spans["ask"].attributes["answer"] == answer["answer"]


def test_an_empty_question_fails_at_once_and_ends_its_spans(
    recorder: Recorder, predictor: RagPredictor
) -> None:
    with pytest.raises(InputError):
        predictor.ask("  ")
    assert isinstance(recorder.spans["ask"].error, InputError)
    assert recorder.spans["ask"].ended == recorder.spans["retrieve"].ended == 1


def test_without_a_tracer_an_answer_is_the_same(predictor: RagPredictor) -> None:
    plain = list(predictor.ask(QUESTION))
    tracing.install(Recorder())
    try:
        assert list(predictor.ask(QUESTION)) == plain
    finally:
        tracing.install(None)
    assert isinstance(plain[-1], Answer)


def test_tracing_costs_no_import_when_off() -> None:
    code = "import sys, rag.predictor, lifecycle.tracing; print('mlflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def traces(tracker: Tracker, place: str) -> list[Any]:
    import mlflow

    mlflow.set_tracking_uri(tracker.uri)
    mlflow.flush_trace_async_logging()
    found: list[Any] = mlflow.search_traces(locations=[place], return_type="list")
    return found


def test_mlflow_shows_an_answer_as_one_trace(tracker: Tracker, predictor: RagPredictor) -> None:
    place = tracker.experiment("toy")
    tracer = MlflowTracer(tracker.uri, place, with_text=True)
    tracing.install(tracer, model="toy", version=3)
    try:
        answer = predictor.answer(QUESTION)
        stream = predictor.ask(QUESTION)
        next(stream)
        stream.close()
        with pytest.raises(InputError):
            predictor.answer(" ")
    finally:
        tracing.install(None)
        tracer.flush()

    found = traces(tracker, place)
    assert sorted(one.info.state.value for one in found) == ["ERROR", "OK", "OK"]
    whole = next(one for one in found if "confidence" in one.data.spans[0].attributes)
    names = {one.span_id: one.name for one in whole.data.spans}
    above = {one.name: names.get(one.parent_id) for one in whole.data.spans}
    assert above["ask"] is None
    assert above["retrieve"] == above["generate"] == "ask"
    assert above["fuse"] == above["embed"] == "retrieve"
    root = whole.data.spans[0]
    assert root.attributes["version"] == 3
    assert root.inputs == {"question": QUESTION}
    assert root.outputs == {"answer": answer["answer"]}


VERSION = Version("notes", 4, "r", {"use_case": "documents", "data_version": "d1"}, (), 0)


@pytest.mark.parametrize(("option", "variable"), [(True, ""), (False, "mlflow")])
def test_a_command_traces_where_it_is_asked_to(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch, option: bool, variable: str
) -> None:
    monkeypatch.setenv("MLOPS_TRACE", variable)
    with asked_for(tracker, VERSION, option), span("ask"):
        annotate(abstained=False)
    with span("after"):
        pass

    (trace,) = traces(tracker, tracker.experiment("documents"))
    (only,) = trace.data.spans
    assert only.name == "ask"
    assert (only.attributes["model"], only.attributes["version"]) == ("notes", 4)
    assert only.attributes["data_version"] == "d1"
    assert only.attributes["abstained"] is False


def test_a_command_records_nothing_unasked(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLOPS_TRACE", raising=False)
    with asked_for(tracker, VERSION, False), span("ask"):
        pass
    assert traces(tracker, tracker.experiment("documents")) == []


def test_an_unknown_tracer_is_refused_with_the_known_one(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_TRACE", "mlflw")
    with (
        pytest.raises(UsageError, match="Did you mean 'mlflow'"),
        asked_for(tracker, VERSION, True),
    ):
        pass
