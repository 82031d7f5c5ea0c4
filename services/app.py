"""The ASGI application of a service: a table of paths, behind the guard, counted.

It is plain ASGI: a framework would cost several times what most models here take to answer.
"""

import time

from services.context import Context
from services.guard.asgi import App, Message, Receive, Refused, Scope, Send, state_of
from services.guard.chain import Guard, guarded
from services.http import Handler, Reply, Request, Route, reply
from services.openapi import describe
from services.pages import Pages
from services.routes.about import AboutRoutes
from services.routes.feedback import FeedbackRoutes
from services.surfaces import Surface


def build(context: Context, guard: Guard) -> App:
    """The application. Its endpoints depend on the kind of the model that serves, so those of a
    model are found with the first request that finds one."""
    return Counted(guarded(Router(context), guard), context)


class Router:
    """Finds the endpoint of a path: 404 for another, 405 for another method."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._pages = Pages()
        self._surface: Surface | None = None
        self._table = _table(self._common())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return None
        if self._surface is None:
            self._learn()
        handler = self._find(scope["path"], scope["method"])
        state_of(scope)["endpoint"] = scope["path"]
        answer = await handler(Request(scope, receive))
        await answer.send(send)

    def _find(self, path: str, method: str) -> Handler:
        methods = self._table.get(path)
        if methods is None:
            page = self._pages.find(path, self._surface)
            if page is None:
                self.context.holder.serving()
                raise Refused(404, f"there is nothing at {path[:200]!r}.", "See /docs.")
            methods = {"GET": _always(page)}
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            allowed = ", ".join(sorted(methods))
            headers = ((b"allow", allowed.encode()),)
            raise Refused(
                405, f"{path[:200]!r} does not take {method}.", f"Use {allowed}.", headers
            )
        return handler

    def _learn(self) -> None:
        served = self.context.holder.current
        if served is not None:
            self._table = _table([*self._common(), *own_routes(served.surface, self.context)])
            self._surface = served.surface

    def _common(self) -> list[Route]:
        document = Route("GET", "/openapi.json", self._openapi, "This description.")
        return [
            *AboutRoutes(self.context).routes(),
            *FeedbackRoutes(self.context).routes(),
            document,
        ]

    async def _openapi(self, request: Request) -> Reply:
        served = self.context.holder.serving()
        routes = [*self._common(), *own_routes(served.surface, self.context)]
        return reply(describe(routes, self.context.settings))


class Counted:
    """Counts every request and its time, those that the guard refused as well."""

    def __init__(self, app: App, context: Context) -> None:
        self.app, self.metrics = app, context.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, status = time.perf_counter(), 499

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            state = scope.get("state", {})
            endpoint, model = state.get("endpoint", "other"), state.get("served")
            self.metrics.request(endpoint, status, time.perf_counter() - began, model)


def own_routes(surface: Surface, context: Context) -> list[Route]:
    """The endpoints of a kind of model; only its own package is imported."""
    if surface == "rag":
        from services.routes.chat import ChatRoutes
        from services.routes.rag import RagRoutes

        rag = RagRoutes(context)
        return [*rag.routes(), *ChatRoutes(context, rag).routes()]
    if surface == "recommend":
        from services.routes.recommend import RecommendRoutes

        return RecommendRoutes(context).routes()
    from services.routes.tabular import TabularRoutes

    return TabularRoutes(context).routes()


def _table(routes: list[Route]) -> dict[str, dict[str, Handler]]:
    table: dict[str, dict[str, Handler]] = {}
    for route in routes:
        table.setdefault(route.path, {})[route.method] = route.handler
    return table


def _always(page: Reply) -> Handler:
    async def handler(_: Request) -> Reply:
        return page

    return handler
