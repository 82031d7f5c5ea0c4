"""SHA-256 of files, and receipts, so that a large file is not hashed at every load.

A receipt notes the digest of each file of a folder, with size, inode, device and times as they
were before the file was hashed. The system moves a file's ctime at every change, and no program
can set it back: what still has the same is what was hashed. Like Git's index, a receipt leaves out
a file that changed just before, because a second change within one tick of the file system's clock
would not show. It is a cache: one that is missing, damaged or cannot be written costs only time.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lifecycle.atomic import write_text
from lifecycle.errors import BundleError, StorageError

REBUILD = "Run the pipeline again, or roll back: python run.py rollback NAME."
# Longer than a tick of any file system's clock: FAT's takes 2 s.
TICK_NS = 3_000_000_000
Line = tuple[str, list[int]]  # digest, and what `_stat` gives


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hex. Raises BundleError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.", REBUILD) from error


def digests(
    folder: Path, names: Iterable[str], receipts: Path | None = None, *, renew: bool = False
) -> dict[str, str]:
    """SHA-256 of each of the files ``names`` in ``folder``, in their order.

    With ``receipts``, the folder where they are kept, only files that changed since the last call
    are read; with ``renew`` all are, and the receipt is made anew. Raises BundleError as ``sha256``
    does.
    """
    if receipts is None:
        return _hashed(folder, list(names))
    path = receipts / f"{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]}.json"
    kept, stats = {} if renew else _read(path), {name: _stat(folder / name) for name in names}
    known = {name: kept[name][0] for name in kept if kept[name][1] == stats.get(name)}
    latest = time.time_ns() - TICK_NS
    found = known | _hashed(folder, [name for name in stats if name not in known])
    lines = {name: (found[name], stat) for name, stat in stats.items() if stat[-1] < latest}
    if lines != kept:
        with suppress(StorageError):
            write_text(path, json.dumps(lines))
    return {name: found[name] for name in stats}


def _hashed(folder: Path, names: list[str]) -> dict[str, str]:
    """Several files at once: hashing releases Python's lock."""
    from concurrent.futures import ThreadPoolExecutor

    if not names:
        return {}
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(sha256, [folder / name for name in names]), strict=True))


def _stat(path: Path) -> list[int]:
    try:
        found = path.stat()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.", REBUILD) from error
    return [found.st_size, found.st_ino, found.st_dev, found.st_mtime_ns, found.st_ctime_ns]


def _read(path: Path) -> dict[str, Line]:
    try:
        stored = json.loads(path.read_text("utf-8"))
        return {name: (str(digest), list(stat)) for name, (digest, stat) in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
