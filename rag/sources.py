"""Where documents come from: files, and Python's own language topics."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from lifecycle.sources import RawFile, read_files
from rag.parsers import SUFFIXES

_MEGABYTE = 1_000_000


def python_topics() -> Iterator[RawFile]:
    """The language reference by topic, as ``help("with")`` shows it, sorted by name.

    It comes with every Python; the text is that of the version that runs.
    """
    from pydoc_data.topics import topics

    for name in sorted(topics):
        yield RawFile(f"python:{name}.rst", topics[name].encode())


def collect(
    paths: Iterable[str], python_topics: bool, root: Path, max_file_mb: int = 200
) -> Iterator[RawFile]:
    """The files of a known format at or below ``paths``, then the topics if wanted.

    Relative paths count from ``root``. A file over ``max_file_mb`` (10⁶ bytes) comes without its
    data, the reason said, and so does one that is not readable. Raises SourceError where a path
    does not exist.
    """
    for raw in read_files(paths, root, frozenset(SUFFIXES)):
        too_large = raw.data is not None and len(raw.data) > max_file_mb * _MEGABYTE
        yield RawFile(raw.uri, None, f"is larger than {max_file_mb} MB.") if too_large else raw
    if python_topics:
        yield from _topics()


_topics = python_topics
