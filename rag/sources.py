"""Where documents come from: files, Python's own language topics, installed packages."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from email.message import Message
from importlib import metadata
from pathlib import Path, PurePosixPath

from lifecycle.errors import SourceError
from lifecycle.sources import RawFile, read_files
from rag.parsers import SUFFIXES

_MEGABYTE = 1_000_000
_PACKAGED = frozenset({".py", ".rst", ".md"})
_DESCRIPTIONS = {"text/markdown": ".md", "text/plain": ".txt"}  # anything else: reStructuredText


def python_topics() -> Iterator[RawFile]:
    """The language reference by topic, as ``help("with")`` shows it, sorted by name.

    It comes with every Python; the text is that of the version that runs.
    """
    from pydoc_data.topics import topics

    for name in sorted(topics):
        yield RawFile(f"python:{name}.rst", topics[name].encode())


def package_files(name: str) -> Iterator[RawFile]:
    """The documentation in the installed distribution ``name``, of the version installed.

    First the description from its METADATA, as ``package:<name>/METADATA.rst`` (or ``.md``,
    ``.txt``), then its Python, reStructuredText and Markdown files, sorted by path, as
    ``package:<name>/<path>``. Nothing is imported. Raises SourceError where nothing of that name is
    installed.
    """
    try:
        found = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError) as error:
        raise SourceError(f"package {name!r} is not installed.", _nearest(name)) from error
    title = found.metadata["Name"]
    yield _description(found, f"package:{title}/METADATA")
    for path in sorted(found.files or (), key=str):
        if _is_documentation(path):
            yield _package_file(f"package:{title}/{path}", Path(str(path.locate())))


def _nearest(name: str) -> str:
    names = {found.metadata["Name"] or "" for found in metadata.distributions()} - {""}
    imported = metadata.packages_distributions().get(name)
    near = imported or get_close_matches(name.lower(), names, n=1, cutoff=0)
    return f"Did you mean {near[0]!r}?" if near else ""


def _description(found: metadata.Distribution, uri: str) -> RawFile:
    about = found.metadata
    assert isinstance(about, Message)  # what importlib.metadata returns, under a protocol's name
    media = str(about.get("Description-Content-Type") or "").lower()
    suffix = _DESCRIPTIONS.get(media.partition(";")[0].strip(), ".rst")
    headline = f"{about['Name']} {found.version}"
    rule = "#" * len(headline)
    head = f"# {headline}" if suffix == ".md" else f"{rule}\n{headline}\n{rule}"
    body = about.get("Description") or about.get_payload()
    parts = [head, str(about.get("Summary") or ""), str(body or "")]
    return RawFile(uri + suffix, "\n\n".join(filter(None, parts)).encode("utf-8", "replace"))


def _is_documentation(path: PurePosixPath) -> bool:
    """Python source, and texts beside it; not the licences among the metadata."""
    return path.suffix in _PACKAGED and not path.parts[0].endswith((".dist-info", ".data"))


def _package_file(uri: str, path: Path) -> RawFile:
    try:
        return RawFile(uri, path.read_bytes())
    except OSError as error:
        return RawFile(uri, None, f"cannot be read: {error.strerror}")


def collect(
    paths: Iterable[str],
    python_topics: bool,
    root: Path,
    max_file_mb: int = 200,
    packages: Iterable[str] = (),
) -> Iterator[RawFile]:
    """The files of a known format at or below ``paths``, then the topics if wanted, then the
    documentation of the installed ``packages``.

    Relative paths count from ``root``. A file over ``max_file_mb`` (10⁶ bytes) comes without its
    data, the reason said, and so does one that is not readable. Raises SourceError where a path
    does not exist or a package is not installed.
    """
    for raw in read_files(paths, root, frozenset(SUFFIXES)):
        too_large = raw.data is not None and len(raw.data) > max_file_mb * _MEGABYTE
        yield RawFile(raw.uri, None, f"is larger than {max_file_mb} MB.") if too_large else raw
    if python_topics:
        yield from _topics()
    for name in packages:
        yield from package_files(name)


_topics = python_topics
