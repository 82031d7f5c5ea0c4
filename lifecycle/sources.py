"""Raw files as a source hands them over: a name that a person can open, and bytes."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lifecycle.errors import SourceError


@dataclass(frozen=True)
class RawFile:
    """One file of a source.

    ``uri`` is what a citation shows: a path relative to the working folder where the file lies
    inside it, an absolute path otherwise, or ``scheme:name`` for what is no file on disk.
    ``data`` holds the bytes; None where the file could not be read, and then ``problem`` says why.
    """

    uri: str
    data: bytes | None
    problem: str = ""


def read_files(paths: Iterable[str], root: Path, suffixes: frozenset[str]) -> Iterator[RawFile]:
    """Every file with one of ``suffixes`` at or below ``paths``, in sorted order.

    Relative paths count from ``root``; ``~`` is expanded. Hidden files and folders below a named
    folder are left out. A file named by itself is taken whatever its suffix, so that the caller
    can say why it is not usable. Raises SourceError where a named path does not exist.
    """
    for given in paths:
        base = root / Path(given).expanduser()
        if not base.exists():
            raise SourceError(
                f"source path {given!r} does not exist (looked in {root}).",
                "Name existing files or folders: --set source.paths='[\"docs\"]'.",
            )
        for path in _listing(base, suffixes):
            yield _read(path, root)


def _listing(base: Path, suffixes: frozenset[str]) -> list[Path]:
    if base.is_file():
        return [base]
    return sorted(
        path
        for path in base.rglob("*")
        if path.is_file()
        and path.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in path.relative_to(base).parts)
    )


def _read(path: Path, root: Path) -> RawFile:
    inside = path.is_relative_to(root)
    uri = str(path.relative_to(root) if inside else path)
    try:
        return RawFile(uri, path.read_bytes())
    except OSError as error:
        return RawFile(uri, None, f"cannot be read: {error.strerror}")


def digest(files: Iterable[RawFile]) -> str:
    """SHA-256 over the names and bytes of ``files``: equal exactly when the source is unchanged."""
    total = hashlib.sha256()
    for file in files:
        content = hashlib.sha256(file.data or file.problem.encode()).hexdigest()
        total.update(f"{file.uri}\0{content}\n".encode())
    return total.hexdigest()
