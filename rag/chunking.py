"""Documents to chunks: by headings, then packed from sentences and code up to the token limit."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

from lifecycle.errors import ConfigError
from rag.outline import Lines, Section, Trail, groups, sections
from rag.packing import pack
from rag.types import TRAIL_JOINT, Block, Chunk, Document, embedded_text, squeezed
from rag.units import Unit, smaller, units_of

_LEAST_TOKENS = 32
_TINY = 0.2  # of max_tokens: a section shorter than this is read with its first subsections
_LONGEST_TRAIL = 0.33  # of max_tokens
_WIDEST = 16  # characters to a token: a long word may be one unknown token
_BATCH = 4096


class CountsTokens(Protocol):
    """What the chunker must know of the embedder; ``rag.tokens.TokenCounter`` is one.

    ``special``: tokens added around every text. ``count``: tokens of each text without those.
    ``additive``: whether a text has as many tokens as its words by themselves.
    """

    @property
    def special(self) -> int: ...

    @property
    def additive(self) -> bool: ...

    def count(self, texts: Sequence[str]) -> list[int]: ...


def chunk(
    document: Document,
    counter: CountsTokens,
    max_tokens: int,
    overlap_sentences: int = 1,
    heading_trail: bool = True,
) -> list[Chunk]:
    """The chunks of ``document``, in order; together they hold all that is not white space.

    A chunk has at most ``max_tokens`` tokens as embedded, trail and special tokens included. It
    stays within a section, a section's short opening is read with its first subsections, and
    code is cut only where it is too long. A chunk that goes on within a section repeats
    ``overlap_sentences`` of the one before, as far as they are short. With ``heading_trail`` the
    chunk is embedded under its headings. Time and memory grow linearly with the text.

    Raises ConfigError where ``max_tokens`` is too small to hold a sentence.
    """
    if max_tokens < _LEAST_TOKENS:
        raise ConfigError(
            f"chunking.max_tokens is {max_tokens}; it must be at least {_LEAST_TOKENS}."
        )
    work = _Chunker(document, counter, max_tokens, overlap_sentences, heading_trail)
    return list(_finished(document, work.passages(), counter.special))


class _Passage(NamedTuple):
    """A chunk in the making; ``tokens``: as embedded, without the special ones."""

    trail: Trail
    units: Sequence[Unit]
    start: int
    end: int
    tokens: int = 0


@dataclass(frozen=True)
class _Chunker:
    document: Document
    counter: CountsTokens
    max_tokens: int
    overlap: int
    heading_trail: bool

    @property
    def room(self) -> int:
        return self.max_tokens - self.counter.special

    def passages(self) -> Iterator[_Passage]:
        parts = sections(self.document.blocks)
        if self.heading_trail:
            self._set_trails(parts)
        self._set_units(parts)
        drafts: list[_Passage] = []
        for group in groups(parts, self.max_tokens * _TINY):
            drafts.extend(self._packed(group))
            if len(drafts) >= _BATCH:
                yield from self._checked(drafts)
                drafts.clear()
        yield from self._checked(drafts)

    def _set_trails(self, parts: Sequence[Section]) -> None:
        paths = list({section.path: None for section in parts if section.path})
        counts = self.counter.count([TRAIL_JOINT.join(path) for path in paths])
        trails = {
            path: self._shortened(Trail(path, tokens))
            for path, tokens in zip(paths, counts, strict=True)
        }
        for section in parts:
            section.trail = trails.get(section.path, section.trail)

    def _shortened(self, trail: Trail) -> Trail:
        """Without outer headings, then without the end of the innermost, until it fits."""
        titles, tokens = trail
        while tokens > self.max_tokens * _LONGEST_TRAIL:
            titles = titles[1:] or (titles[0][: len(titles[0]) // 2].rstrip() + "…",)
            (tokens,) = self.counter.count([TRAIL_JOINT.join(titles)])
        return Trail(titles, tokens)

    def _set_units(self, parts: Sequence[Section]) -> None:
        planned = ((section, unit) for section in parts for unit in self._units(section))
        while batch := list(islice(planned, _BATCH)):
            counts = self._count([unit for _, unit in batch])
            for (section, unit), tokens in zip(batch, counts, strict=True):
                limit = self.room - section.trail.tokens
                section.units.extend(self._fitting(unit, tokens, limit))

    def _units(self, section: Section) -> Iterator[Unit]:
        before: Block | None = None
        for number in section.blocks:
            block = self.document.blocks[number]
            yield from units_of(self.document.text, block, number, before)
            before = block

    def _count(self, units: Sequence[Unit]) -> list[int]:
        """Tokens of each unit; 0 for one that is too wide to count."""
        text = self.document.text
        return self.counter.count(
            ["" if self._wide(unit) else squeezed(text[unit.start : unit.end]) for unit in units]
        )

    def _wide(self, unit: Unit) -> bool:
        return unit.end - unit.start > self.max_tokens * _WIDEST

    def _fitting(self, unit: Unit, tokens: int, limit: int) -> Iterator[Unit]:
        """``unit``, or the pieces into which it must be cut."""
        if unit.end - unit.start == 1 or (tokens <= limit and not self._wide(unit)):
            yield unit._replace(tokens=tokens)
            return
        pieces = smaller(self.document.text, unit, self.max_tokens)
        for piece, count in zip(pieces, self._count(pieces), strict=True):
            yield from self._fitting(piece, count, limit)

    def _packed(self, group: Sequence[Section]) -> Iterator[_Passage]:
        units = [unit for section in group for unit in section.units]
        limit = self.room - max(section.trail.tokens for section in group)
        for run in pack(units, limit, self.max_tokens * _WIDEST, self.overlap):
            yield self._passage(_main_trail(group, run), run)

    def _passage(self, trail: Trail, units: Sequence[Unit]) -> _Passage:
        start, end = units[0].start, units[-1].end
        return _Passage(trail, units, start, start + len(self.document.text[start:end].rstrip()))

    def _checked(self, drafts: Sequence[_Passage]) -> Iterator[_Passage]:
        """The passages with their exact tokens; those over the limit, which a tokenizer that
        does not count word by word can bring about, in two."""
        for draft, tokens in zip(drafts, self._exact(drafts), strict=True):
            if tokens <= self.room or draft.end - draft.start == 1:
                yield draft._replace(tokens=tokens)
            else:
                yield from self._checked(self._halves(draft))

    def _exact(self, drafts: Sequence[_Passage]) -> list[int]:
        text = self.document.text
        asked = [draft for draft in drafts if not self._adds_up(draft)]
        counts = iter(
            self.counter.count(
                [
                    embedded_text(draft.trail.titles, text[draft.start : draft.end])
                    for draft in asked
                ]
            )
        )
        return [
            draft.trail.tokens + sum(unit.tokens for unit in draft.units)
            if self._adds_up(draft)
            else next(counts)
            for draft in drafts
        ]

    def _adds_up(self, draft: _Passage) -> bool:
        """Whether the units of a passage have as many tokens as the passage: white space parts
        them all, and the tokenizer takes no notice of it."""
        text = self.document.text
        return self.counter.additive and all(
            text[unit.start - 1] in " \t\n" for unit in draft.units[1:]
        )

    def _halves(self, draft: _Passage) -> list[_Passage]:
        units = draft.units
        if len(units) == 1:
            pieces = smaller(self.document.text, units[0], self.max_tokens)
            counts = self._count(pieces)
            units = [unit._replace(tokens=n) for unit, n in zip(pieces, counts, strict=True)]
        middle = len(units) // 2
        return [self._passage(draft.trail, half) for half in (units[:middle], units[middle:])]


def _main_trail(group: Sequence[Section], run: Sequence[Unit]) -> Trail:
    """The trail of the section that most of the run belongs to, the first of equals."""
    tokens = [sum(unit.tokens for unit in run if unit.block in section.blocks) for section in group]
    return group[tokens.index(max(tokens))].trail


def _finished(document: Document, passages: Iterable[_Passage], special: int) -> Iterator[Chunk]:
    lines = Lines(document)
    seen: Counter[str] = Counter()
    for trail, units, start, end, tokens in passages:
        text = document.text[start:end]
        yield Chunk(
            chunk_id=_chunk_id(document.uri, text, seen[text]),
            doc_id=document.doc_id,
            uri=document.uri,
            title=document.title,
            trail=trail.titles,
            text=text,
            start=start,
            end=end,
            line_start=lines.at(start, units[0].block),
            line_end=lines.at(end - 1, units[-1].block),
            page=document.blocks[units[0].block].page,
            tokens=tokens + special,
        )
        seen[text] += 1


def _chunk_id(uri: str, text: str, occurrence: int) -> str:
    """Depends on nothing else in the document, so that an edit elsewhere leaves it alone."""
    return hashlib.sha256(f"{uri}\0{occurrence}\0{text}".encode()).hexdigest()[:16]
