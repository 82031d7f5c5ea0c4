"""Values of an Arrow column as bytes that name their type, and back.

Equal values of a type give equal bytes: -0.0 counts as 0.0 and every NaN as one, as they do in a
data version (``lifecycle.content``).
"""

import re
from typing import TYPE_CHECKING

from lifecycle.content import fixed_width
from lifecycle.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_NAMED = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 halffloat float double string binary "
    "date32[day] date64[ms] time32[s] time32[ms] time64[us] time64[ns] duration[s] duration[ms] "
    "duration[us] duration[ns]"
).split()
_ALIASES = {"halffloat": "float16", "date32[day]": "date32", "date64[ms]": "date64"}
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]")
_DECIMAL = re.compile(r"decimal128\((\d+), (-?\d+)\)")


def pack(column: "pa.ChunkedArray", name: str) -> "pa.ChunkedArray":
    """Each value as ``type``, a zero byte, the value: text as UTF-8, others in their fixed width.

    Nulls stay. Raises DataError for a type without plain values, naming the column ``name``.
    """
    import pyarrow as pa

    array, start = column.combine_chunks(), str(column.type).encode() + b"\0"
    _type_of(str(column.type), name)
    if str(column.type) in {"string", "binary"}:
        raw = array.cast(pa.binary()).to_pylist()
    else:
        valid = array.is_valid().to_numpy(zero_copy_only=False)
        stored = array.cast(pa.int8()) if pa.types.is_boolean(array.type) else array
        rows = fixed_width(stored, valid)
        raw = [row.tobytes() if there else None for row, there in zip(rows, valid, strict=True)]
    packed = [None if value is None else start + value for value in raw]
    return pa.chunked_array([pa.array(packed, pa.binary())])


def unpack(column: "pa.ChunkedArray", name: str) -> "pa.ChunkedArray":
    """The column that ``pack`` was given. Raises DataError where its values differ in type."""
    import pyarrow as pa

    parts = [value and value.split(b"\0", 1) for value in column.to_pylist()]
    kinds = {part[0].decode() for part in parts if part}
    if len(kinds) != 1:
        raise DataError(f"column {name!r} holds values of several types: {sorted(kinds)}.")
    kind = _type_of(kinds.pop(), name)
    values = [part and part[1] for part in parts]
    return pa.chunked_array([_array(values, kind)])


def _array(values: list[bytes | None], kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    if str(kind) in {"string", "binary"}:
        return pa.array(values, pa.binary()).cast(kind)
    stored = pa.int8() if pa.types.is_boolean(kind) else kind
    data = b"".join(value or bytes(stored.bit_width // 8) for value in values)
    valid = pa.array([value is not None for value in values], pa.bool_()).buffers()[1]
    return pa.Array.from_buffers(stored, len(values), [valid, pa.py_buffer(data)]).cast(kind)


def _type_of(text: str, column: str) -> "pa.DataType":
    import pyarrow as pa

    if text in _NAMED:
        return pa.type_for_alias(_ALIASES.get(text, text))
    if match := _TIMESTAMP.fullmatch(text):
        return pa.timestamp(match[1], match[2])
    if match := _DECIMAL.fullmatch(text):
        return pa.decimal128(int(match[1]), int(match[2]))
    raise DataError(
        f"column {column!r} has type {text}, which cannot be encrypted.",
        "Turn it into numbers, text, true and false, or times.",
    )
