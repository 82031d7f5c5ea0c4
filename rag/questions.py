"""Questions that an index is measured on: golden ones from a file, or made from the documents.

A golden question names its source and quotes the passage that answers it, not a chunk: chunks
change with the chunker, and ``locate`` finds those that hold the quote.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from lifecycle.errors import InvalidDataError, SourceError, did_you_mean
from rag.sentences import sentence_spans
from rag.types import Chunk

_MOST_KEYWORDS = 12
_FEWEST_WORDS = 6
_LEAST_COPIED = 40  # characters
_LONGEST_WORD = 30  # characters; what is longer and not ASCII is taken for unspaced writing
_KEPT = 2 / 3


class Question(BaseModel):
    """One line of a questions file.

    ``quote`` stands in the document ``source`` up to white space; ``answer`` is the span of it
    that answers, or empty. An unanswerable question has neither source nor quote. ``topic`` is a
    segment of the evaluation. ``synthetic``: made from the documents by ``synthetic_questions``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    question: str
    split: Literal["dev", "test"] = "test"
    answerable: bool = True
    source: str = ""
    quote: str = ""
    answer: str = ""
    topic: str = ""
    synthetic: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.question.strip():
            raise ValueError("the question is empty")
        if self.answerable and not (self.source and self.quote.strip()):
            raise ValueError("an answerable question needs source and quote")
        if not self.answerable and (self.quote or self.answer):
            raise ValueError("an unanswerable question has no quote and no answer")
        if _folded(self.answer) not in _folded(self.quote):
            raise ValueError(f"the answer {self.answer!r} does not stand in the quote")
        return self


@dataclass(frozen=True)
class Located:
    """``relevant``: chunk ids by id of an answerable question that was found; ``stale``: why the
    others were not."""

    relevant: Mapping[str, frozenset[str]]
    stale: Mapping[str, str]


def load_questions(path: Path) -> list[Question]:
    """The questions of a JSONL file, blank lines left out.

    Raises SourceError where there is no such file and InvalidDataError naming the first line that
    is no question or repeats an id.
    """
    questions: list[Question] = []
    first_line: dict[str, int] = {}
    for number, line in _lines(path):
        question = _parse(line, f"{path}:{number}")
        if question.id in first_line:
            seen = first_line[question.id]
            raise InvalidDataError(f"{path}:{number}: id {question.id!r} is taken by line {seen}.")
        first_line[question.id] = number
        questions.append(question)
    return questions


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
    texts = [(chunk.chunk_id, _folded(chunk.text)) for chunk in every]
    relevant: dict[str, frozenset[str]] = {}
    stale: dict[str, str] = {}
    for question in asked:
        found = _holding(question, sources)
        if isinstance(found, str):
            stale[question.id] = found
        else:
            relevant[question.id] = found | _copies(question.quote, texts)
    return Located(relevant, stale)


def synthetic_questions(chunks: Sequence[Chunk], n: int, seed: int = 0) -> list[Question]:
    """Up to ``n`` known-item questions, each from a sentence that only one document has.

    A third of the sentence's words is left out; the sentence itself is quote and answer. They
    measure whether the index finds again what is in it, no more: nobody asked them, they share
    their words with the passage, and all of them have an answer. The same chunks and seed give
    the same questions; fewer than ``n`` where there are too few such sentences.
    """
    rng = np.random.default_rng(seed)
    order = [chunks[int(place)] for place in rng.permutation(len(chunks))]
    for fewest in (_FEWEST_WORDS, 1):
        sentences = _sample(order, 2 * n, fewest)
        if sentences:
            single = _in_one_document(sentences, chunks)
            own = [pair for pair in sentences if pair[1] in single]
            return [_known_item(*pair, number, rng) for number, pair in enumerate(own[:n], 1)]
    return []


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        near = [str(other) for other in sorted(path.parent.glob("*.jsonl"))]
        raise SourceError(
            f"there is no questions file {path}.", did_you_mean(str(path), near)
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"questions file {path} cannot be read: {error}.") from error
    return ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())


def _parse(line: str, where: str) -> Question:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidDataError(f"{where}: no JSON: {error.msg}.") from error
    try:
        return Question.model_validate(fields)
    except ValidationError as error:
        raise InvalidDataError(f"{where}: {_first_problem(error)}") from error


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown field {key!r}. {did_you_mean(key, Question.model_fields)}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{key}: {message}." if key else f"{message}."


@dataclass(frozen=True)
class _Source:
    """A document's text put together again from its chunks; blanks where no chunk is."""

    text: str
    chunks: Sequence[Chunk]


def _sources(chunks: Iterable[Chunk], wanted: set[str]) -> dict[str, _Source | None]:
    """By uri: the wanted documents, and None for the others."""
    by_uri: dict[str, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        by_uri[chunk.uri] += [chunk] if chunk.uri in wanted else []
    return {uri: _rebuilt(parts) if parts else None for uri, parts in by_uri.items()}


def _rebuilt(chunks: Sequence[Chunk]) -> _Source:
    pieces, end = [], 0
    for chunk in sorted(chunks, key=lambda chunk: chunk.start):
        pieces.append(" " * (chunk.start - end))
        pieces.append(chunk.text[max(end - chunk.start, 0) :])
        end = max(end, chunk.end)
    return _Source("".join(pieces), chunks)


def _holding(question: Question, sources: Mapping[str, _Source | None]) -> frozenset[str] | str:
    source = sources.get(question.source)
    if source is None:
        return f"there is no document {question.source!r}. {did_you_mean(question.source, sources)}"
    pattern = re.compile(r"\s+".join(map(re.escape, question.quote.split())))
    places = [match.span() for match in pattern.finditer(source.text)]
    if not places:
        return f"the quote does not stand in {question.source!r}."
    return frozenset().union(*(_best_holders(source.chunks, *place) for place in places))


def _copies(quote: str, texts: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Ids of the chunks that hold the whole quote, if it is long enough to mean only this."""
    folded = _folded(quote)
    if len(folded) < _LEAST_COPIED:
        return frozenset()
    return frozenset(chunk_id for chunk_id, text in texts if folded in text)


def _best_holders(chunks: Sequence[Chunk], start: int, end: int) -> set[str]:
    held = {chunk.chunk_id: min(chunk.end, end) - max(chunk.start, start) for chunk in chunks}
    most = max(held.values())
    enough = end - start if most == end - start else min(most, (end - start) / 2)
    return {chunk_id for chunk_id, length in held.items() if length >= enough}


def _folded(text: str) -> str:
    return " ".join(text.split())


def _sample(chunks: Iterable[Chunk], n: int, fewest_words: int) -> list[tuple[Chunk, str]]:
    """One sentence of each chunk that has one of at least so many words, the longest."""
    sentences: dict[str, Chunk] = {}
    for chunk in chunks:
        if len(sentences) == n:
            break
        spans = [chunk.text[start:end] for start, end in sentence_spans(chunk.text)]
        longest = max(spans, key=lambda text: len(_keywords(text)), default="")
        if len(_keywords(longest)) >= fewest_words:
            sentences.setdefault(_folded(longest), chunk)
    return [(chunk, sentence) for sentence, chunk in sentences.items()]


def _in_one_document(sentences: Iterable[tuple[Chunk, str]], chunks: Iterable[Chunk]) -> set[str]:
    home = {sentence: chunk.uri for chunk, sentence in sentences}
    for chunk in chunks:
        text = _folded(chunk.text)
        for sentence in [one for one, uri in home.items() if uri != chunk.uri and one in text]:
            del home[sentence]
    return set(home)


def _known_item(chunk: Chunk, sentence: str, number: int, rng: np.random.Generator) -> Question:
    words = _keywords(sentence)
    count = min(_MOST_KEYWORDS, max(1, round(len(words) * _KEPT)))
    kept = sorted(rng.choice(len(words), size=count, replace=False))
    return Question(
        id=f"known-{number:04d}",
        question=" ".join(words[place] for place in kept),
        source=chunk.uri,
        quote=sentence,
        answer=sentence,
        topic="synthetic",
        synthetic=True,
    )


def _keywords(sentence: str) -> list[str]:
    """Words, longer ones in scripts without blanks cut into pieces of four characters."""
    words = re.findall(r"\w+(?:['’.-]\w+)*", sentence)
    return [piece for word in words for piece in _cut(word)]


def _cut(word: str) -> list[str]:
    if word.isascii() or len(word) <= _LONGEST_WORD:
        return [word]
    return [word[start : start + 4] for start in range(0, len(word), 4)]
