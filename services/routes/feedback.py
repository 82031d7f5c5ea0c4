"""What people say of an answer: ``/v1/feedback``."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.context import Context
from services.http import Body, Reply, Request, Route, reply

Label = str | int | float | bool | None
_RATINGS = {"up": 1.0, "down": 0.0}


class Feedback(Body):
    """About the answer to the request ``request_id``; at least one of the others is given."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "anyOf": [
                {"required": [name], "properties": {name: {"not": {"type": "null"}}}}
                for name in ("rating", "correction", "label")
            ]
        },
    )

    request_id: str = Field(min_length=1, max_length=128)
    rating: Literal["up", "down"] | None = None
    correction: str | None = Field(None, min_length=1, max_length=4_000)
    label: Label = Field(None, description="what turned out to be true")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.rating is None and self.correction is None and self.label is None:
            raise ValueError("give a rating, a correction or a label")
        return self


class Kept(BaseModel):
    kept: bool = Field(description="false where the log is full or off")
    request_id: str


class FeedbackRoutes:
    """The endpoint for feedback; its text is kept whole, as people wrote it to be read."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def routes(self) -> list[Route]:
        given = {"request_id": "5f0c…", "rating": "down", "correction": "run.py rollback NAME"}
        return [
            Route(
                "POST",
                "/v1/feedback",
                self.feedback,
                "A rating, a correction or the true label of an earlier answer.",
                Feedback,
                Kept,
                {"rating": given, "label": {"request_id": "5f0c…", "label": 1}},
            )
        ]

    async def feedback(self, request: Request) -> Reply:
        given = await request.read(Feedback)
        served = self.context.holder.current
        model: dict[str, Any] = {}
        if served is not None:
            one = served.model
            model = {
                "model": one.name,
                "version": one.version,
                "data_version": one.data_version,
            }
        kept = self.context.keep(
            {
                **model,
                "request_id": given.request_id,
                "kind": "feedback",
                "endpoint": "/v1/feedback",
                "status": 200,
                "rating": _RATINGS[given.rating] if given.rating else None,
                "correction": given.correction,
                "label": given.label,
            }
        )
        return reply({"kept": kept, "request_id": given.request_id})
