"""The schema of a table as YAML: what each column holds, and what it is for.

::

    columns:
      age: {type: integer, min: 0, max: 120, nullable: true}
      plan: {type: category, values: [basic, plus]}
      churned: {type: boolean, role: target}
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from lifecycle import columns as reading
from lifecycle.column import Column, Role, check_column, pandera_column
from lifecycle.config import Frozen, build, read_yaml
from lifecycle.errors import ConfigError, InvalidDataError, did_you_mean
from lifecycle.problems import HIDDEN, shown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pandera.pandas import DataFrameSchema

__all__ = ["Column", "Role", "TableSchema", "read_schema"]
_SINGLE: tuple[Role, ...] = ("target", "time", "label_time")


class TableSchema(Frozen):
    """The columns of a table, in order. Exactly one is the target.

    Raises ConfigError where columns contradict themselves or each other.
    """

    columns: dict[str, Column]

    @model_validator(mode="after")
    def _coherent(self) -> "TableSchema":
        for name, column in self.columns.items():
            check_column(name, column)
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

        return DataFrameSchema({n: pandera_column(c) for n, c in self.columns.items()})

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


def _coerced(values: "pd.Series[Any]", name: str, column: Column) -> "pd.Series[Any]":
    found, unreadable = reading.read(values, column.type, column.format)
    if unreadable.any():
        value = HIDDEN if column.sensitive else shown(values[unreadable].iloc[0])
        raise InvalidDataError(
            f"column {name!r}: {value} cannot be read as {column.type}.",
            "Validate the table first: rows like this are set aside.",
        )
    return found
