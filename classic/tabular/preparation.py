"""A fitted preparation is a table: each prepared feature says of which column it is made, and how.

Nothing here learns; ``fitting.py`` does. The result is float32, so that a model sees the same
numbers here and in an exported graph.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from classic.tabular.columns import Columns, Floats, time_part

Prepared = NDArray[np.float32]
Making = Literal["number", "missing", "one_hot", "code", "target", "time"]
MOST = float(np.finfo(np.float32).max)
"""Numbers beyond it are it: estimators refuse infinity."""
LOOKUPS = ("one_hot", "code", "target")


@dataclass(frozen=True)
class Feature:
    """One prepared feature.

    number, time: the column's number, or ``part`` of its time since ``origin``; missing becomes
    ``fill`` (NaN stays NaN); then ``(x − mean) / scale``. missing: 1 where the column is missing,
    else 0. one_hot, code, target: ``table[i]``, where i is the place of the value among the
    column's known values; the last two entries are for any other value and for a missing one.
    """

    name: str
    column: str
    making: Making
    fill: float = float("nan")
    mean: float = 0.0
    scale: float = 1.0
    part: str = ""
    origin: float = 0.0
    table: tuple[float, ...] = ()


@dataclass(frozen=True)
class Preparation:
    """``columns``: what it reads, in order. ``values``: the known values of each category."""

    columns: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]
    features: tuple[Feature, ...]
    _places: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, columns: Columns) -> Prepared:
        """(rows, features) float32 of raw columns as ``classic.tabular.columns`` has them."""
        rows = len(columns[self.columns[0]])
        out = np.empty((rows, len(self.features)), dtype=np.float32, order="F")
        found = {name: self.places(name, columns[name]) for name in self.values}
        for number, feature in enumerate(self.features):
            if feature.making in LOOKUPS:
                out[:, number] = np.asarray(feature.table)[found[feature.column]]
            else:
                found_numbers = numbers(feature, columns[feature.column])
                out[:, number] = np.clip(found_numbers, -MOST, MOST)
        return np.ascontiguousarray(out)

    def places(self, column: str, given: NDArray[Any]) -> NDArray[np.int64]:
        """Where each value stands in the tables of ``column``."""
        return find(self._index(column), len(self.values[column]), given)

    def sources(self) -> list[str]:
        """The column of each feature."""
        return [feature.column for feature in self.features]

    def to_dict(self) -> dict[str, Any]:
        """As JSON knows it; NaN is None."""
        features = [asdict(one) for one in self.features]
        for one in features:
            one["fill"] = None if np.isnan(one["fill"]) else one["fill"]
        values = {name: list(known) for name, known in self.values.items()}
        return {"columns": list(self.columns), "values": values, "features": features}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Raises KeyError or TypeError where something is missing or too much."""
        features = []
        for one in raw["features"]:
            fill = float("nan") if one["fill"] is None else one["fill"]
            features.append(Feature(**{**one, "fill": fill, "table": tuple(one["table"])}))
        values = {name: tuple(known) for name, known in raw["values"].items()}
        return cls(tuple(raw["columns"]), values, tuple(features))

    def _index(self, column: str) -> Any:
        if column not in self._places:
            self._places[column] = index_of(self.values[column])
        return self._places[column]


def numbers(feature: Feature, column: Floats) -> Floats:
    """The values of a feature that is no lookup, (rows,)."""
    if feature.making == "missing":
        missing: Floats = np.isnan(column).astype(np.float64)
        return missing
    found = time_part(column, feature.part, feature.origin) if feature.part else column
    if not np.isnan(feature.fill):
        found = np.where(np.isnan(found), feature.fill, found)
    return (found - feature.mean) / feature.scale


def index_of(values: Sequence[str]) -> Any:
    import pandas as pd

    return pd.Index(np.asarray(values, dtype=object))


def find(index: Any, known: int, given: NDArray[Any]) -> NDArray[np.int64]:
    """Places in ``index``; ``known`` for other values, ``known + 1`` for missing ones."""
    places: NDArray[np.int64] = index.get_indexer(given).astype(np.int64)
    places[places < 0] = known
    places[given == ""] = known + 1
    return places
