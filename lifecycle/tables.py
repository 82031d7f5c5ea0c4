"""The schema of a table as YAML: what each column holds, and what it is for.

::

    columns:
      age: {type: integer, min: 0, max: 120, nullable: true}
      plan: {type: category, values: [basic, plus]}
      churned: {type: boolean, role: target}
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator, model_validator

from lifecycle import columns as reading
from lifecycle.columns import Type
from lifecycle.config import Frozen, build, read_yaml
from lifecycle.errors import ConfigError, InvalidDataError, did_you_mean
from lifecycle.problems import HIDDEN, shown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pandera.pandas import Check, DataFrameSchema
    from pandera.pandas import Column as PanderaColumn

Role = Literal["feature", "target", "id", "time", "label_time", "segment", "ignored"]
NOW = "now"
_SINGLE: tuple[Role, ...] = ("target", "time", "label_time")
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


class TableSchema(Frozen):
    """The columns of a table, in order. Exactly one is the target.

    Raises ConfigError where columns contradict themselves or each other.
    """

    columns: dict[str, Column]

    @model_validator(mode="after")
    def _coherent(self) -> "TableSchema":
        for name, column in self.columns.items():
            _check_column(name, column)
        for role in _SINGLE:
            there = self._with(role)
            if len(there) > 1:
                raise ConfigError(
                    f"columns {', '.join(map(repr, there))} all have the role {role}.",
                    "Keep one; give the others the role ignored.",
                )
        if not self._with("target"):
            raise ConfigError(
                "no column has the role target.",
                "Say which one is to be predicted: {type: …, role: target}. "
                f"There are: {', '.join(self.columns) or 'none at all'}.",
            )
        return self

    @property
    def target(self) -> str:
        return self._with("target")[0]

    @property
    def features(self) -> list[str]:
        return self._with("feature")

    @property
    def ids(self) -> list[str]:
        return self._with("id")

    @property
    def segments(self) -> list[str]:
        return self._with("segment")

    @property
    def sensitive(self) -> list[str]:
        return [name for name, column in self.columns.items() if column.sensitive]

    @property
    def time(self) -> str:
        """When the row happened; empty where no column says."""
        return "".join(self._with("time"))

    @property
    def label_time(self) -> str:
        """When its target became known; empty where no column says."""
        return "".join(self._with("label_time"))

    def pandera(self) -> "DataFrameSchema":
        """The schema that ``lifecycle.validation`` takes: it reads every column as its type."""
        from pandera.pandas import DataFrameSchema

        return DataFrameSchema({n: _pandera_column(c) for n, c in self.columns.items()})

    def coerce(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """The columns of ``frame`` that the schema knows, in its order and its types.

        number float64, integer Int64, boolean ``boolean``, category and text ``str``, time
        ``datetime64[us, UTC]``; the index stays. Raises InvalidDataError for a value that cannot
        be read as its type; ``lifecycle.validation`` sets such rows aside beforehand.
        """
        import pandas as pd

        found = {n: _coerced(frame[n], n, c) for n, c in self.columns.items() if n in frame}
        return pd.DataFrame(found, index=frame.index)

    def arrow(self) -> "pa.Schema":
        """The types of the columns in a Parquet file."""
        import pyarrow as pa

        text, time = pa.string(), pa.timestamp("us", "UTC")
        types = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "time": time}
        return pa.schema([(n, types.get(c.type, text)) for n, c in self.columns.items()])

    def _with(self, role: Role) -> list[str]:
        return [name for name, column in self.columns.items() if column.role == role]


def read_schema(path: Path) -> TableSchema:
    """The schema in a YAML file. Raises ConfigError naming file, column and the nearest key."""
    tree = read_yaml(path)
    unknown = next((key for key in tree if key != "columns"), None)
    if unknown is not None:
        raise ConfigError(
            f"{path}: unknown key {unknown!r}.", did_you_mean(str(unknown), ["columns"])
        )
    columns = tree.get("columns")
    if not isinstance(columns, dict) or not columns:
        raise ConfigError(f"{path} names no columns.", "Example: columns: {age: {type: integer}}")
    made = {_name(path, key): _column(path, key, value) for key, value in columns.items()}
    try:
        return TableSchema(columns=made)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.problem}", error.remedy) from error


def _name(path: Path, key: object) -> str:
    if not isinstance(key, str):
        raise ConfigError(f"{path}: column {key!r} is no text.", "Put its name in quotes.")
    return key


def _column(path: Path, name: str, tree: object) -> Column:
    origin = f"{path}: column {name!r}"
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{origin} is {tree!r}, not a mapping.", f"Write {name}: {{type: …}}.")
    if any(isinstance(value, bool) for value in _listed(tree.get("values"))):
        raise ConfigError(f"{origin}: values holds true or false.", "Put the words in quotes.")
    return build(Column, tree, origin)


def _listed(value: object) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


def _check_column(name: str, column: Column) -> None:
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


def _pandera_column(column: Column) -> "PanderaColumn":
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


def _coerced(values: "pd.Series[Any]", name: str, column: Column) -> "pd.Series[Any]":
    found, unreadable = reading.read(values, column.type, column.format)
    if unreadable.any():
        value = HIDDEN if column.sensitive else shown(values[unreadable].iloc[0])
        raise InvalidDataError(
            f"column {name!r}: {value} cannot be read as {column.type}.",
            "Validate the table first: rows like this are set aside.",
        )
    return found
