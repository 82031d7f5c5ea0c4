"""Sensitive columns at rest: pseudonyms for identifiers, authenticated encryption for the rest.

A pseudonym is a keyed hash (HMAC-SHA256, RFC 2104): the same identifier has the same pseudonym, and
without the key nobody can try out all identifiers. Other values are encrypted with AES-SIV (RFC
5297), which is deterministic: the same content is the same data version. So equal values of a
column have equal tokens, and a token tells the length of its value; it tells nothing else. The
column's name goes into both, so that a value moved to another column is noticed.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lifecycle import atomic
from lifecycle.errors import ConfigError, DataError
from lifecycle.scalars import pack, unpack
from lifecycle.state import State

if TYPE_CHECKING:
    import pyarrow as pa

    from lifecycle.tables import TableSchema

VARIABLE = "MLOPS_DATA_KEY"
KEY_BYTES = 32
BATCH_ROWS = 65_536
TOKEN = re.compile(r"enc1\.[A-Za-z0-9_-]{24,}")
PSEUDONYM = re.compile(r"p1_[A-Za-z0-9_-]{28}")
# A pseudonym of 21 bytes: 15 of the identifier's hash, 6 by which the key knows it again.
_HASH_BYTES, _MARK_BYTES = 15, 6
_WAY_OUT = (
    f"Set {VARIABLE} (or keys/data.key in the state folder) to the key it was written with; where "
    "that key is lost, run the pipeline again from the source with --no-cache."
)


class Keys:
    """The keys of a project, derived from one master key of 32 bytes (HKDF-SHA256, RFC 5869).

    It shows none of them, and cannot be pickled.
    """

    def __init__(self, master: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        if len(master) != KEY_BYTES:
            raise ConfigError(f"a data key has {KEY_BYTES} bytes, not {len(master)}.")
        self._pseudonyms = _derive(master, b"mlops pseudonyms v1", 32)
        self._cipher = AESSIV(_derive(master, b"mlops encryption v1", 64))

    @classmethod
    def from_env(cls) -> "Keys":
        """The key in MLOPS_DATA_KEY, else the one in the state folder, made at first use.

        Raises ConfigError where what is there is no key.
        """
        text = os.environ.get(VARIABLE, "")
        if text:
            return cls(_decode(text, VARIABLE))
        path = key_file(State.from_env())
        return cls(_decode(_stored(path), str(path)))

    def __repr__(self) -> str:
        return "Keys(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are never stored with anything else")

    def pseudonym(self, value: str, column: str) -> str:
        """31 printable characters for an identifier; a pseudonym made by this key stays."""
        if PSEUDONYM.fullmatch(value):
            raw = base64.urlsafe_b64decode(value[3:])
            if not hmac.compare_digest(self._mark(raw[:_HASH_BYTES], column), raw[_HASH_BYTES:]):
                raise DataError(f"column {column!r} holds pseudonyms of another key.", _WAY_OUT)
            return value
        body = self._hash(b"id", column, value.encode(errors="surrogatepass"))[:_HASH_BYTES]
        return f"p1_{base64.urlsafe_b64encode(body + self._mark(body, column)).decode()}"

    def encrypt(self, value: bytes, column: str) -> str:
        """``value`` as a token of printable characters; the same value gives the same token."""
        sealed = self._cipher.encrypt(value, [b"v1", column.encode()])
        return f"enc1.{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"

    def decrypt(self, token: str, column: str) -> bytes:
        """What ``encrypt`` was given. Raises DataError for another key or column, or tampering."""
        from cryptography.exceptions import InvalidTag

        text = token.partition(".")[2]
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return self._cipher.decrypt(sealed, [b"v1", column.encode()])
        except (InvalidTag, binascii.Error, ValueError):
            # Without the cause: a traceback is a place where values must not stand.
            raise DataError(
                f"column {column!r} cannot be decrypted: {VARIABLE} is not the key that it was "
                "encrypted with, or the file was altered.",
                _WAY_OUT,
            ) from None

    def _mark(self, body: bytes, column: str) -> bytes:
        return self._hash(b"mark", column, body)[:_MARK_BYTES]

    def _hash(self, purpose: bytes, column: str, value: bytes) -> bytes:
        message = b"\0".join([purpose, hashlib.sha256(column.encode()).digest(), value])
        return hmac.digest(self._pseudonyms, message, "sha256")


def key_file(state: State) -> Path:
    return state.root / "keys" / "data.key"


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


def _derive(master: bytes, purpose: bytes, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length, salt=None, info=purpose).derive(master)


def _decode(text: str, origin: str) -> bytes:
    """The 32 bytes in base64 ``text``. The errors do not show it."""
    make = "python -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())'"
    try:
        master = base64.b64decode(text.strip().translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{origin} is no base64.", f"Make a key: {make}") from None
    if len(master) != KEY_BYTES:
        problem = f"{origin} holds {len(master)} bytes; a data key has {KEY_BYTES}."
        raise ConfigError(problem, f"Make a key: {make}")
    return master


def _stored(path: Path) -> str:
    """The text of the key file, which the first process to come makes for its owner only."""
    with atomic.lock(path.with_suffix(".lock")):
        if not path.exists():
            fresh = base64.b64encode(os.urandom(KEY_BYTES)) + b"\n"
            atomic.write_bytes(path, fresh, mode=0o600)
    with atomic.storage_errors(path):
        return path.read_text("utf-8", errors="replace")
