"""API keys at the door: 401 without a valid one, 403 where its scopes do not reach."""

from collections.abc import Mapping

from lifecycle.keys import KeyRing
from services.guard.asgi import App, Headers, Receive, Refused, Scope, Send, state_of

_CHALLENGE: Headers = ((b"www-authenticate", b"Bearer"),)
OPEN = ""
# Everything that is not named needs `predict`. A browser has no key before it has a page to ask for
# it; pages tell nothing of the model.
PAGES = "/page/"
SCOPES: Mapping[str, str] = {
    "/": OPEN,
    "/docs": OPEN,
    "/healthz": OPEN,
    "/livez": OPEN,
    "/readyz": OPEN,
    "/v1/feedback": "feedback",
    "/metrics": "admin",
}


class ApiKeys:
    """Lets a request through with a key whose scopes hold what its path needs.

    ``scopes``: scope by path, OPEN for no key. The key is taken from ``Authorization: Bearer`` or
    ``X-API-Key``; its name is the request's ``client`` from then on.
    """

    def __init__(self, app: App, ring: KeyRing, scopes: Mapping[str, str] = SCOPES) -> None:
        self.app, self.ring, self.scopes = app, ring, scopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if needed := self._needed(scope["path"]):
            key = self.ring.find(_secret(scope))
            if key is None:
                raise Refused(
                    401,
                    "this needs a valid API key.",
                    "Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
                    _CHALLENGE,
                )
            if needed not in key.scopes:
                raise Refused(403, f"this API key may not do this: it lacks the scope {needed!r}.")
            state_of(scope)["client"] = key.name
        await self.app(scope, receive, send)

    def _needed(self, path: str) -> str:
        return self.scopes.get(path, OPEN if path.startswith(PAGES) else "predict")


def _secret(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            return bytes(value)
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return bytes(value[7:].strip())
    return b""
