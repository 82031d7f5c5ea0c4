"""Values of one column read as the type that a schema gives it, and which of them cannot be.

Blanks around text do not count, and text of nothing else is missing.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd
    from pandera.engines.pandas_engine import DataType

Type = Literal["number", "integer", "boolean", "category", "text", "time"]
DTYPES: dict[Type, Any] = {
    "number": "float64",
    "integer": "Int64",
    "boolean": "boolean",
    "category": "str",
    "text": "str",
    "time": "datetime64[us, UTC]",
}
_TRUTHS = dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True)
_TRUTHS |= dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), False)
# Digits that fit 64 bits whatever they are.
_WHOLE = r"[+-]?\d{1,18}"
_EXACT = 2**53


def read(
    values: "pd.Series[Any]", kind: Type, pattern: str = ""
) -> tuple["pd.Series[Any]", "pd.Series[bool]"]:
    """``values`` in the dtype of ``kind``, and which could not be read (missing in the first).

    Numbers are those that Python writes. A whole number may have a point and zeros. Times are
    ISO 8601, or as ``pattern`` (of strptime) says; numbers are seconds since 1970; a time without
    a zone is UTC.
    """
    values = _trimmed(values)
    found = _READERS[kind](values, pattern).astype(DTYPES[kind])
    return found, (found.isna() & values.notna()).astype("bool")


@cache
def dtype(kind: Type, pattern: str = "") -> "DataType":
    """``read`` as a data type that pandera coerces to, with every value that cannot be read."""
    import pandas as pd
    from pandera.engines.pandas_engine import DataType
    from pandera.errors import ParserError

    class Reading(DataType):
        def __init__(self) -> None:
            object.__setattr__(self, "type", pd.api.types.pandas_dtype(DTYPES[kind]))

        def __str__(self) -> str:
            return str(DTYPES[kind])

        def coerce(self, data_container: Any) -> "pd.Series[Any]":
            found, unreadable = read(data_container, kind, pattern)
            if unreadable.any():
                cases = data_container[unreadable].rename("failure_case").rename_axis("index")
                raise ParserError(  # type: ignore[no-untyped-call]
                    f"not {kind}", failure_cases=cases.reset_index()
                )
            return found

        def check(self, pandera_dtype: object, data_container: object = None) -> bool:
            return True  # Coercion has said it.

    return Reading()


def _trimmed(values: "pd.Series[Any]") -> "pd.Series[Any]":
    if not _is_text(values):
        return values
    text = values.where(values.isna(), values.astype("str").str.strip())
    return text.mask(text == "")


def _is_text(values: "pd.Series[Any]") -> bool:
    from pandas.api.types import is_object_dtype, is_string_dtype

    return bool(is_object_dtype(values) or is_string_dtype(values))


def _number(values: "pd.Series[Any]", _: str) -> "pd.Series[Any]":
    import pandas as pd

    return pd.to_numeric(values, errors="coerce").astype("float64")


def _integer(values: "pd.Series[Any]", _: str) -> "pd.Series[Any]":
    numbers = _number(values, _)
    rounded = numbers.where((numbers % 1 == 0) & (numbers.abs() <= _EXACT))
    found = rounded.astype("Int64")
    if _is_text(values):
        plain = values.astype("str").str.fullmatch(_WHOLE).fillna(False).astype("bool")
        found[plain] = values[plain].astype("str").astype("Int64")
    elif "int" in str(values.dtype).lower():
        found = values.astype("Int64")
    return found


def _boolean(values: "pd.Series[Any]", _: str) -> "pd.Series[Any]":
    return values.astype("str").str.lower().map(_TRUTHS).astype("boolean")


def _text(values: "pd.Series[Any]", _: str) -> "pd.Series[Any]":
    """Whole numbers without a point: a column with gaps holds them as floats."""
    if "float" in str(values.dtype).lower() and (values.dropna() % 1 == 0).all():
        values = _integer(values, _)
    return values.astype("str").where(values.notna())


def _time(values: "pd.Series[Any]", pattern: str) -> "pd.Series[Any]":
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values):
        return pd.to_datetime(values.astype("float64"), unit="s", errors="coerce", utc=True)
    return pd.to_datetime(values, format=pattern or "ISO8601", errors="coerce", utc=True)


_READERS = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "category": _text,
    "text": _text,
    "time": _time,
}
