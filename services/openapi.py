"""The OpenAPI description of a service, made of its routes and the models that they check with."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.http import Route
from services.settings import Limits, ServiceSettings

_REFS = "#/components/schemas/{model}"
# One server-sent event, as OpenAPI 3.2's itemSchema has it.
EVENT = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["data"],
}
OPEN = ("/healthz", "/livez", "/readyz")


class Problem(BaseModel):
    status: int
    message: str
    remedy: str
    request_id: str


class Failed(BaseModel):
    """What every request that is not answered gets."""

    error: Problem


def describe(routes: Sequence[Route], settings: ServiceSettings) -> dict[str, Any]:
    """The whole document, JSON-ready."""
    named, schemas = _schemas(routes)
    _limit(schemas, settings.limits)
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, named)
    return {
        "openapi": "3.1.0",
        "info": {"title": settings.name or "service", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [] if settings.insecure else [{}, {"key": []}],
    }


def _schemas(routes: Sequence[Route]) -> tuple[dict[type[BaseModel], Any], dict[str, Any]]:
    used = {model for route in routes for model in (route.body, route.answer) if model} | {Failed}
    ordered = sorted(used, key=lambda model: model.__name__)
    found, whole = models_json_schema(
        [(model, "validation") for model in ordered], ref_template=_REFS
    )
    schemas = {model: found[model, "validation"] for model in ordered}
    return schemas, dict(whole["$defs"])


def _limit(schemas: dict[str, Any], limits: Limits) -> None:
    """Bounds that are settings of the service."""
    bounds = {
        "question": ("maxLength", limits.question_chars),
        "rows": ("maxItems", limits.rows),
        "k": ("maximum", limits.k),
    }
    for schema in schemas.values():
        if schema.get("additionalProperties") is False:
            for name, (word, most) in bounds.items():
                _bound(schema["properties"].get(name, {}), word, most)


def _bound(field: dict[str, Any], word: str, most: int) -> None:
    kinds = {"maxLength": "string", "maxItems": "array", "maximum": "integer"}
    for one in [field, *field.get("anyOf", [])]:
        if one.get("type") == kinds[word]:
            one[word] = most


def _operation(route: Route, named: dict[type[BaseModel], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.path.strip("/").replace("/", "_").replace(".", "_"),
        "responses": _responses(route, named),
    }
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": _content(route, named)}
    if route.query:
        found["parameters"] = [
            {
                "name": name,
                "in": "query",
                "required": True,
                "description": about,
                "schema": {"type": "string"},
            }
            for name, about in route.query.items()
        ]
    if route.path in OPEN:
        found["security"] = []
    return found


def _content(route: Route, named: dict[type[BaseModel], Any]) -> dict[str, Any]:
    examples = {name: {"value": value} for name, value in (route.examples or {}).items()}
    body = {"schema": named[route.body], "examples": examples} if route.body else {}
    return {"application/json": body} | {kind: {"schema": _file(kind)} for kind in route.other}


def _file(kind: str) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    if not kind.startswith("multipart/"):
        return file
    return {"type": "object", "properties": {"file": file}, "required": ["file"]}


def _responses(route: Route, named: dict[type[BaseModel], Any]) -> dict[str, Any]:
    plain = {"type": "object" if route.gives == "application/json" else "string"}
    schema = named[route.answer] if route.answer else plain
    content: dict[str, Any] = {route.gives: {"schema": schema}}
    if route.body is not None and "stream" in route.body.model_fields:
        content["text/event-stream"] = {"schema": EVENT}
    failed = {"application/json": {"schema": named[Failed]}}
    found: dict[str, Any] = {"200": {"description": "Done.", "content": content}}
    for status, about in _failures(route).items():
        found[str(status)] = {"description": about, "content": failed}
    if route.path == "/readyz":
        found["503"] = {"description": "Not yet.", "content": content}
    return found


def _failures(route: Route) -> dict[int, str]:
    found = {401: "No valid key.", 403: "The key may not do this.", 429: "Too many requests."}
    found |= {500: "The service failed.", 503: "No model serves.", 504: "It took too long."}
    if route.path in OPEN:
        return {}
    if route.body is not None:
        found |= {400: "No JSON, or a wrong word.", 408: "The body came too slowly."}
        found |= {413: "The body is too large.", 415: "Not this type of body."}
        found |= {422: "It does not fit, or cannot be answered.", 502: "A language model failed."}
    if route.query or route.path.startswith("/v1/chat"):
        found[404] = "There is no such thing."
    return dict(sorted(found.items()))
