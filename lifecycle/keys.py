"""API keys: who may ask a service, and for what.

A key is 256 random bits and is shown once. What is stored is its SHA-256: nobody can search 2²⁵⁶
keys, so a slow hash, which protects what people think up, would only slow requests down. Keys lie
in one JSON file, which running services read again when it changes. ``MLOPS_API_KEYS`` names
another file, or holds keys itself: ``name:scope+scope:key``, separated by commas.
"""

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lifecycle import atomic
from lifecycle.errors import ConfigError, UsageError, did_you_mean
from lifecycle.state import State

VARIABLE = "MLOPS_API_KEYS"
SCOPES = ("predict", "feedback", "admin")
PREFIX = "mlops_"
LEAST_CHARACTERS = 32
CHECK_EVERY_S = 1.0
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NOBODY = b"\0" * 32
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Key:
    """One key as it is stored. ``digest``: SHA-256 as hex; ``created`` and ``revoked``: UTC."""

    name: str
    scopes: tuple[str, ...]
    digest: str
    created: str = ""
    revoked: str = ""


class KeyRing:
    """The keys that open a service; read again from ``path`` within a second of its change.

    A file that is gone opens to nobody. One that cannot be read leaves the keys as they were, and
    that is logged.
    """

    def __init__(self, keys: Iterable[Key] = (), path: Path | None = None) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._checked = time.monotonic()
        if path is not None:
            self._stamp, keys = _stamp(path), read_keys(path)
        self._by_digest = _index(keys)

    def __len__(self) -> int:
        return len(self._by_digest)

    def find(self, secret: bytes) -> Key | None:
        """The key that ``secret`` is, unless it was revoked.

        The time taken says nothing about a stored digest: it is looked up by a hash of the secret,
        which nobody can steer, and compared in constant time.
        """
        if self._path is not None and time.monotonic() - self._checked > CHECK_EVERY_S:
            self._refresh(self._path)
        digest = hashlib.sha256(secret).digest()
        stored, key = self._by_digest.get(digest, (_NOBODY, None))
        return key if hmac.compare_digest(stored, digest) else None

    def _refresh(self, path: Path) -> None:
        self._checked = time.monotonic()
        stamp = _stamp(path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._by_digest = _index(read_keys(path))
        except ConfigError as error:
            log.error("the keys stay as they were: %s", error)


def key_ring(state: State, environment: Mapping[str, str] = os.environ) -> KeyRing:
    """The keys of ``MLOPS_API_KEYS``, or of the state folder where it is not set.

    Raises ConfigError for keys that cannot be read.
    """
    given = environment.get(VARIABLE, "").strip()
    if not given:
        return KeyRing(path=state.keys)
    # Names, scopes and keys hold no slash, and the shortest entry has two colons.
    if given.count(":") < 2:
        path = Path(given).expanduser()
        if not path.is_file():
            raise ConfigError(
                f"{VARIABLE} names the file {path}, which does not exist.",
                "Make it: python run.py keys add NAME --file FILE.",
            )
        return KeyRing(path=path)
    return KeyRing(_parsed(entry) for entry in given.split(",") if entry.strip())


def new_secret() -> str:
    """A fresh key of 256 random bits. The prefix lets scanners find one that leaked."""
    return PREFIX + secrets.token_urlsafe(32)


def add_key(path: Path, lock: Path, name: str, scopes: Iterable[str]) -> str:
    """Store a new key in the file at ``path`` and return it: it cannot be shown again.

    Raises UsageError for a name in use or an unknown scope, StorageError where the disk refuses.
    """
    wanted, secret = checked_scopes(scopes), new_secret()
    made = Key(checked_name(name), wanted, digest_of(secret), _now())
    with atomic.lock(lock):
        kept = read_keys(path)
        if any(key.name == name and not key.revoked for key in kept):
            raise UsageError(
                f"there is a key named {name!r} already.",
                f"Take another name, or revoke it: python run.py keys revoke {name}.",
            )
        _write(path, [*kept, made])
    return secret


def revoke_key(path: Path, lock: Path, name: str) -> Key:
    """Close the key ``name`` for good; it stays listed. Raises UsageError where there is none."""
    with atomic.lock(lock):
        kept = read_keys(path)
        valid = [key for key in kept if not key.revoked]
        found = next((key for key in valid if key.name == name), None)
        if found is None:
            remedy = did_you_mean(name, [key.name for key in valid])
            raise UsageError(f"there is no valid key named {name!r}.", remedy)
        revoked = replace(found, revoked=_now())
        _write(path, [revoked if key == found else key for key in kept])
    return revoked


def read_keys(path: Path) -> list[Key]:
    """All keys in the file at ``path``, revoked ones too; none where there is no file.

    Raises ConfigError for a file that holds something else.
    """
    try:
        entries = json.loads(path.read_text("utf-8"))["keys"]
        return [_checked(Key(**entry | {"scopes": tuple(entry["scopes"])})) for entry in entries]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, UsageError) as error:
        detail = str(error) or type(error).__name__
        raise ConfigError(
            f"{path} is no file of API keys: {detail}.", "Mend it, or move it away and add keys."
        ) from error


def digest_of(secret: str) -> str:
    """SHA-256 as hex: what is stored of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes, each once, in the order of ``SCOPES``. Raises UsageError for an unknown one."""
    wanted = list(scopes)
    for scope in wanted:
        if scope not in SCOPES:
            raise UsageError(f"there is no scope {scope!r}.", did_you_mean(scope, SCOPES))
    if not wanted:
        raise UsageError("a key needs a scope.", f"Known: {', '.join(SCOPES)}.")
    return tuple(scope for scope in SCOPES if scope in wanted)


def checked_name(name: str) -> str:
    """``name`` if it can name a key. Raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a key.", "Use up to 64 letters, digits, '.', '-' and '_'."
        )
    return name


def _parsed(entry: str) -> Key:
    """One ``name:scope+scope:key``. Nothing of the key may stand in an error."""
    parts = entry.strip().split(":", 2)
    if len(parts) != 3:
        raise ConfigError(
            f"an entry of {VARIABLE} is no name:scopes:key.", "Example: app:predict+feedback:KEY."
        )
    name, scopes, secret = parts
    if len(secret) < LEAST_CHARACTERS:
        raise ConfigError(
            f"the key of {name!r} in {VARIABLE} is shorter than {LEAST_CHARACTERS} characters.",
            "Make a random one: python run.py keys add NAME.",
        )
    try:
        return Key(checked_name(name), checked_scopes(scopes.split("+")), digest_of(secret))
    except UsageError as error:
        raise ConfigError(f"{VARIABLE}: {error.problem}", error.remedy) from error


def _checked(key: Key) -> Key:
    checked_name(key.name)
    checked_scopes(key.scopes)
    if not _DIGEST.fullmatch(key.digest):
        raise ValueError(f"the digest of {key.name!r} is no SHA-256")
    return key


def _index(keys: Iterable[Key]) -> dict[bytes, tuple[bytes, Key]]:
    digests = [(bytes.fromhex(key.digest), key) for key in keys if not key.revoked]
    return {digest: (digest, key) for digest, key in digests}


def _write(path: Path, keys: list[Key]) -> None:
    atomic.write_text(path, json.dumps({"keys": [asdict(key) for key in keys]}, indent=1) + "\n")
    with atomic.storage_errors(path):
        path.chmod(0o600)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
