"""The order in which a request meets the middlewares."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lifecycle.keys import KeyRing
from services.guard.asgi import App, Receive, Scope, Send
from services.guard.body import BodyLimit
from services.guard.concurrency import Concurrency, Places
from services.guard.deadline import Deadline
from services.guard.errors import JsonErrors
from services.guard.headers import Hosts, Origins, SecurityHeaders
from services.guard.keys import SCOPES, ApiKeys
from services.guard.logs import AccessLog, JsonLines
from services.guard.rate import RateLimit, Rates
from services.guard.request_id import RequestId

# Answered however busy the service is: probes and what watches it.
FREE = frozenset({"/healthz", "/livez", "/readyz", "/metrics"})


@dataclass(frozen=True)
class Guard:
    """What a service lets through. One object for the process: its counters are shared."""

    places: Places = field(default_factory=lambda: Places(64, 256))
    """Requests at once, and how many more wait."""
    keys: KeyRing | None = None
    """None: nobody is asked for a key."""
    scopes: Mapping[str, str] = field(default_factory=lambda: SCOPES)
    per_minute: float = 0
    """Requests a minute for each key or address, and as many at once; 0: any number."""
    body_bytes: int = 1024 * 1024
    body_seconds: float = 10
    """For a body to arrive."""
    seconds: float = 30
    """For all the rest of a request, waiting for a place and sending the response included."""
    origins: tuple[str, ...] = ()
    """Other origins whose pages may call the service; ``*``: all."""
    hosts: tuple[str, ...] = ()
    """Names that the service answers for; none: all."""
    log: JsonLines | None = None
    """Where access lines go; None: nowhere."""


def guarded(app: App, guard: Guard) -> App:
    """``app`` behind everything that ``guard`` asks for; HTTP alone gets through.

    What is cheap and needs no body refuses first; a place is held only while the answer is made.
    """
    chain: App = Concurrency(app, guard.places, FREE)
    chain = BodyLimit(chain, guard.body_bytes)
    chain = Deadline(chain, guard.seconds, guard.body_seconds)
    if guard.per_minute:
        chain = RateLimit(chain, Rates(guard.per_minute / 60, guard.per_minute), FREE)
    if guard.keys is not None:
        chain = ApiKeys(chain, guard.keys, guard.scopes)
    chain = Origins(chain, guard.origins)
    if guard.hosts:
        chain = Hosts(chain, guard.hosts)
    chain = SecurityHeaders(JsonErrors(chain))
    if guard.log is not None:
        chain = AccessLog(chain, guard.log)
    return HttpAlone(app, RequestId(chain))


class HttpAlone:
    """Hands requests to ``chain``, start and stop to ``app``, and refuses WebSockets."""

    def __init__(self, app: App, chain: App) -> None:
        self.app, self.chain = app, chain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.chain(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})
