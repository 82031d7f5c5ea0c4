"""The model that answers now, and how another takes its place while requests run.

A new champion is loaded beside the one that serves, answers a warm-up, and only then takes over.
Whoever began with the old one finishes with it; it is freed when the last of them has. One that
cannot be loaded or warmed leaves the old one serving.
"""

import ctypes
import gc
import logging
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from lifecycle.bundle import Manifest
from lifecycle.errors import MLOpsError
from services.guard.asgi import Refused
from services.surfaces import Surface, surface_of, warm_up

RETRY_S = 60.0
log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Model:
    """Which model: ``version`` 0 is a bundle outside of a registry."""

    name: str
    version: int
    data_version: str = ""

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


@dataclass(frozen=True)
class Served:
    """A model that is warm."""

    model: Model
    predictor: Any
    surface: Surface
    manifest: Manifest
    since: datetime = field(default_factory=_now)


@dataclass(frozen=True)
class Failure:
    """Why ``model`` does not serve."""

    model: Model | None
    problem: str
    at: datetime = field(default_factory=_now)


class Origin(Protocol):
    """Where models come from; see ``services.origins``."""

    def wanted(self) -> Model | None:
        """The model that should serve; None where there is none now. Raises MLOpsError."""

    def load(self, model: Model) -> Any:
        """Its predictor."""


def give_back_memory() -> None:
    """Hand freed memory to the system: glibc keeps it, for every thread that loaded a model."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Holder:
    """Holds the served model. ``current`` may be read from anywhere; keep what it gives for the
    length of a request."""

    def __init__(self, origin: Origin, watch_s: float = 2.0, retry_s: float = RETRY_S) -> None:
        self.origin = origin
        self.current: Served | None = None
        self.failure: Failure | None = None
        self.swaps = 0
        self._watch_s, self._retry_s = watch_s, retry_s
        self._retry_at = 0.0
        self._stopped, self._outdated = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="champion", daemon=True)
        self._leaving: list[weakref.ref[Any]] = []

    def start(self) -> None:
        """Watch, in a thread; load, where nothing is loaded yet."""
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._outdated.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def serving(self) -> Served:
        """What serves now. Raises Refused, 503, while nothing does."""
        if self.current is None:
            why = self.failure.problem if self.failure else "it is being loaded."
            after = ((b"retry-after", b"2"),)
            raise Refused(503, f"no model serves yet: {why}", "Try again.", after)
        return self.current

    def check(self) -> bool:
        """Let the wanted model take over if it does not serve already; whether one did."""
        self._collect()
        try:
            wanted = self.origin.wanted()
        except MLOpsError as error:
            self._failed(None, str(error))
            return False
        if wanted is None:
            self._failed(None, "no version is the champion.")
            return False
        if self.current is not None and wanted == self.current.model:
            self.failure = None
            return False
        return self._may_try(wanted) and self._take(wanted)

    def _may_try(self, wanted: Model) -> bool:
        failed = self.failure.model if self.failure else None
        return failed != wanted or time.monotonic() >= self._retry_at

    def _take(self, wanted: Model) -> bool:
        # Whatever a library raises over a damaged file is held by the future.
        with ThreadPoolExecutor(1, thread_name_prefix="load") as pool:
            loading = pool.submit(self._load, wanted)
            error = loading.exception()
        if error is not None:
            self._failed(wanted, str(error) or type(error).__name__)
            self._retry_at = time.monotonic() + self._retry_s
            return False
        before, self.current, self.failure = self.current, loading.result(), None
        if before is not None:
            self.swaps += 1
            self._leaving.append(weakref.ref(before.predictor))
        log.info("%s serves", wanted)
        self._prepare(self.current.predictor)
        return True

    def _prepare(self, predictor: Any) -> None:
        """Let a model that can get ready for what may be asked do so, until another serves."""
        self._outdated.set()
        self._outdated = threading.Event()
        if hasattr(predictor, "prepare"):
            work = predictor.prepare
            threading.Thread(
                target=work, args=(self._outdated,), name="prepare", daemon=True
            ).start()

    def _load(self, wanted: Model) -> Served:
        predictor = self.origin.load(wanted)
        manifest = predictor.bundle.manifest
        served = Served(wanted, predictor, surface_of(manifest), manifest)
        if self.current is not None and served.surface != self.current.surface:
            raise MLOpsError(
                f"{wanted} has the endpoints of {served.surface}, this service those of "
                f"{self.current.surface}.",
                "Serve it as a service of its own.",
            )
        warm_up(served.surface, predictor)
        return served

    def _failed(self, model: Model | None, problem: str) -> None:
        if self.failure is None or (self.failure.model, self.failure.problem) != (model, problem):
            log.error("%s does not serve: %s", model or "the champion", problem)
        self.failure = Failure(model, problem)

    def _collect(self) -> None:
        """Free models that left: they may hold themselves in circles, which the collector opens."""
        if not self._leaving:
            return
        if any(left() is not None for left in self._leaving):
            gc.collect()
        self._leaving = [left for left in self._leaving if left() is not None]
        give_back_memory()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            self.check()
            self._stopped.wait(self._watch_s)
