"""A hash of what an Arrow table says, not of how it is stored.

Two tables have the same hash exactly when they have the same column names in the same order, the
same types, and in the same rows the same values and nulls. How the rows are cut into chunks, what
lies in memory under a null, dictionary encoding, 32- or 64-bit offsets and schema metadata do not
count: they change between library versions while the data stays the same.
"""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

# Rows hashed at a time: bounds the memory of copies, and cannot change the result.
BATCH_ROWS = 262_144
Digests = defaultdict[str, Any]

# Arrow types that say the same (tested by ``pyarrow.types.is_…``, the first match counts).
_FAMILIES = {
    "string": ("string", "large_string", "string_view"),
    "binary": ("binary", "large_binary", "binary_view"),
    "dictionary": ("dictionary",),
    "list": ("list", "large_list", "fixed_size_list"),
    "struct": ("struct",),
    "null": ("null",),
    "boolean": ("boolean",),
    "fixed": ("primitive", "decimal", "fixed_size_binary"),
}
_FLOATS = frozenset({"halffloat", "float", "double"})


def content_hash(table: "pa.Table") -> str:
    """SHA-256 (64 hex digits) of the table's content.

    Each column feeds separate streams for validity, lengths and values, so that chunk borders
    leave no trace. Raises DataError for a column whose type has no plain values (maps, unions).
    """
    types = column_types(table)
    digests: list[Digests] = [defaultdict(hashlib.sha256) for _ in types]
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        for column, streams in zip(batch.columns, digests, strict=True):
            if len(column):
                _feed(streams, "", column)
    columns = [
        [name, kind, sorted((stream, digest.hexdigest()) for stream, digest in streams.items())]
        for (name, kind), streams in zip(types, digests, strict=True)
    ]
    return hash_json([table.num_rows, columns])


def hash_json(value: object) -> str:
    """SHA-256 (64 hex digits) of a JSON value in its one compact, sorted spelling."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def column_types(table: "pa.Table") -> list[tuple[str, str]]:
    """(name, type) of every column, the type in words that do not depend on its encoding."""
    return [(field.name, _type_name(field.name, field.type)) for field in table.schema]


def to_parquet(table: "pa.Table") -> bytes:
    """The table as a zstd Parquet file. Raises DataError for types that Parquet cannot hold."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    try:
        pq.write_table(table.replace_schema_metadata(None), sink, compression="zstd")
    except pa.ArrowException as error:
        raise DataError(f"the table cannot be stored as Parquet: {error}.") from error
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def holds(path: Path, digest: str) -> bool:
    """Whether ``path`` is a readable Parquet file whose content hash is ``digest``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return content_hash(pq.ParquetFile(path).read()) == digest
    except (OSError, pa.ArrowException, DataError):
        return False


def _type_name(column: str, kind: "pa.DataType") -> str:
    family = _family(kind)
    if family == "dictionary":
        return _type_name(column, kind.value_type)
    if family == "list":
        return f"list<{_type_name(column, kind.value_type)}>{getattr(kind, 'list_size', '')}"
    if family == "struct":
        fields = (f"{field.name}: {_type_name(column, field.type)}" for field in kind)
        return f"struct<{', '.join(fields)}>"
    if family in {"string", "binary"}:
        return family
    if family:
        return str(kind)
    raise DataError(
        f"column {column!r} has type {kind}, which a data version cannot hold.",
        "Turn it into numbers, text, times, lists or structs.",
    )


def _family(kind: "pa.DataType") -> str:
    """The key of ``_FAMILIES`` that ``kind`` belongs to, or nothing."""
    from pyarrow import types

    for family, members in _FAMILIES.items():
        if any(getattr(types, f"is_{member}")(kind) for member in members):
            return family
    return ""


def _feed(streams: Digests, path: str, array: "pa.Array") -> None:
    """Add the rows of ``array`` to the streams of one column (nested types: of one level)."""
    family = _family(array.type)
    if family == "dictionary":
        _feed(streams, path, array.dictionary_decode())
        return
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    streams[f"{path}/valid"].update(valid.astype(np.uint8).data)
    if family in {"string", "binary"}:
        _feed_bytes(streams, path, array)
    elif family == "list":
        _feed_lists(streams, path, array)
    elif family == "struct":
        for number, child in enumerate(array.flatten()):
            _feed(streams, f"{path}/{number}", child)
    elif family == "boolean":
        values = array.fill_null(False).to_numpy(zero_copy_only=False)
        streams[f"{path}/values"].update(values.astype(np.uint8).data)
    elif family == "fixed":
        streams[f"{path}/values"].update(fixed_width(array, valid).data)


def _feed_bytes(streams: Digests, path: str, array: "pa.Array") -> None:
    import pyarrow as pa

    plain = array.cast(pa.large_binary()).fill_null(b"")
    _, offset_buffer, data = plain.buffers()
    rows = slice(plain.offset, plain.offset + len(plain) + 1)
    offsets = np.frombuffer(offset_buffer, dtype="<i8")[rows]
    streams[f"{path}/lengths"].update(np.diff(offsets).data)
    if data is not None:
        streams[f"{path}/values"].update(memoryview(data)[offsets[0] : offsets[-1]])


def _feed_lists(streams: Digests, path: str, array: "pa.Array") -> None:
    import pyarrow.compute as pc

    lengths = pc.list_value_length(array).fill_null(0)
    streams[f"{path}/lengths"].update(lengths.to_numpy().astype("<i8").data)
    _feed(streams, f"{path}/items", pc.list_flatten(array))


def fixed_width(array: "pa.Array", valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The values as an (n, width) array of bytes, nulls as zeros, every NaN as one NaN."""
    width = array.type.bit_width // 8
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return np.zeros((len(array), width), dtype=np.uint8)
    used = slice(array.offset * width, (array.offset + len(array)) * width)
    raw: NDArray[np.uint8] = np.frombuffer(buffer, dtype=np.uint8)[used].reshape(len(array), width)
    if not valid.all():
        raw = np.where(valid[:, None], raw, np.uint8(0))
    if str(array.type) in _FLOATS:
        floats = raw.view(f"<f{width}")
        # Adding zero turns -0.0 into 0.0: values that compare equal are the same content.
        raw = np.where(np.isnan(floats), floats.dtype.type(np.nan), floats + 0).view(np.uint8)
    return np.ascontiguousarray(raw)
