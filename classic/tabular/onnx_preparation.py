"""A preparation as operators: of raw numbers and texts to the float32 features of the model.

All columns of numbers are one input, all columns of text another: reading many inputs costs more
than the model. Arithmetic is float64, step for step as ``preparation.py`` has it.
"""

from collections.abc import Callable, Sequence

import numpy as np

from classic.tabular.onnx_graph import Graph
from classic.tabular.preparation import LOOKUPS, MOST, Feature, Preparation

NUMBERS, TEXTS = "numbers", "texts"
_DAY = 86_400.0


def input_columns(preparation: Preparation) -> tuple[list[str], list[str]]:
    """The columns of ``numbers`` and of ``texts``, in order."""
    texts = [name for name in preparation.columns if name in preparation.values]
    return [name for name in preparation.columns if name not in texts], texts


def write_preparation(graph: Graph, preparation: Preparation) -> str:
    """The prepared features (n, features): float32 numbers as float64."""
    blocks: list[str] = []
    order: list[int] = []
    features = list(enumerate(preparation.features))
    for belongs, write in _kinds(preparation):
        chosen = [(place, one) for place, one in features if belongs(one)]
        if chosen:
            order += [place for place, _ in chosen]
            blocks.append(write(graph, [one for _, one in chosen]))
    joined = graph.op("Concat", *blocks, axis=1) if len(blocks) > 1 else blocks[0]
    if order != sorted(order):
        joined = graph.op("Gather", joined, graph.constant(np.argsort(order), np.int64), axis=1)
    bounded = graph.op("Clip", joined, graph.constant(-MOST), graph.constant(MOST))
    return graph.cast(graph.cast(bounded, np.float32), np.float64)


_Kind = tuple[Callable[[Feature], bool], Callable[[Graph, Sequence[Feature]], str]]


def _kinds(preparation: Preparation) -> list[_Kind]:
    """Which features are written together, and how."""
    numbers, texts = input_columns(preparation)

    def lookup(column: str) -> _Kind:
        def write(graph: Graph, chosen: Sequence[Feature]) -> str:
            text = graph.columns(TEXTS, [texts.index(column)], len(texts))
            return _lookup(graph, text, preparation.values[column], chosen)

        return lambda one: one.column == column and one.making in LOOKUPS, write

    def columns(graph: Graph, chosen: Sequence[Feature]) -> str:
        places = [numbers.index(one.column) for one in chosen]
        return graph.columns(NUMBERS, places, len(numbers))

    def missing(graph: Graph, chosen: Sequence[Feature]) -> str:
        return graph.cast(graph.op("IsNaN", columns(graph, chosen)), np.float64)

    def number(graph: Graph, chosen: Sequence[Feature]) -> str:
        return _affine(graph, columns(graph, chosen), chosen)

    def times(graph: Graph, chosen: Sequence[Feature]) -> str:
        parts = [_part(graph, columns(graph, [one]), one) for one in chosen]
        joined = graph.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
        return _affine(graph, joined, chosen)

    return [
        (lambda one: one.making == "number", number),
        (lambda one: one.making == "missing", missing),
        (lambda one: one.making == "time", times),
        *map(lookup, texts),
    ]


def _lookup(graph: Graph, text: str, known: Sequence[str], chosen: Sequence[Feature]) -> str:
    """Rows of a table by the place of the text; as in ``find``, the last two are for others."""
    place = graph.ml(
        "LabelEncoder",
        text,
        keys_strings=[*known, ""],
        values_int64s=[*range(len(known)), len(known) + 1],
        default_int64=len(known),
    )
    flat = graph.op("Reshape", place, graph.constant([-1], np.int64))
    tables = np.array([one.table for one in chosen], dtype=np.float64).T
    return graph.op("Gather", graph.constant(tables), flat, axis=0)


def _affine(graph: Graph, found: str, chosen: Sequence[Feature]) -> str:
    fill, mean, scale = (
        np.array([[getattr(one, name) for one in chosen]]) for name in ("fill", "mean", "scale")
    )
    if not np.isnan(fill).all():
        found = graph.op("Where", graph.op("IsNaN", found), graph.constant(fill), found)
    if mean.any():
        found = graph.op("Sub", found, graph.constant(mean))
    return graph.op("Div", found, graph.constant(scale)) if (scale != 1).any() else found


def _part(graph: Graph, seconds: str, feature: Feature) -> str:
    """``time_part`` of ``columns.py``."""
    if feature.part == "days":
        since = graph.op("Sub", seconds, graph.constant(feature.origin))
        return graph.op("Div", since, graph.constant(_DAY))
    days = _over(graph, seconds, _DAY)
    if feature.part == "hour":
        midnight = graph.op("Mul", days, graph.constant(_DAY))
        return _over(graph, graph.op("Sub", seconds, midnight), 3600)
    if feature.part == "weekday":
        thursday = graph.op("Add", days, graph.constant(3.0))
        return _rest(graph, thursday, 7)
    return _month(graph, days)


def _month(graph: Graph, days: str) -> str:
    """The month (1–12) of days since 1970; years start in March, so that leap days come last.

    Hinnant, chrono-Compatible Low-Level Date Algorithms, civil_from_days.
    """
    since = graph.op("Add", days, graph.constant(719_468.0))
    day = _rest(graph, since, 146_097)  # of 400 years
    leap = graph.op("Sub", _over(graph, day, 1460), _over(graph, day, 36_524))
    shift = graph.op("Sub", leap, _over(graph, day, 146_096))
    year = _over(graph, graph.op("Sub", day, shift), 365)
    start = graph.op("Mul", year, graph.constant(365.0))
    extra = graph.op("Sub", _over(graph, year, 4), _over(graph, year, 100))
    of_year = graph.op("Sub", day, graph.op("Add", start, extra))
    fifths = graph.op("Mul", of_year, graph.constant(5.0))
    march = _over(graph, graph.op("Add", fifths, graph.constant(2.0)), 153)
    twelfth = _rest(graph, graph.op("Add", march, graph.constant(2.0)), 12)
    return graph.op("Add", twelfth, graph.constant(1.0))


def _over(graph: Graph, value: str, divisor: float) -> str:
    return graph.op("Floor", graph.op("Div", value, graph.constant(float(divisor))))


def _rest(graph: Graph, value: str, divisor: float) -> str:
    whole = graph.op("Mul", _over(graph, value, divisor), graph.constant(float(divisor)))
    return graph.op("Sub", value, whole)
