"""Which endpoints a model gets, and the request that warms it."""

from typing import Any, Literal

from lifecycle.bundle import Manifest

Surface = Literal["rag", "recommend", "tabular"]
_NOW = "2026-01-01T00:00:00Z"


def surface_of(manifest: Manifest) -> Surface:
    """By the kind of the bundle, and by its problem."""
    if manifest.kind == "rag":
        return "rag"
    return "recommend" if manifest.settings.get("problem") == "recommendation" else "tabular"


def warm_up(surface: Surface, predictor: Any) -> None:
    """Let the model answer once. Raises whatever it raises."""
    if surface == "rag":
        predictor.retriever.warm_up()
        predictor.answer("Is this model warm?")
    elif surface == "recommend":
        predictor.recommend(user_id=next(iter(predictor.recommender.user_ids), ""), k=1)
        predictor.recommend(k=1)
    else:
        predictor.predict([example_row(predictor.model.schema)])


def example_row(schema: Any) -> dict[str, Any]:
    """A row that fits the features of a table's schema."""
    return {name: _example(schema.columns[name]) for name in schema.features}


def _example(column: Any) -> Any:
    if column.type == "category":
        return column.values[0] if column.values else "a"
    if column.type in ("number", "integer"):
        least = 0.0 if column.min is None else max(0.0, column.min)
        number = least if column.max is None else min(least, column.max)
        return int(number) if column.type == "integer" else number
    return {"boolean": True, "time": _NOW}.get(column.type, "text")
