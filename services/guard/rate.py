"""So many requests a minute for each client, and no more."""

import ipaddress
import math
import time
from collections.abc import Callable
from functools import lru_cache

from services.guard.asgi import App, Receive, Refused, Scope, Send, state_of

_REST = "(all others)"
SWEEP_EVERY_S = 1.0


class Rates:
    """At most ``burst`` + ``per_second`` · t requests of one client in any t seconds.

    The generic cell rate algorithm (ITU-T I.371): one number a client, the time at which what it
    has used up will have come back. At most ``most`` clients are remembered; those beyond them
    share one allowance, so that a flood of addresses takes no memory and gains nothing.
    """

    def __init__(
        self,
        per_second: float,
        burst: float,
        *,
        most: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = 1 / per_second
        self._ahead = (max(burst, 1) - 1) / per_second
        self._most, self._clock = most, clock
        self._full: dict[str, float] = {}
        self._swept = -SWEEP_EVERY_S

    def __len__(self) -> int:
        return len(self._full)

    def wait(self, client: str) -> float:
        """0 and one request used up; or the seconds until the next would be let through."""
        now = self._clock()
        if client not in self._full and len(self._full) >= self._most:
            client = self._room(client, now)
        due = max(self._full.get(client, now), now)
        if due - now > self._ahead:
            return due - now - self._ahead
        self._full[client] = due + self._interval
        return 0.0

    def _room(self, client: str, now: float) -> str:
        """``client`` if others whose allowance is whole could be forgotten, else the rest's."""
        if now - self._swept >= SWEEP_EVERY_S:
            self._swept = now
            self._full = {name: due for name, due in self._full.items() if due > now}
        return client if len(self._full) < self._most else _REST


class RateLimit:
    """429 with Retry-After beyond a client's rate: by key, or by address without keys.

    Each worker process counts for itself.
    """

    def __init__(self, app: App, rates: Rates, free: frozenset[str] = frozenset()) -> None:
        """``free``: paths that are not counted."""
        self.app, self.rates, self.free = app, rates, free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in self.free:
            state = state_of(scope)
            client = state.get("client") or _address(scope)
            if seconds := self.rates.wait(client):
                after = str(math.ceil(seconds)).encode()
                raise Refused(
                    429,
                    "too many requests.",
                    f"Try again in {after.decode()} s.",
                    ((b"retry-after", after),),
                )
        await self.app(scope, receive, send)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return _network(client[0]) if client else ""


@lru_cache(maxsize=4096)
def _network(host: str) -> str:
    """An address as one client: of IPv6 the first 64 bits, because one host has all the rest."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
