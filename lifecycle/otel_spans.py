"""Spans to an OpenTelemetry collector: OTLP over HTTP, in its JSON encoding.

Configured by OpenTelemetry's own variables: ``OTEL_EXPORTER_OTLP_ENDPOINT`` (``/v1/traces`` is
added), or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` as it is, ``OTEL_EXPORTER_OTLP_HEADERS`` and
``OTEL_SERVICE_NAME``. Spans leave in batches from a thread of their own; a collector that is slow
or down costs spans, which are counted, and never a request.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import json
import logging
import os
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from lifecycle.background import Background
from lifecycle.errors import ConfigError
from lifecycle.tracing import Span, Value

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
SERVICE_NAME = "OTEL_SERVICE_NAME"
TIMEOUT_S = 10.0
# What the specification lets a client send again.
RETRIED = (429, 502, 503, 504)
WAITS_S = (1.0, 2.0, 4.0)
_INTERNAL, _OK, _ERROR = 1, 1, 2
log = logging.getLogger(__name__)


class OtlpTracer:
    """Sends spans of ``service`` to ``url``; see ``lifecycle.tracing``."""

    def __init__(
        self,
        url: str,
        service: str,
        *,
        headers: Mapping[str, str] | None = None,
        with_text: bool = False,
        waits_s: tuple[float, ...] = WAITS_S,
    ) -> None:
        self.url, self.service, self.with_text = url, service, with_text
        self._headers = {"content-type": "application/json"} | dict(headers or {})
        self._waits_s = waits_s
        self._queue: Background[_OtlpSpan] = Background(
            self._send, "spans", capacity=4096, batch=512, every_s=1.0
        )

    @property
    def dropped(self) -> int:
        """Spans that were not sent."""
        return self._queue.dropped

    def start(self, name: str, parent: Span | None, attributes: dict[str, Value]) -> Span:
        above = parent if isinstance(parent, _OtlpSpan) else None
        return _OtlpSpan(self._queue, name, above, attributes)

    def flush(self, timeout_s: float = TIMEOUT_S) -> bool:
        """Wait until what has ended is sent; False after ``timeout_s``."""
        return self._queue.flush(timeout_s)

    def close(self) -> None:
        """Send what has ended, and stop."""
        self._queue.close()

    def _send(self, spans: "list[_OtlpSpan]") -> None:
        if not spans:
            return
        body = json.dumps(_document(self.service, spans)).encode()
        for wait_s in self._waits_s:
            if self._post(body):
                return
            time.sleep(wait_s)
        if not self._post(body):
            raise ConnectionError(f"the collector at {self.url} takes no spans")

    def _post(self, body: bytes) -> bool:
        """False where it may be tried again. Raises ConnectionError where it may not."""
        request = urllib.request.Request(self.url, body, self._headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in RETRIED:
                raise ConnectionError(f"the collector at {self.url}: {error.code}") from None
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            pass
        return False


class _OtlpSpan:
    def __init__(
        self,
        queue: "Background[_OtlpSpan]",
        name: str,
        above: "_OtlpSpan | None",
        attributes: dict[str, Value],
    ) -> None:
        self._queue, self._name = queue, name
        self.trace_id: str = above.trace_id if above else secrets.token_hex(16)
        self.span_id = secrets.token_hex(8)
        self._above = above.span_id if above else ""
        self._attributes = dict(attributes)
        self._failure = ""
        self._began, self._ended = time.time_ns(), 0

    def set(self, attributes: dict[str, Value]) -> None:
        self._attributes.update(attributes)

    def end(self, error: BaseException | None = None) -> None:
        self._ended = time.time_ns()
        # The message may quote a question.
        self._failure = type(error).__name__ if error is not None else ""
        self._queue.put(self)

    def document(self) -> dict[str, Any]:
        """This span as OTLP writes it."""
        status = {"code": _ERROR, "message": self._failure} if self._failure else {"code": _OK}
        return {
            "traceId": self.trace_id,
            "spanId": self.span_id,
            "parentSpanId": self._above,
            "name": self._name,
            "kind": _INTERNAL,
            "startTimeUnixNano": str(self._began),
            "endTimeUnixNano": str(self._ended),
            "attributes": _attributes(self._attributes),
            "status": status,
        }


def otlp_tracer(
    service: str, *, with_text: bool = False, environment: Mapping[str, str] = os.environ
) -> OtlpTracer | None:
    """The tracer that the environment asks for; None where it names no collector.

    Raises ConfigError for an address that is no http URL, and for gRPC.
    """
    url = environment.get(TRACES_ENDPOINT, "").strip()
    if not url:
        base = environment.get(ENDPOINT, "").strip()
        if not base:
            return None
        url = base.rstrip("/") + "/v1/traces"
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ConfigError(
            f"{url!r} is no address of a collector.", f"Set {ENDPOINT}=http://HOST:4318."
        )
    if environment.get(PROTOCOL, "").strip() == "grpc":
        raise ConfigError(
            f"{PROTOCOL}: 'grpc' is not spoken here.",
            "Set http/json and the collector's HTTP port, usually 4318.",
        )
    name = environment.get(SERVICE_NAME, "").strip() or service
    return OtlpTracer(
        url, name, headers=_headers(environment.get(HEADERS, "")), with_text=with_text
    )


def _headers(text: str) -> dict[str, str]:
    """``key=value,key=value`` with percent-encoded values, as OpenTelemetry writes them."""
    pairs = [pair.partition("=") for pair in text.split(",") if "=" in pair]
    return {unquote(key).strip(): unquote(value).strip() for key, _, value in pairs}


def _document(service: str, spans: list[_OtlpSpan]) -> dict[str, Any]:
    resource = {"attributes": _attributes({"service.name": service})}
    scope = {"scope": {"name": "mlops"}, "spans": [span.document() for span in spans]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def _attributes(values: dict[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Value) -> dict[str, Any]:
    # bool before int: it is one.
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": value}
