"""How well the sentences of the passages answer a question, and whether they do at all.

Two small log-linear models over features that every question has: one spreads a probability over
the sentences, one turns the best sentence's features into a confidence. ``benchmarks/
fit_answers.py`` fits both and says on what; nothing here is tuned on an evaluation set. Half of its
cases have an answer, so that a confidence of 0.5 is where answering and abstaining err alike there.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rag.cues import offers
from rag.lexical.tokenize import query_terms, tokenize
from rag.readable import Unit, units
from rag.types import Chunk, Passage

if TYPE_CHECKING:
    from rag.embedder import Embedder

Floats = NDArray[np.float64]

# Bounds the work for one question; passages hold some 50 sentences together.
MOST_SENTENCES = 96
MOST_TERMS = 200
# A question of any length is weighed by its beginning: the embedder reads no more either.
MOST_QUESTION_CHARACTERS = 4000

SENTENCE_FEATURES = ("similarity", "passage_similarity", "coverage", "cue")
SENTENCE_WEIGHTS: Floats = np.array([14.6, 7.7, 5.6, 1.6])
CONFIDENCE_FEATURES = ("similarity", "passage_coverage", "names", "standing")
CONFIDENCE_WEIGHTS: Floats = np.array([11.28, 3.77, 1.55, 0.58])
CONFIDENCE_BIAS = -8.0

_NAME = re.compile(r"\b(?:\w+[._]\w[\w.]*|\w*[A-Z\d]\w*)|(?<=[`\"“])\w+(?=[`\"”])")


@dataclass(frozen=True)
class Sentence:
    """A unit of passage ``number`` (from 1); ``position`` is its place there, from 0."""

    text: str
    number: int
    position: int


@dataclass(frozen=True)
class Evidence:
    """``shares``: how likely each sentence is the one that answers, if one does; they sum to 1.
    ``confidence``: how likely the passages answer at all, 0 to 1; without sentences 0."""

    sentences: tuple[Sentence, ...]
    shares: Floats
    confidence: float


@dataclass(frozen=True)
class Features:
    """Of n sentences. ``sentence``: (n, len(SENTENCE_FEATURES)), by which the best is found;
    ``question``: (n, len(CONFIDENCE_FEATURES) - 1), what it then says for an answer at all."""

    sentences: tuple[Sentence, ...]
    sentence: Floats
    question: Floats

    def best(self, scores: Floats) -> Floats:
        """The confidence's features where the sentences have these ``scores``.

        The last is how many standard deviations the best sentence stands above the mean, less the
        most that chance lets one of n stand out, √(2 ln n).
        """
        place = int(scores.argmax())
        spread = float(scores.std()) or 1.0
        standing = float(scores[place] - scores.mean()) / spread
        chance = math.sqrt(2 * math.log(max(len(scores), 2)))
        return np.append(self.question[place], standing - chance)


def weigh(question: str, passages: Sequence[Passage], embedder: "Embedder") -> Evidence:
    """The evidence for an answer to ``question`` in ``passages``."""
    found = features(question, passages, embedder)
    if not found.sentences:
        return Evidence((), np.zeros(0), 0.0)
    scores = found.sentence @ SENTENCE_WEIGHTS
    odds = float(found.best(scores) @ CONFIDENCE_WEIGHTS) + CONFIDENCE_BIAS
    return Evidence(found.sentences, _softmax(scores), 1 / (1 + math.exp(-odds)))


def features(question: str, passages: Sequence[Passage], embedder: "Embedder") -> Features:
    """Both models' features for each sentence of ``passages``, equal sentences once."""
    asked = question[:MOST_QUESTION_CHARACTERS]
    found = candidates([passage.chunk for passage in passages])
    if not found:
        return Features((), np.zeros((0, 0)), np.zeros((0, 0)))
    similarity = _similarity(asked, found, embedder)
    weights = rarity(query_terms(asked)[:MOST_TERMS], found)
    named = dict.fromkeys(names(asked), 1.0)
    sentence: list[ArrayLike] = [
        similarity,
        _passage_similarity(passages, found, similarity),
        [covered(weights, one.nearby) for one in found],
        [offers(asked, one.sentence.text) for one in found],
    ]
    answered: list[ArrayLike] = [
        similarity,
        [covered(weights, one.passage_terms) for one in found],
        [covered(named, one.passage_terms) for one in found],
    ]
    sentences = tuple(one.sentence for one in found)
    return Features(sentences, _table(sentence), _table(answered))


@dataclass(frozen=True)
class Candidate:
    """A sentence with the terms in it, in it and what it refers to, and in its whole passage."""

    sentence: Sentence
    context: str
    terms: frozenset[str]
    nearby: frozenset[str]
    passage_terms: frozenset[str]


def candidates(chunks: Sequence[Chunk]) -> list[Candidate]:
    """The sentences of ``chunks`` in order, equal ones once, at most MOST_SENTENCES."""
    found: dict[str, Candidate] = {}
    for number, chunk in enumerate(chunks, 1):
        for one in _of_chunk(number, chunk):
            found.setdefault(" ".join(one.sentence.text.split()), one)
            if len(found) == MOST_SENTENCES:
                return list(found.values())
    return list(found.values())


def _of_chunk(number: int, chunk: Chunk) -> list[Candidate]:
    """Sentences with the terms of what stands before them: there is what they refer to."""
    heading = _heading(chunk)
    heading_terms = frozenset(tokenize(heading))
    parts = units(chunk)
    terms = [frozenset(tokenize(f"{one.lead}\n{one.text}")) for one in parts]
    whole = heading_terms.union(*terms)
    before: Iterable[frozenset[str]] = [frozenset(), *terms]
    return [
        Candidate(
            Sentence(unit.text, number, position),
            _in_context(heading, unit),
            own,
            own | previous | heading_terms,
            whole,
        )
        for position, (unit, own, previous) in enumerate(zip(parts, terms, before, strict=False))
    ]


def _heading(chunk: Chunk) -> str:
    """The trail, or the title where that is more than the name of the file."""
    named = chunk.title if chunk.title != PurePath(chunk.uri).name else ""
    return ". ".join(chunk.trail) or named


def _in_context(heading: str, unit: Unit) -> str:
    return ". ".join(part for part in (heading, f"{unit.lead} {unit.text}".strip()) if part)


def _similarity(question: str, found: Sequence[Candidate], embedder: "Embedder") -> Floats:
    vectors = embedder.encode([one.context for one in found])
    return np.asarray(vectors @ embedder.encode_queries([question])[0], dtype=np.float64)


def _passage_similarity(
    passages: Sequence[Passage], found: Sequence[Candidate], similarity: Floats
) -> Floats:
    """Of each sentence's passage; that of its best sentence where a lexical search gives none."""
    numbers = np.array([one.sentence.number for one in found])
    known = np.array([passages[number - 1].similarity for number in numbers])
    best = np.array([similarity[numbers == number].max() for number in numbers])
    return np.where(np.isnan(known), best, known)


def rarity(terms: Iterable[str], found: Sequence[Candidate]) -> dict[str, float]:
    """BM25's inverse document frequency (Robertson and Zaragoza 2009) of ``terms`` among the
    sentences."""
    total = len(found)
    weights: dict[str, float] = {}
    for term in dict.fromkeys(terms):
        count = sum(term in one.terms for one in found)
        weights[term] = math.log(1 + (total - count + 0.5) / (count + 0.5))
    return weights


def covered(weights: Mapping[str, float], terms: Set[str]) -> float:
    """Share of the weight whose terms are there; 1 where there is nothing to cover."""
    total = sum(weights.values())
    return sum(w for term, w in weights.items() if term in terms) / total if total else 1.0


def names(text: str) -> list[str]:
    """Terms of the names, numbers and identifiers in ``text``, its first word apart: what an
    answer can hardly do without."""
    words = _NAME.findall(text[:1].lower() + text[1:])
    return [term for word in words[:MOST_TERMS] for term in tokenize(word)]


def _table(columns: Sequence[ArrayLike]) -> Floats:
    return np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])


def _softmax(scores: Floats) -> Floats:
    raised: Floats = np.exp(scores - scores.max())
    return raised / float(raised.sum())
