"""From a source to one table, as it came."""

from pathlib import Path

from classic.tabular.config import SourceConfig
from lifecycle import usecases
from lifecycle.intake import load_files, source_digest


def digest(source: SourceConfig, use_case: str, root: Path) -> str:
    """What the source holds; empty for what is simulated. Raises SourceError where it is missing."""
    if source.kind == "files":
        return source_digest(root / Path(source.path).expanduser())
    return usecases.find(use_case).source().digest(source.options, root)


def load(source: SourceConfig, use_case: str, root: Path, out: Path) -> str:
    """The table to ``out``. A sentence about it."""
    if source.kind == "files":
        return load_files(root / Path(source.path).expanduser(), out)
    return usecases.find(use_case).source().load(source.options, root, out)
