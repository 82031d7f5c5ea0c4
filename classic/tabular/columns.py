"""The columns of a frame as plain arrays: what preparation reads, and a graph takes as input.

number, integer, boolean: float64, missing NaN. category: the text as object, missing "". time:
float64 seconds since 1970 in UTC, missing NaN.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import ConfigError
from lifecycle.tables import TableSchema

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]
Part = Literal["hour", "weekday", "month", "days"]
PARTS: tuple[Part, ...] = ("hour", "weekday", "month", "days")
_DAY = 86_400.0


def read_columns(frame: "pd.DataFrame", schema: TableSchema, names: Sequence[str]) -> Columns:
    """The columns ``names`` of ``frame``, which has the dtypes of ``schema``."""
    return {name: as_array(frame[name], schema.columns[name].type) for name in names}


def as_array(values: "pd.Series[Any]", kind: str) -> NDArray[Any]:
    if kind in ("category", "text"):
        found: NDArray[Any] = values.fillna("").to_numpy(dtype=object)
        return found
    if kind == "time":
        seconds = values.dt.as_unit("us").astype("int64").to_numpy(dtype=np.float64) / 1e6
        return np.where(values.isna().to_numpy(), np.nan, seconds)
    numbers: Floats = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers


def time_part(seconds: Floats, part: str, origin: float) -> Floats:
    """Hour (0–23), weekday (Monday is 0), month (1–12), all in UTC, or days since ``origin``."""
    days = np.floor(seconds / _DAY)
    if part == "hour":
        hours: Floats = np.floor((seconds - days * _DAY) / 3600)
        return hours
    if part == "weekday":
        weekdays: Floats = np.mod(days + 3, 7)  # 1970-01-01 was a Thursday
        return weekdays
    if part == "days":
        return (seconds - origin) / _DAY
    known = ~np.isnan(seconds)
    months = np.full(len(seconds), np.nan)
    dates = days[known].astype("int64").astype("datetime64[D]")
    months[known] = dates.astype("datetime64[M]").astype("int64") % 12 + 1
    return months


def feature_columns(schema: TableSchema) -> list[str]:
    """The columns that a model learns from. Raises ConfigError for text, or where there is none."""
    for name in schema.features:
        if schema.columns[name].type == "text":
            raise ConfigError(
                f"column {name!r} is text, and no candidate reads text.",
                "Give it the role ignored, or the type category if its values repeat.",
            )
    if not schema.features:
        raise ConfigError("the schema has no feature.", "Leave out the role of a column.")
    return schema.features
