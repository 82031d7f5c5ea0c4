"""One column of a table's schema: what it may say of itself, and the checks that it stands for."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from lifecycle import columns as reading
from lifecycle.columns import Type
from lifecycle.config import Frozen
from lifecycle.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import Check
    from pandera.pandas import Column as PanderaColumn

Role = Literal["feature", "target", "id", "time", "label_time", "segment", "ignored"]
NOW = "now"
_SHOWN: tuple[Role, ...] = ("target", "time", "label_time", "segment")
_VALUES_SHOWN = 8


class Column(Frozen):
    """One column of a table.

    ``min`` and ``max`` are for numbers, and ``max: now`` for times; ``values`` are all that a
    category may be (empty: any). ``format`` is how a time is written, as strptime has it (empty:
    ISO 8601). ``sensitive`` values are never shown.
    """

    type: Type
    role: Role = "feature"
    nullable: bool = False
    min: float | None = None
    max: float | Literal["now"] | None = None
    values: tuple[str, ...] = ()
    format: str = ""
    unique: bool = False
    sensitive: bool = False
    description: str = ""

    @field_validator("values", mode="before")
    @classmethod
    def _as_text(cls, values: object) -> object:
        """Numbers as the text they are; YAML's true, false, yes and no would not be."""
        if not isinstance(values, list | tuple):
            return values
        return [
            str(v) if isinstance(v, int | float) and not isinstance(v, bool) else v for v in values
        ]


def check_column(name: str, column: Column) -> None:
    """Raises ConfigError for the first rule that the column breaks."""
    numeric = column.type in ("number", "integer")
    text_feature = column.role == "feature" and column.type in ("category", "text")
    rules = (
        (
            column.sensitive and text_feature,
            "is sensitive, and a text feature's values would be stored in the model",
            "Give it the role ignored or id, or turn it into a number.",
        ),
        (
            column.sensitive and column.role == "id" and column.type != "text",
            f"is a sensitive id of type {column.type}",
            "Give it the type text: it is hashed.",
        ),
        (
            column.sensitive and column.role in _SHOWN,
            f"is sensitive and has the role {column.role}, whose values are shown",
            "Leave out one of the two.",
        ),
        (
            column.role in ("time", "label_time") and column.type != "time",
            f"has the role {column.role} but the type {column.type}",
            "Give it the type time.",
        ),
        (
            column.role == "target" and column.type in ("text", "time"),
            f"is the target but has the type {column.type}",
            "A target is a number, an integer, a boolean or a category.",
        ),
        (
            column.role == "target" and column.nullable,
            "is the target and nullable: a row without it teaches nothing",
            "Leave nullable out: such rows are set aside, with the reason.",
        ),
        (column.unique and column.nullable, "is unique and nullable", "Choose one of the two."),
        (
            column.min is not None and not numeric,
            f"has a min but the type {column.type}",
            "min is for number and integer.",
        ),
        (
            column.max is not None and not numeric and (column.type, column.max) != ("time", NOW),
            f"has max={column.max!r} but the type {column.type}",
            "max is for number and integer; a time can have max: now.",
        ),
        (column.max == NOW and numeric, "has max: now but is no time", "Name a number."),
        (_empty_range(column), f"has min={column.min} above max={column.max}", "Swap them."),
        (
            column.values and column.type != "category",
            f"lists values but has the type {column.type}",
            "values is for category.",
        ),
        (
            column.format and column.type != "time",
            f"has a format but the type {column.type}",
            "format is for time.",
        ),
    )
    for broken, problem, remedy in rules:
        if broken:
            raise ConfigError(f"column {name!r} {problem}.", remedy)


def _empty_range(column: Column) -> bool:
    low, high = column.min, column.max
    return low is not None and isinstance(high, float) and low > high


def pandera_column(column: Column) -> "PanderaColumn":
    """Of rows with the same unique value the first stays."""
    from pandera.pandas import Column as PanderaColumn

    return PanderaColumn(
        reading.dtype(column.type, column.format),
        _checks(column),
        nullable=column.nullable,
        unique=column.unique,
        report_duplicates="exclude_first",
        coerce=True,
        metadata={"sensitive": True} if column.sensitive else None,
        description=column.description or None,
    )


def _checks(column: Column) -> list["Check"]:
    import numpy as np
    from pandera.pandas import Check

    found = []
    if column.type == "number":
        found.append(Check(lambda values: ~np.isinf(values), error="is infinite"))
    low, high, values = column.min, column.max, column.values
    if low is not None:
        found.append(Check(lambda given: given >= low, error=f"is below {low:.15g}"))
    if isinstance(high, float):
        found.append(Check(lambda given: given <= high, error=f"is above {high:.15g}"))
    elif high == NOW:
        found.append(Check(_is_past, error="is in the future"))
    if values:
        some = ", ".join(values[:_VALUES_SHOWN]) + (", …" if len(values) > _VALUES_SHOWN else "")
        found.append(Check(lambda given: given.isin(values), error=f"is none of {some}"))
    return found


def _is_past(times: "pd.Series[Any]") -> "pd.Series[bool]":
    import pandas as pd

    return times <= pd.Timestamp.now("UTC")
