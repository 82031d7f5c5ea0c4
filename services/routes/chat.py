"""The same answers in OpenAI's format, for its clients: ``/v1/chat/completions``, ``/v1/models``.

The last message is the question; what was said before is not read. Citations, confidence and
abstention stand beside OpenAI's own fields, which its clients keep.
"""

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lifecycle.errors import MLOpsError
from rag.types import Answer
from services.context import Call, Context
from services.guard.asgi import Refused
from services.guard.errors import error_body, told
from services.http import Reply, Request, Route, Stream, data, reply
from services.routes.rag import QUESTION, RagRoutes, whole
from services.streams import streamed

DONE = b"data: [DONE]\n\n"


class Part(BaseModel):
    type: str
    text: str = ""


class Message(BaseModel):
    role: str
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class Chat(BaseModel):
    """What OpenAI's clients send. Settings of a language model are not used here."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: str
    messages: list[Message] = Field(min_length=1)
    stream: bool = False
    n: int | None = Field(1, ge=1, le=1, description="one answer a request")


class Said(BaseModel):
    role: Literal["assistant"]
    content: str


class Choice(BaseModel):
    index: int
    message: Said
    finish_reason: Literal["stop"]


class Completion(BaseModel):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    citations: list[dict[str, Any]]
    confidence: float
    abstained: bool
    version: int
    data_version: str


class ModelCard(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelCard]


class ChatRoutes:
    """The endpoints of a RAG model in OpenAI's format."""

    def __init__(self, context: Context, rag: RagRoutes) -> None:
        self.context, self.rag = context, rag

    def routes(self) -> list[Route]:
        name = self.context.settings.name or "handbook"
        asked = {"model": name, "messages": [{"role": "user", "content": QUESTION}]}
        return [
            Route(
                "POST",
                "/v1/chat/completions",
                self.chat,
                "The answer as OpenAI's chat completions, streamed with stream: true.",
                Chat,
                Completion,
                {"question": asked, "stream": asked | {"stream": True}},
            ),
            Route("GET", "/v1/models", self.models, "The served model.", answer=ModelList),
        ]

    async def models(self, request: Request) -> Reply:
        served = self.context.begin(request).served
        card = {
            "id": served.model.name,
            "object": "model",
            "created": int(served.since.timestamp()),
            "owned_by": "mlops",
        }
        return reply({"object": "list", "data": [card]})

    async def chat(self, request: Request) -> Reply | Stream:
        body = await request.read(Chat)
        call = self.context.begin(request)
        name = call.served.model.name
        if body.model != name:
            raise Refused(404, f"this service has no model {body.model[:80]!r}.", f"Use {name!r}.")
        question = body.messages[-1].text
        make = self.rag.asking(call, question, None, {})
        if body.stream:
            return Stream(self._chunks(call, question, make))
        answer = await whole(self.context, make)
        return reply(_completion(call, self.rag.finished(call, question, answer)))

    async def _chunks(
        self, call: Call, question: str, make: Callable[[], Iterator[str | Answer]]
    ) -> AsyncGenerator[bytes, None]:
        async with aclosing(streamed(self.context.executor, make)) as items:
            try:
                yield data(_chunk(call, {"role": "assistant", "content": ""}))
                async for item in items:
                    if isinstance(item, Answer):
                        found = self.rag.finished(call, question, item)
                        yield data(_chunk(call, {}, "stop") | _beside(call, found))
                    else:
                        yield data(_chunk(call, {"content": item}))
                yield DONE
            except MLOpsError as error:
                yield b"data: %b\n\n" % error_body(*told(error), call.request.id)


def _completion(call: Call, found: dict[str, Any]) -> dict[str, Any]:
    said = {"role": "assistant", "content": found["answer"]}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    return _head(call, "chat.completion") | {"choices": [choice]} | _beside(call, found)


def _chunk(call: Call, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _head(call, "chat.completion.chunk") | {"choices": [choice]}


def _head(call: Call, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{call.request.id}",
        "object": kind,
        "created": int(time.time()),
        "model": call.served.model.name,
    }


def _beside(call: Call, found: dict[str, Any]) -> dict[str, Any]:
    model = call.served.model
    return {
        "citations": found["citations"],
        "confidence": found["confidence"],
        "abstained": found["abstained"],
        "version": model.version,
        "data_version": model.data_version,
    }
