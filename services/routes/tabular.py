"""Rows and what is predicted for them: ``/v1/predict``."""

import time
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from services.context import Call, Context, Signed
from services.files import FORM, MEDIA_TYPES, rows_of, uploaded
from services.guard.asgi import Refused
from services.http import Body, Reply, Request, Route, reply
from services.surfaces import example_row

# So many rows are predicted in less time than a thread costs the others.
AT_ONCE = 32

Row = dict[str, str | int | float | bool | None]


class Rows(Body):
    rows: list[Row] = Field(min_length=1)


class Predicted(Signed):
    """One object for each row, in order; a row that cannot be predicted has an ``error``."""

    predictions: list[dict[str, Any]]


class TabularRoutes:
    """The endpoint of a model of rows."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def routes(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/v1/predict",
                self.predict,
                "Predictions for rows, as JSON or as a CSV or Parquet file.",
                Rows,
                Predicted,
                self._examples(),
                other=MEDIA_TYPES,
            )
        ]

    def _examples(self) -> dict[str, Any]:
        served = self.context.holder.current
        schema = getattr(served.predictor, "model", None) if served else None
        return {"row": {"rows": [example_row(schema.schema) if schema else {}]}}

    async def predict(self, request: Request) -> Reply:
        rows = await self._rows(request)
        limit = self.context.settings.limits.rows
        if len(rows) > limit:
            raise Refused(422, f"{len(rows)} rows are more than {limit}.", "Send them in parts.")
        call = self.context.begin(request)

        def work() -> list[dict[str, Any]]:
            began = time.perf_counter()
            found: list[dict[str, Any]] = call.served.predictor.predict(rows)
            call.stage("predict", began)
            return found

        found = work() if len(rows) <= AT_ONCE else await self.context.run(work)
        self._note(call, rows, found)
        return reply({"predictions": found} | call.signed())

    async def _rows(self, request: Request) -> list[Any]:
        if request.media_type in ("application/json", ""):
            return list((await request.read(Rows)).rows)
        kind, body = request.media_type, await request.body()
        if kind == FORM:
            kind, body = uploaded(request.content_type, body)
        limit = self.context.settings.limits.rows
        return await self.context.run(lambda: rows_of(kind, body, limit))

    def _note(self, call: Call, rows: list[Mapping[str, Any]], found: list[dict[str, Any]]) -> None:
        errors = sum("error" in one for one in found)
        self.context.metrics.rows(len(found), errors, call.served.model)
        secret = sensitive(call.served.predictor)
        kept = [{key: row[key] for key in row if key not in secret} for row in rows]
        call.record(kept, found)


def sensitive(predictor: Any) -> frozenset[str]:
    """Columns that are not to be kept."""
    schema = getattr(getattr(predictor, "model", None), "schema", None)
    columns = schema.columns.items() if schema else ()
    return frozenset(name for name, column in columns if column.sensitive)
