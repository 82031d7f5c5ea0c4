"""What a service says of itself: health, ``/v1/info``, ``/metrics``, ``/openapi.json``."""

from typing import Any

from pydantic import BaseModel

from services.context import Context
from services.http import Handler, Reply, Request, Route, reply
from services.metrics import TEXT
from services.served import Failure, Served

USERS = KNOWN = 50
_PLAIN = b"text/plain; charset=utf-8"


class Info(BaseModel):
    """``failure``: why a newer champion does not serve, null where all is well. Further fields
    are those of the kind of model: passages, users and genres, or columns."""

    name: str
    version: int
    data_version: str
    surface: str
    title: str
    bundle: str
    metrics: dict[str, Any]
    device: str
    since: str
    swaps: int
    failure: dict[str, Any] | None
    limits: dict[str, Any]


class AboutRoutes:
    """The endpoints that every service has."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def routes(self) -> list[Route]:
        def plain(path: str, handler: Handler, about: str) -> Route:
            return Route("GET", path, handler, about, gives="text/plain")

        alive = "Whether the process answers."
        return [
            Route("GET", "/v1/info", self.info, "Which model serves, and how.", answer=Info),
            plain("/healthz", self.alive, alive),
            plain("/livez", self.alive, alive),
            plain("/readyz", self.ready, "200 once the model is warm, else 503."),
            plain("/metrics", self.metrics, "Counts for Prometheus."),
        ]

    async def info(self, request: Request) -> Reply:
        served = self.context.begin(request).served
        return reply(self.facts(served) | _of_kind(served))

    def facts(self, served: Served) -> dict[str, Any]:
        holder, settings = self.context.holder, self.context.settings
        return {
            "name": served.model.name,
            "version": served.model.version,
            "data_version": served.model.data_version,
            "surface": served.surface,
            "title": served.manifest.settings.get("title") or served.manifest.use_case,
            "bundle": served.manifest.bundle_id,
            "metrics": served.manifest.metrics,
            "device": settings.device,
            "since": served.since.isoformat(timespec="seconds"),
            "swaps": holder.swaps,
            "failure": _failure(holder.failure),
            "limits": settings.limits.model_dump(),
            "records_dropped": self.context.records.dropped,
        }

    async def alive(self, request: Request) -> Reply:
        return Reply(b"ok\n", media_type=_PLAIN)

    async def ready(self, request: Request) -> Reply:
        if self.context.holder.current is None:
            return Reply(b"loading\n", 503, _PLAIN)
        return Reply(b"ready\n", media_type=_PLAIN)

    async def metrics(self, request: Request) -> Reply:
        return Reply(await self.context.run(self.context.metrics.text), media_type=TEXT)


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    version = failure.model.version if failure.model else None
    at = failure.at.isoformat(timespec="seconds")
    return {"version": version, "problem": failure.problem, "at": at}


def _of_kind(served: Served) -> dict[str, Any]:
    """What the page of this kind of model needs."""
    predictor = served.predictor
    if served.surface == "rag":
        return {"passages": len(predictor.retriever.index)}
    if served.surface == "recommend":
        genres = {one for film in predictor.catalogue.genres.values() for one in film}
        users = predictor.recommender.user_ids[:USERS]
        return {"users": list(users), "genres": sorted(genres)}
    model = predictor.model
    columns = {name: _column(name, model) for name in _offered(model.schema)}
    return {"target": model.schema.target, "columns": columns}


def _offered(schema: Any) -> list[str]:
    """Features; sensitive ones only where the model cannot do without."""
    columns = ((name, schema.columns[name]) for name in schema.features)
    return [name for name, column in columns if not (column.sensitive and column.nullable)]


def _column(name: str, model: Any) -> dict[str, Any]:
    """``known``: some values of a category that the schema leaves open."""
    column = model.schema.columns[name]
    kept = ("type", "nullable", "min", "max", "values", "description")
    known = () if column.sensitive or column.values else model.preparation.values.get(name, ())
    return {key: getattr(column, key) for key in kept} | {"known": list(known[:KNOWN])}
