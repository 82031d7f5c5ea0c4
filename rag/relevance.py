"""Which chunks answer a question: those that hold the passage that it quotes."""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from lifecycle.errors import did_you_mean
from rag.questions import Question, folded
from rag.types import Chunk

_LEAST_COPIED = 40  # characters


@dataclass(frozen=True)
class Located:
    """``relevant``: chunk ids by id of an answerable question that was found; ``stale``: why the
    others were not."""

    relevant: Mapping[str, frozenset[str]]
    stale: Mapping[str, str]


def locate(questions: Iterable[Question], chunks: Iterable[Chunk]) -> Located:
    """The chunks that answer each answerable question.

    Those of its source which hold the quote, white space apart, and those of other documents that
    hold it whole: a passage that stands twice answers in both places. Where the quote is cut
    between chunks of its source, those which hold at least half of it, or else the one that holds
    the most.
    """
    asked = [question for question in questions if question.answerable]
    every = list(chunks)
    sources = _sources(every, {question.source for question in asked})
    texts = [(chunk.chunk_id, folded(chunk.text)) for chunk in every]
    relevant: dict[str, frozenset[str]] = {}
    stale: dict[str, str] = {}
    for question in asked:
        found = _holding(question, sources)
        if isinstance(found, str):
            stale[question.id] = found
        else:
            relevant[question.id] = found | _copies(question.quote, texts)
    return Located(relevant, stale)


@dataclass(frozen=True)
class _Source:
    """A document's text put together again from its chunks, blanks where no chunk is.

    ``chunks`` are sorted by ``starts``; ``reach`` is how far each and those before it go.
    """

    text: str
    chunks: Sequence[Chunk]
    starts: Sequence[int]
    reach: Sequence[int]

    def overlapping(self, start: int, end: int) -> Sequence[Chunk]:
        return self.chunks[bisect_right(self.reach, start) : bisect_left(self.starts, end)]


def _sources(chunks: Iterable[Chunk], wanted: set[str]) -> dict[str, _Source | None]:
    """By uri: the wanted documents, and None for the others."""
    by_uri: dict[str, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        by_uri[chunk.uri] += [chunk] if chunk.uri in wanted else []
    return {uri: _rebuilt(parts) if parts else None for uri, parts in by_uri.items()}


def _rebuilt(chunks: Sequence[Chunk]) -> _Source:
    ordered = sorted(chunks, key=lambda chunk: chunk.start)
    starts = [chunk.start for chunk in ordered]
    reach = list(accumulate((chunk.end for chunk in ordered), max))
    pieces = [
        " " * (chunk.start - before) + chunk.text[max(before - chunk.start, 0) :]
        for chunk, before in zip(ordered, [0, *reach], strict=False)
    ]
    return _Source("".join(pieces), ordered, starts, reach)


def _holding(question: Question, sources: Mapping[str, _Source | None]) -> frozenset[str] | str:
    source = sources.get(question.source)
    if source is None:
        return f"there is no document {question.source!r}. {did_you_mean(question.source, sources)}"
    pattern = re.compile(r"\s+".join(map(re.escape, question.quote.split())))
    places = [match.span() for match in pattern.finditer(source.text)]
    if not places:
        return f"the quote does not stand in {question.source!r}."
    return frozenset().union(*(_best_holders(source, *place) for place in places))


def _copies(quote: str, texts: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Ids of the chunks that hold the whole quote, if it is long enough to mean only this."""
    whole = folded(quote)
    if len(whole) < _LEAST_COPIED:
        return frozenset()
    return frozenset(chunk_id for chunk_id, text in texts if whole in text)


def _best_holders(source: _Source, start: int, end: int) -> set[str]:
    chunks = source.overlapping(start, end)
    held = {chunk.chunk_id: min(chunk.end, end) - max(chunk.start, start) for chunk in chunks}
    most = max(held.values())
    enough = end - start if most == end - start else min(most, (end - start) / 2)
    return {chunk_id for chunk_id, length in held.items() if length >= enough}
