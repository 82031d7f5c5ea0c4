"""What an earlier run made of a source, kept so that the next one redoes only what has changed.

One folder a key under ``cache/kept``, with the files of the latest run, hard-linked. It is a cache:
whoever finds nothing in it, or something damaged, makes everything anew.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path

from lifecycle.atomic import directory, write_text
from lifecycle.bundle import link_or_copy

MOST = 8
"""Keys kept; beyond, the one that was not used for the longest time goes."""

_LATEST = "latest"


def key(*parts: object) -> str:
    """A name for what depends on ``parts``, which JSON must know."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def find(cache: Path, key: str) -> Path | None:
    """The folder that was kept under ``key``, if there is one."""
    root = cache / "kept" / key
    try:
        return root / (root / _LATEST).read_text(encoding="utf-8")
    except OSError:
        return None


def keep(cache: Path, key: str, folder: Path, names: Iterable[str]) -> None:
    """Keep the files (or folders) ``names`` of ``folder``, which must not change any more."""
    root = cache / "kept" / key
    name = uuid.uuid4().hex
    with directory(root / name) as dest:
        for path in (found for one in names for found in _files(folder / one)):
            link_or_copy(path, dest / path.relative_to(folder))
    write_text(root / _LATEST, name)
    _forget(root, name)
    for other in sorted(root.parent.iterdir(), key=lambda one: -one.stat().st_mtime)[MOST:]:
        shutil.rmtree(other, ignore_errors=True)


def _files(path: Path) -> list[Path]:
    return [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]


def _forget(root: Path, latest: str) -> None:
    """Remove what was kept before; who reads it still has it open."""
    for path in root.iterdir():
        if path.is_dir() and path.name != latest:
            shutil.rmtree(path, ignore_errors=True)
