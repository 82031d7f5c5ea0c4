"""Errors as JSON with a request id, and never a word of a traceback."""

import json
import logging
from http import HTTPStatus

from lifecycle.errors import MLOpsError
from services.guard.asgi import App, Headers, Message, Receive, Refused, Scope, Send, state_of

log = logging.getLogger(__name__)
_JSON = (b"content-type", b"application/json")


class JsonErrors:
    """Answers with ``{"error": {"status", "message", "remedy", "request_id"}}``.

    An error of our tree has its ``http_status``. Those below 500, and refusals, are told in full;
    the text of any other may name files or hosts of the server and stays in the log. Once a
    response has begun nothing can be said any more, so it is cut off.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except MLOpsError as error:
            failure: Exception = error
            if error.http_status >= 500 and not isinstance(error, Refused):
                log.exception("a request failed", extra=_whose(scope))
        except Exception as error:
            # The seam: whatever a route raises becomes an answer.
            failure = error
            log.exception("a request failed", extra=_whose(scope))
        else:
            return
        state_of(scope)["error"] = type(failure).__name__
        # A response that ends before its body does is cut off by the server.
        if not started:
            await send_error(scope, send, failure)


async def send_error(scope: Scope, send: Send, error: Exception) -> None:
    """The response that ``error`` stands for."""
    status, message, remedy = told(error)
    body = error_body(status, message, remedy, state_of(scope).get("request_id", ""))
    headers = error.headers if isinstance(error, Refused) else ()
    await send_json(send, status, body, headers)


def error_body(status: int, message: str, remedy: str, request_id: str) -> bytes:
    """The JSON of an error."""
    told = {"status": status, "message": message, "remedy": remedy, "request_id": request_id}
    return json.dumps({"error": told}, ensure_ascii=False).encode()


async def send_json(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """A whole response."""
    length = (b"content-length", str(len(body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [_JSON, length, *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


def told(error: Exception) -> tuple[int, str, str]:
    """Status, message and remedy for the client."""
    if isinstance(error, MLOpsError):
        if error.http_status < 500 or isinstance(error, Refused):
            return error.http_status, error.problem, error.remedy
        return error.http_status, HTTPStatus(error.http_status).phrase + ".", ""
    return 500, "the service failed.", "Tell its operator the request id."


def _whose(scope: Scope) -> dict[str, str]:
    return {"request_id": state_of(scope).get("request_id", "")}
