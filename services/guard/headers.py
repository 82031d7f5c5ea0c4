"""What browsers are told, and what other web pages may do: nothing, unless they are named."""

from collections.abc import Iterable

from services.guard.asgi import App, Headers, Message, Receive, Refused, Scope, Send, header

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY: Headers = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_PREFLIGHT: Headers = (
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type, x-api-key, x-request-id"),
    (b"access-control-max-age", b"600"),
)
_EXPOSED = (b"access-control-expose-headers", b"x-request-id, retry-after")


class SecurityHeaders:
    """Puts the same headers on every response."""

    def __init__(self, app: App, headers: Headers = SECURITY) -> None:
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self.headers]
            await send(message)

        await self.app(scope, receive, secured)


class Hosts:
    """403 for a Host that is none of ours.

    A service on the loopback that asks for no key can otherwise be reached by any web page whose
    name is made to resolve to 127.0.0.1 (DNS rebinding).
    """

    def __init__(self, app: App, names: Iterable[str] = LOOPBACK) -> None:
        self.app, self.names = app, frozenset(name.encode() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = header(scope, b"host")
        if _without_port(host.lower()) not in self.names:
            raise Refused(
                403,
                f"this service does not answer for the host {_shown(host)}.",
                "Use 127.0.0.1 or localhost, or serve with API keys.",
            )
        await self.app(scope, receive, send)


class Origins:
    """Requests from web pages of other origins: 403, except for ``allowed`` ones (CORS).

    Without CORS a browser hides only the response from a foreign page; the request it sends all
    the same. An allowed origin's preflight is answered here, before keys are asked for.
    """

    def __init__(self, app: App, allowed: Iterable[str] = ()) -> None:
        """``allowed``: origins as ``https://example.org``, or ``*`` for all."""
        self.app, self.allowed = app, frozenset(origin.encode() for origin in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = header(scope, b"origin")
        if not origin or _same(scope, origin):
            return await self.app(scope, receive, send)
        if origin not in self.allowed and b"*" not in self.allowed:
            raise Refused(
                403,
                f"pages of {_shown(origin)} may not call this service.",
                "Its operator can allow an origin.",
            )
        shared: Headers = ((b"access-control-allow-origin", origin), (b"vary", b"origin"))
        if scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method"):
            return await _answer_preflight(send, shared)

        async def opened(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *shared, _EXPOSED]
            await send(message)

        await self.app(scope, receive, opened)


async def _answer_preflight(send: Send, shared: Headers) -> None:
    headers = [*shared, *_PREFLIGHT]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _same(scope: Scope, origin: bytes) -> bool:
    # A proxy that ends TLS leaves http in the scope: only the host is compared.
    return origin.partition(b"://")[2] == header(scope, b"host")


def _without_port(host: bytes) -> bytes:
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host


def _shown(value: bytes) -> str:
    return repr(value[:100].decode("ascii", "replace"))
