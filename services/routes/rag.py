"""Questions and passages: ``/v1/ask``, ``/v1/search``, ``/v1/document``."""

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel, Field

from lifecycle.errors import MLOpsError
from rag.predictor import as_json
from rag.types import Answer, Passage
from services.context import Call, Context, Signed
from services.guard.asgi import Refused
from services.http import Body, Reply, Request, Route, Stream, broken_off, event, reply
from services.streams import streamed

Filter = dict[str, str | int | list[str | int]]
QUESTION = "How do I roll back a model?"
_FILTERS: Filter = Field(
    {}, description="uri, title, heading, suffix, page; see docs/rag-tuning.md"
)
_QUESTION: str = Field(min_length=1, json_schema_extra={"pattern": r"\S"})


class Ask(Body):
    question: str = _QUESTION
    k: int | None = Field(None, ge=1, description="passages to retrieve")
    filters: Filter = _FILTERS
    stream: bool = Field(False, description="server-sent events: token…, then answer")


class Search(Body):
    question: str = _QUESTION
    k: int | None = Field(None, ge=1)
    filters: Filter = _FILTERS


class Cited(BaseModel):
    number: int
    source: str
    line_start: int
    line_end: int
    page: int | None
    heading: str
    passage: str


class Answered(Signed):
    question: str
    answer: str
    confidence: float = Field(ge=0, le=1)
    abstained: bool
    citations: list[Cited]


class Found(BaseModel):
    rank: int
    score: float
    similarity: float | None
    source: str
    title: str
    heading: str
    line_start: int
    line_end: int
    page: int | None
    passage: str


class Passages(Signed):
    passages: list[Found]


class Text(Signed):
    source: str
    title: str
    text: str


class RagRoutes:
    """The endpoints of a RAG model."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def routes(self) -> list[Route]:
        asked = {"question": {"question": QUESTION}}
        return [
            Route(
                "POST",
                "/v1/ask",
                self.ask,
                "An answer with citations; as server-sent events with stream: true.",
                Ask,
                Answered,
                asked | {"stream": {"question": QUESTION, "stream": True}},
            ),
            Route(
                "POST",
                "/v1/search",
                self.search,
                "The passages alone.",
                Search,
                Passages,
                asked | {"filtered": {"question": QUESTION, "k": 3, "filters": {"suffix": "md"}}},
            ),
            Route(
                "GET",
                "/v1/document",
                self.document,
                "The text that citations of a source point into.",
                answer=Text,
                query={"source": "as a citation names it"},
            ),
        ]

    async def ask(self, request: Request) -> Reply | Stream:
        body = await request.read(Ask)
        call = self.context.begin(request)
        make = self.asking(call, body.question, body.k, body.filters)
        if body.stream:
            return Stream(self._events(call, body, make))
        answer = await whole(self.context, make)
        return reply(self.finished(call, body.question, answer) | call.signed())

    def asking(
        self, call: Call, question: str, k: int | None, filters: Filter
    ) -> Callable[[], Iterator[str | Answer]]:
        """What answers ``question`` in a thread. Raises Refused for what is over a limit."""
        self._check(question, k)

        def events() -> Iterator[str | Answer]:
            began = time.perf_counter()
            stream = call.served.predictor.ask(question, k, filters)
            began = call.stage("retrieve", began)
            for item in stream:
                if isinstance(item, Answer):
                    call.stage("generate", began)
                yield item

        return events

    def finished(self, call: Call, question: str, answer: Answer) -> dict[str, Any]:
        """The answer as JSON, counted and recorded."""
        found = as_json(question, answer)
        self.context.metrics.answered(answer.confidence, answer.abstained, call.served.model)
        texts = self.context.settings.log_texts
        features = {"question": question} if texts else {"characters": len(question)}
        sources = [citation.chunk.uri for citation in answer.citations]
        output = {"sources": sources} | ({"answer": answer.text} if texts else {})
        call.record(features, output, confidence=answer.confidence, abstained=answer.abstained)
        return found

    async def search(self, request: Request) -> Reply:
        body = await request.read(Search)
        self._check(body.question, body.k)
        call = self.context.begin(request)
        predictor = call.served.predictor

        def work() -> list[Passage]:
            began = time.perf_counter()
            found: list[Passage] = predictor.search(body.question, body.k, body.filters)
            call.stage("retrieve", began)
            return found

        passages = await self.context.run(work)
        return reply({"passages": [passage_json(one) for one in passages]} | call.signed())

    async def document(self, request: Request) -> Reply:
        source = request.query("source")
        call = self.context.begin(request)
        document = await self.context.run(lambda: _document(call, source))
        found = {"source": document.uri, "title": document.title, "text": document.text}
        return reply(found | call.signed())

    async def _events(
        self, call: Call, body: Ask, make: Callable[[], Iterator[str | Answer]]
    ) -> AsyncGenerator[bytes, None]:
        async with aclosing(streamed(self.context.executor, make)) as items:
            try:
                async for item in items:
                    if isinstance(item, Answer):
                        found = self.finished(call, body.question, item)
                        yield event("answer", found | call.signed())
                    else:
                        yield event("token", {"text": item})
            except MLOpsError as error:
                yield broken_off(error, call.request.id)

    def _check(self, question: str, k: int | None) -> None:
        limits = self.context.settings.limits
        if len(question) > limits.question_chars:
            raise Refused(
                422,
                f"the question has {len(question)} characters, more than {limits.question_chars}.",
                "Ask a shorter one.",
            )
        if k is not None and k > limits.k:
            raise Refused(422, f"k={k} is more than {limits.k}.", "Ask for fewer passages.")


async def whole(context: Context, make: Callable[[], Iterator[str | Answer]]) -> Answer:
    """The answer at the end of the stream; the model stops when nobody waits any more."""
    async with aclosing(streamed(context.executor, make)) as items:
        async for item in items:
            if isinstance(item, Answer):
                return item
    raise AssertionError("a generator ends with its Answer")


def passage_json(passage: Passage) -> dict[str, Any]:
    chunk = passage.chunk
    return {
        "rank": passage.rank,
        "score": passage.score,
        "similarity": passage.similarity,
        "source": chunk.uri,
        "title": chunk.title,
        "heading": chunk.heading,
        "line_start": chunk.line_start,
        "line_end": chunk.line_end,
        "page": chunk.page,
        "passage": chunk.text,
    }


def _document(call: Call, source: str) -> Any:
    index = call.served.predictor.retriever.index
    doc_id = _id_of(index.table, source)
    if doc_id is None:
        raise Refused(
            404,
            f"there is no document {source[:200]!r}.",
            "Name one as a citation does: /v1/document?source=docs/gates.md.",
        )
    return index.document(doc_id)


def _id_of(table: Any, source: str) -> str | None:
    import pyarrow.compute as pc

    at = pc.index(table["uri"], source).as_py()
    return None if at < 0 else str(table["doc_id"][at].as_py())
