"""What every endpoint works with."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from services.guard.asgi import state_of
from services.http import Request
from services.metrics import Metrics
from services.served import Holder, Served
from services.settings import ServiceSettings

T = TypeVar("T")


class Records(Protocol):
    """Where predictions and feedback are kept; see ``lifecycle.requests.RequestLog``."""

    @property
    def dropped(self) -> int: ...

    def append(self, record: Mapping[str, Any]) -> bool: ...


class Signed(BaseModel):
    """Which model answered which request."""

    model: str
    version: int
    data_version: str
    request_id: str


@dataclass(frozen=True)
class Context:
    """``executor`` runs what takes longer than a thread costs."""

    settings: ServiceSettings
    holder: Holder
    executor: Executor
    metrics: Metrics
    records: Records

    def begin(self, request: Request) -> "Call":
        """The model that answers this request. Raises Refused while none serves."""
        served = self.holder.serving()
        state = state_of(request.scope)
        state["model"], state["version"] = served.model.name, served.model.version
        state["served"] = served.model
        return Call(self, request, served)

    def keep(self, record: Mapping[str, Any]) -> bool:
        """Append a row to the request log; whether there was a place for it."""
        kept = self.records.append(record)
        if not kept:
            self.metrics.dropped()
        return kept

    async def run(self, work: Callable[[], T]) -> T:
        """``work`` in a thread, with the context variables of the caller."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, copy_context().run, work)


class Call:
    """One request to one model: its times and its record."""

    __slots__ = ("began", "context", "request", "served")

    def __init__(self, context: Context, request: Request, served: Served) -> None:
        self.context, self.request, self.served = context, request, served
        self.began = time.perf_counter()

    def stage(self, name: str, began: float) -> float:
        """Note a stage that began at ``began`` and ends now; returns now."""
        now = time.perf_counter()
        self.context.metrics.stage(name, now - began, self.served.model)
        return now

    def signed(self) -> dict[str, Any]:
        """Which model answered which request."""
        model = self.served.model
        return {
            "model": model.name,
            "version": model.version,
            "data_version": model.data_version,
            "request_id": self.request.id,
        }

    def record(self, features: Any, output: Any, **facts: Any) -> None:
        """Append the prediction to the request log."""
        self.context.keep(
            {
                **self.signed(),
                "kind": "predict",
                "endpoint": self.request.scope["path"],
                "latency_ms": (time.perf_counter() - self.began) * 1000,
                "status": 200,
                "features": features,
                "output": output,
                **facts,
            }
        )
