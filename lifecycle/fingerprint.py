"""What code a result came from: the files a module depends on, and the commit it stands at."""

import ast
import hashlib
import subprocess
from collections.abc import Container, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("lifecycle", "rag", "classic", "deep", "steps", "usecases")


@dataclass(frozen=True)
class CodeVersion:
    """``commit`` is empty outside a git checkout; ``fingerprint`` covers the files that matter."""

    commit: str
    dirty: bool
    fingerprint: str

    def __str__(self) -> str:
        name = self.commit[:10] or "no commit"
        return f"{name}{'+changes' if self.dirty else ''} ({self.fingerprint})"

    def to_dict(self) -> dict[str, str | bool]:
        return asdict(self)


def code_version(modules: Iterable[str]) -> CodeVersion:
    """The git commit of the project, and the fingerprint of ``modules`` with what they import."""
    commit = _git("rev-parse", "HEAD")
    dirty = bool(commit and _git("status", "--porcelain", "--untracked-files=no"))
    return CodeVersion(commit, dirty, fingerprint(modules))


def fingerprint(modules: Iterable[str]) -> str:
    """16 hex digits over the content of ``dependencies(modules)``."""
    digest = hashlib.sha256()
    for path in dependencies(modules):
        digest.update(path.encode() + b"\0" + hashlib.sha256((ROOT / path).read_bytes()).digest())
    return digest.hexdigest()[:16]


def dependencies(modules: Iterable[str], packages: Container[str] = PACKAGES) -> list[str]:
    """Files of this project that ``modules`` import, directly or not, relative to its root.

    Imports are read from the source, those inside functions included, so that nothing is run and
    a lazy import counts. Only files of ``packages`` are looked at.
    """
    seen: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _file(name) if name.split(".", maxsplit=1)[0] in packages else None
        if path is not None and name not in seen:
            seen[name] = path
            waiting += [*_parents(name), *_imports(path, path.stat().st_mtime_ns)]
    return sorted({str(path.relative_to(ROOT)) for path in seen.values()})


def libraries(names: Iterable[str]) -> dict[str, str]:
    """Installed versions of distributions; those not installed are left out."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _file(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


@cache
def _imports(path: Path, mtime_ns: int) -> tuple[str, ...]:
    return tuple(_imported(ast.parse(path.read_bytes(), str(path))))


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
