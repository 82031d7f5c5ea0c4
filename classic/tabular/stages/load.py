"""From a source to one table, as it came."""

from pathlib import Path

from classic.tabular.config import FilesSource, SourceConfig
from lifecycle import usecases
from lifecycle.intake import digest_files, load_files


def digest(source: SourceConfig, use_case: str, root: Path) -> str:
    """Of what the source holds; empty for what is simulated. SourceError where it is missing."""
    if isinstance(source, FilesSource):
        return digest_files(source, root)
    return usecases.find(use_case).source().digest(source.options, root)


def load(source: SourceConfig, use_case: str, root: Path, out: Path) -> str:
    """The table to ``out``. A sentence about it."""
    if isinstance(source, FilesSource):
        return load_files(source, root, out)
    return usecases.find(use_case).source().load(source.options, root, out)
