"""The keys of a project for sensitive columns; see ``lifecycle.privacy``."""

import base64
import binascii
import hashlib
import hmac
import os
import re
from pathlib import Path
from typing import NoReturn

from lifecycle import atomic
from lifecycle.errors import ConfigError, DataError
from lifecycle.state import State

VARIABLE = "MLOPS_DATA_KEY"
KEY_BYTES = 32
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
