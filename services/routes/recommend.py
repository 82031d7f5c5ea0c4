"""What somebody may like: ``/v1/recommend``. It takes about a millisecond, so it runs at once."""

import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.context import Context, Signed
from services.guard.asgi import Refused
from services.http import Body, Reply, Request, Route, reply

LONGEST = 1_000
LAST = 20


class Wish(Body):
    """By ``user_id``, or by a ``history`` of ids, the oldest first; else the rule answers."""

    user_id: str = Field("", max_length=200)
    history: list[str] = Field([], max_length=LONGEST)
    k: int = Field(10, ge=1)
    exclude: list[str] = Field([], max_length=LONGEST)
    genres: list[str] = Field([], max_length=100, description="only items with one of these")


class Film(BaseModel):
    film_id: str
    title: str
    year: int | None
    genres: list[str]


class Item(Film):
    """``reason``: such as ``similar to The Last Road`` or ``popular``."""

    model_config = ConfigDict(extra="allow")

    score: float | None


class Recommended(Signed):
    items: list[Item]


class Seen(Signed):
    """The last one first."""

    items: list[Film]


class RecommendRoutes:
    """The endpoint of a recommender."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def routes(self) -> list[Route]:
        examples = {
            "user": {"user_id": "1", "k": 5},
            "history": {"history": ["1", "2"], "k": 5, "exclude": ["3"]},
            "stranger": {"k": 5},
        }
        return [
            Route(
                "POST",
                "/v1/recommend",
                self.recommend,
                "The best items for a user, or for a history, with reasons.",
                Wish,
                Recommended,
                examples,
            ),
            Route(
                "GET",
                "/v1/seen",
                self.seen,
                "What a user of the training data had to do with last.",
                answer=Seen,
                query={"user_id": "as /v1/recommend takes it"},
            ),
        ]

    async def recommend(self, request: Request) -> Reply:
        wish = await request.read(Wish)
        limit = self.context.settings.limits.k
        if wish.k > limit:
            raise Refused(422, f"k={wish.k} is more than {limit}.", "Ask for fewer items.")
        call = self.context.begin(request)
        began = time.perf_counter()
        items: list[dict[str, Any]] = call.served.predictor.recommend(
            wish.user_id, wish.history, wish.k, wish.exclude, wish.genres
        )
        call.stage("recommend", began)
        call.record(wish.model_dump(), [item["film_id"] for item in items])
        return reply({"items": items} | call.signed())

    async def seen(self, request: Request) -> Reply:
        call = self.context.begin(request)
        user = request.query("user_id")
        items = call.served.predictor.seen(user, LAST)
        if not items:
            raise Refused(404, f"there is no user {user[:200]!r}.", "Strangers get the rule.")
        return reply({"items": items} | call.signed())
