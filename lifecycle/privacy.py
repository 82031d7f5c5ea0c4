"""Sensitive columns at rest: pseudonyms for identifiers, authenticated encryption for the rest.

A pseudonym is a keyed hash (HMAC-SHA256, RFC 2104): the same identifier has the same pseudonym, and
without the key nobody can try out all identifiers. Other values are encrypted with AES-SIV (RFC
5297), which is deterministic: the same content is the same data version. So equal values of a
column have equal tokens, and a token tells the length of its value; it tells nothing else. The
column's name goes into both, so that a value moved to another column is noticed.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.data_keys import Keys
from lifecycle.errors import DataError
from lifecycle.scalars import pack, unpack

if TYPE_CHECKING:
    import pyarrow as pa

    from lifecycle.tables import TableSchema

BATCH_ROWS = 65_536
TOKEN = re.compile(r"enc1\.[A-Za-z0-9_-]{24,}")


def pseudonym(values: "pa.ChunkedArray", column: str, keys: Keys) -> "pa.ChunkedArray":
    """Identifiers as pseudonyms, nulls as nulls; numbers count as they are written (``7``)."""
    import pyarrow as pa

    return _each(values.cast(pa.string()), lambda value: keys.pseudonym(value, column))


def protect(table: "pa.Table", schema: "TableSchema", keys: Keys) -> "pa.Table":
    """The table with its sensitive columns as text that only ``keys`` can make or read.

    A sensitive id becomes pseudonyms, which nothing turns back; other columns are encrypted, each
    value with its type. What is protected already stays. Raises DataError for what was protected
    with another key, and for a column of lists or the like.
    """
    for name in _sensitive(table, schema):
        hashed = schema.columns[name].role == "id"
        column = _plain(table[name])
        done = pseudonym(column, name, keys) if hashed else _encrypted(column, name, keys)
        table = table.set_column(table.column_names.index(name), name, done)
    return table


def reveal(table: "pa.Table", schema: "TableSchema", keys: Keys) -> "pa.Table":
    """The table with its encrypted columns as they were; pseudonyms stay.

    A column without any value comes back as text. Raises DataError where the key is another one
    or a file was altered.
    """
    for name in _sensitive(table, schema):
        if schema.columns[name].role != "id":
            done = _decrypted(table[name], name, keys)
            table = table.set_column(table.column_names.index(name), name, done)
    return table


def stored_types(schema: "TableSchema") -> "pa.Schema":
    """The types of the columns in a protected Parquet file."""
    import pyarrow as pa

    types = schema.arrow()
    for name in schema.sensitive:
        types = types.set(types.get_field_index(name), pa.field(name, pa.string()))
    return types


def protector(schema: "TableSchema") -> Callable[["pa.Table"], "pa.Table"]:
    """``protect`` with the project's key; without effect, and without a key, where nothing is
    sensitive."""
    keys = _keys(schema)
    return lambda table: _through(protect, table, schema, keys)


def revealer(schema: "TableSchema") -> Callable[["pa.Table"], "pa.Table"]:
    """``reveal`` with the project's key, as ``protector``."""
    keys = _keys(schema)
    return lambda table: _through(reveal, table, schema, keys)


def write_protected(
    table: "pa.Table | pa.RecordBatchReader", schema: "TableSchema", path: Path
) -> None:
    """Write ``table`` to a Parquet file, protected, some rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    keys = _keys(schema)
    reader = table.to_reader(BATCH_ROWS) if isinstance(table, pa.Table) else table
    empty = _through(protect, reader.schema.empty_table(), schema, keys)
    with pq.ParquetWriter(path, empty.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_table(_through(protect, pa.Table.from_batches([batch]), schema, keys))


def read_revealed(path: Path, schema: "TableSchema") -> "pa.Table":
    """The table of a Parquet file that ``write_protected`` wrote, as ``reveal`` gives it."""
    import pyarrow.parquet as pq

    return _through(reveal, pq.ParquetFile(path).read(), schema, _keys(schema))


def _through(
    change: Callable[["pa.Table", "TableSchema", Keys], "pa.Table"],
    table: "pa.Table",
    schema: "TableSchema",
    keys: Keys | None,
) -> "pa.Table":
    return table if keys is None else change(table, schema, keys)


def _keys(schema: "TableSchema") -> Keys | None:
    """None where nothing is sensitive: then no key is made."""
    return Keys.from_env() if any(one.sensitive for one in schema.columns.values()) else None


def _sensitive(table: "pa.Table", schema: "TableSchema") -> list[str]:
    return [name for name in table.column_names
            if name in schema.columns and schema.columns[name].sensitive]  # fmt: skip


def _plain(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Without dictionaries, and text as one type of text."""
    import pyarrow as pa
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    text = types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind)
    return column.cast(pa.string()) if text else column


def _encrypted(column: "pa.ChunkedArray", name: str, keys: Keys) -> "pa.ChunkedArray":
    def seal(value: bytes) -> str:
        token = value.removeprefix(b"string\0").decode(errors="replace")
        if TOKEN.fullmatch(token):
            keys.decrypt(token, name)
            return token
        return keys.encrypt(value, name)

    return _each(pack(column, name), seal)


def _decrypted(column: "pa.ChunkedArray", name: str, keys: Keys) -> "pa.ChunkedArray":
    from pyarrow import compute as pc

    column = _plain(column)
    if str(column.type) != "string" or not _any_token(column):
        return column
    if not pc.all(pc.match_substring_regex(column, f"^{TOKEN.pattern}$")).as_py():
        raise DataError(f"column {name!r} is encrypted in part only: the file was altered.")
    return unpack(_each(column, lambda token: keys.decrypt(token, name)), name)


def _any_token(column: "pa.ChunkedArray") -> bool:
    from pyarrow import compute as pc

    return bool(pc.any(pc.match_substring_regex(column, f"^{TOKEN.pattern}$")).as_py())


def _each(column: "pa.ChunkedArray", change: Callable[[Any], str | bytes]) -> "pa.ChunkedArray":
    """``change`` of every value, called once for each that is different; nulls stay."""
    import pyarrow as pa

    distinct = column.combine_chunks().dictionary_encode()
    values = distinct.dictionary.to_pylist()
    changed = pa.array([change(value) for value in values], None if values else pa.string())
    return pa.chunked_array([changed.take(distinct.indices)])
