"""Raw files to documents: what cannot be read is listed with the reason, not dropped."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lifecycle.errors import SourceError
from lifecycle.sources import RawFile
from rag.parsers import parse
from rag.parsers.base import NothingToReadError
from rag.types import Document

_NAMED = 3  # reasons in an error message


@dataclass(frozen=True)
class Skipped:
    """A file that gave no document. ``reason`` goes on from the name: "is empty"."""

    uri: str
    reason: str


@dataclass(frozen=True)
class Loaded:
    """``documents`` in the order of their files, no two with the same text."""

    documents: list[Document] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def load_documents(
    files: Iterable[RawFile],
    max_unreadable_share: float,
    parse: Callable[[RawFile], Document] = parse,
) -> Loaded:
    """Parses ``files``; unreadable ones and copies go to ``skipped``.

    Raises SourceError where no document is left, and where more than ``max_unreadable_share``
    (0 to 1) of all files are unreadable; copies are readable, and so is a Python file without a
    docstring.
    """
    loaded = Loaded()
    unreadable: list[Skipped] = []
    known: dict[str, str] = {}
    for raw in files:
        try:
            document = parse(raw)
        except SourceError as error:
            loaded.skipped.append(Skipped(raw.uri, error.problem.rstrip(".")))
            if not isinstance(error, NothingToReadError):
                unreadable.append(loaded.skipped[-1])
            continue
        if document.doc_id in known:
            reason = f"same text as {known[document.doc_id]}"
            loaded.skipped.append(Skipped(raw.uri, reason))
        else:
            known[document.doc_id] = document.uri
            loaded.documents.append(document)
    _check(loaded, unreadable, max_unreadable_share)
    return loaded


def _check(loaded: Loaded, unreadable: list[Skipped], max_unreadable_share: float) -> None:
    total = len(loaded.documents) + len(loaded.skipped)
    if not total:
        raise SourceError(
            "no files to read: the source is empty.",
            "Name folders or files: --set source.paths='[\"docs\"]'.",
        )
    if not loaded.documents:
        raise SourceError(f"none of {total} files can be read: {_reasons(loaded.skipped)}")
    if len(unreadable) > max_unreadable_share * total:
        raise SourceError(
            f"{len(unreadable)} of {total} files cannot be read, more than the share of"
            f" {max_unreadable_share:g} that source.max_unreadable_share allows:"
            f" {_reasons(unreadable)}",
            "Mend or leave out these files, or raise the share.",
        )


def _reasons(skipped: list[Skipped]) -> str:
    named = "; ".join(f"{item.uri} {item.reason}" for item in skipped[:_NAMED])
    more = len(skipped) - _NAMED
    return f"{named}; and {more} more." if more > 0 else f"{named}."
