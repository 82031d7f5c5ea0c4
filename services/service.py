"""The BentoML service: ``bentoml serve services.service:Models``.

BentoML keeps the processes, the socket and the signals. HTTP goes straight to our application:
BentoML's own middlewares (tracing, a task for a timeout, a context) would take ten times as long as
a small model.
"""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import bentoml
from bentoml import Service

from lifecycle.keys import key_ring
from lifecycle.otel_spans import otlp_tracer
from lifecycle.requests import RequestLog
from lifecycle.tracing import install
from services.app import build
from services.context import Context
from services.guard.asgi import Receive, Scope, Send
from services.guard.chain import Guard
from services.guard.concurrency import Places
from services.guard.logs import JsonLines, log_as_json
from services.metrics import Metrics
from services.origins import origin_of
from services.packaged import admit, translated
from services.served import Holder
from services.settings import ServiceSettings, from_environment
from services.workers import gpu_of

SETTINGS = from_environment()


class Mounted:
    """The application, made by the worker: importing this module must not load a model."""

    app: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


MOUNTED = Mounted()


class Direct(Service[Any]):  # type: ignore[misc]
    """A BentoML service whose HTTP requests go to the mounted application at once."""

    def to_asgi(self, is_main: bool = True) -> Any:
        inner = super().to_asgi(is_main)

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            await (MOUNTED if scope["type"] == "http" else inner)(scope, receive, send)

        return front


@bentoml.service(
    name="models",
    service_class=Direct,
    workers=SETTINGS.workers,
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
@bentoml.asgi_app(MOUNTED)
class Models:
    """Serves one model; see ``services.served``."""

    def __init__(self) -> None:
        settings = SETTINGS
        gpu = gpu_of(settings.gpus, bentoml.server_context.worker_index or 1)
        if gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        lines = JsonLines(with_text=settings.log_texts)
        log_as_json(lines)
        # The guard writes these lines; without a handler uvicorn does not even make them.
        logging.getLogger("uvicorn.access").propagate = False
        self._lines = lines
        install(otlp_tracer(settings.name or "models", with_text=settings.log_texts))
        self._records = RequestLog(settings.folders().requests)
        self._places = Places(settings.limits.concurrency, settings.limits.queue)
        self._executor = ThreadPoolExecutor(settings.threads + settings.waiting, "model")
        self._holder = Holder(origin_of(settings, settings.device), settings.watch_s)
        context = Context(settings, self._holder, self._executor, Metrics(), self._records)
        MOUNTED.app = build(context, self._guard(settings, lines))
        # Before the worker takes connections: another one may be warm. What fails is tried again.
        self._holder.check()
        self._holder.start()

    def _guard(self, settings: ServiceSettings, lines: JsonLines) -> Guard:
        limits = settings.limits
        asks = settings.keys and not settings.insecure
        return Guard(
            places=self._places,
            keys=key_ring(settings.folders()) if asks else None,
            per_minute=settings.rate,
            body_bytes=limits.body_bytes,
            body_seconds=limits.body_seconds,
            seconds=limits.seconds,
            origins=settings.origins,
            hosts=settings.hosts,
            log=lines,
        )

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    def check() -> None:
        """Before any worker starts. `run.py serve` has checked; a Bento checks itself here."""
        if SETTINGS.bundle:
            with translated():
                admit(SETTINGS)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def close(self) -> None:
        self._holder.stop()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._records.close()
        self._lines.close()
