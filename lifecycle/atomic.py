"""Durable writes: a reader sees the old version or the new one, never half of either.

A file or folder is written beside its destination, flushed to the disk, and renamed into place;
the rename is what commits it. A process killed at any point leaves the destination as it was, and
at most a ``.tmp-`` sibling, which ``sweep`` removes.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lifecycle.errors import StorageError

TEMPORARY = ".tmp-"
STALE_AFTER_S = 24 * 3600


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8; see ``write_bytes``."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Replace the file at ``path`` by ``data``. Raises StorageError where the disk refuses.

    ``mode`` is who may read and write it, from its first byte on, less the umask.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path.parent)
        try:
            with open(
                temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)
            ) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def append_line(path: Path, line: str) -> None:
    """Append one line durably; a line cut short by a crash is ended before the next is written."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            torn = file.tell() > 0 and _last_byte(path) != b"\n"
            file.write((b"\n" if torn else b"") + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def directory(dest: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``dest`` when the block ends without an error.

    For folders that never change once they are there: where ``dest`` exists by then, the first
    writer has won and this copy is dropped. Raises StorageError where the disk refuses; any other
    error passes through after the temporary folder is removed.
    """
    with storage_errors(dest):
        dest.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(dest.parent)
        temporary.mkdir()
        try:
            yield temporary
            for path in sorted(temporary.rglob("*")):
                _sync(path)
            _commit(temporary, dest)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _sync_folder(dest.parent)


@contextmanager
def lock(path: Path, timeout_s: float = 600.0) -> Iterator[None]:
    """Hold the lock file at ``path``; released by the system if the process dies.

    Raises StorageError when another process holds it for longer than ``timeout_s``.
    """
    from filelock import FileLock, Timeout

    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=timeout_s):
            yield
    except Timeout as error:
        raise StorageError(
            f"another process has held {path} for {timeout_s:g} s.",
            "Wait for it to end, or stop it, and try again.",
        ) from error


def sweep(folder: Path, older_than_s: float = STALE_AFTER_S) -> None:
    """Remove what killed processes left half-written directly in ``folder``."""
    import time

    if not folder.is_dir():
        return
    for path in folder.glob(f"{TEMPORARY}*"):
        try:
            stale = time.time() - path.stat().st_mtime > older_than_s
        except FileNotFoundError:
            continue
        if stale:
            _remove(path)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translate an operating-system error into a StorageError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}.",
            "Free space or mend the permissions, or move the state folder with MLOPS_HOME.",
        ) from error


def _temporary(folder: Path) -> Path:
    """A name that nobody else has; made by open and mkdir, so that the umask decides who reads."""
    return folder / f"{TEMPORARY}{uuid.uuid4().hex}"


def _commit(temporary: Path, dest: Path) -> None:
    if not dest.exists():
        os.replace(temporary, dest)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    _sync(path)
