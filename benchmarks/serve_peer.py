"""FastAPI around the same ONNX session: what a team would write by hand. `serve.py` starts it.

MODEL=model.onnx SCHEMA=schema.json uvicorn benchmarks.serve_peer:app
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, create_model

from classic.tabular.onnx_model import OnnxScorer

TYPES = {"number": float, "integer": int, "boolean": bool, "category": str, "text": str}


def row_model(schema: dict[str, Any], names: list[str]) -> type[BaseModel]:
    """A pydantic model of one row, with the types and bounds that the schema gives."""
    fields: dict[str, Any] = {}
    for name in names:
        kind = TYPES[schema[name]["type"]]
        fields[name] = (kind | None, None) if schema[name]["nullable"] else (kind, ...)
    return create_model("Row", **fields)


SCORER = OnnxScorer(Path(os.environ["MODEL"]))
SCHEMA = json.loads(Path(os.environ["SCHEMA"]).read_text())
NAMES = [*SCORER.numbers, *SCORER.texts]
Row = row_model(SCHEMA, NAMES)
app = FastAPI()


class Rows(BaseModel):
    rows: list[Row]  # type: ignore[valid-type]


@app.post("/v1/predict")
async def predict(body: Rows) -> dict[str, Any]:
    rows = [row.model_dump() for row in body.rows]  # type: ignore[attr-defined]
    columns: dict[str, Any] = {
        name: np.array([np.nan if row[name] is None else row[name] for row in rows], np.float64)
        for name in SCORER.numbers
    }
    columns |= {
        name: np.array([row[name] or "" for row in rows], dtype=object) for name in SCORER.texts
    }
    scores = SCORER.score(columns).tolist()
    limit = SCORER.threshold
    return {"predictions": [{"score": one, "prediction": int(one >= limit)} for one in scores]}


@app.get("/readyz")
async def ready() -> str:
    return "ready"
