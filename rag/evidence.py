"""How well the sentences of the passages answer a question, and whether they do at all.

Two small log-linear models over features that every question has: one spreads a probability over
the sentences, one turns the best sentence's features into a confidence. ``benchmarks/
fit_answers.py`` fits both and says on what; nothing here is tuned on an evaluation set.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.cues import offers
from rag.lexical.tokenize import query_terms, tokenize
from rag.readable import Unit, units
from rag.types import Chunk, Passage

if TYPE_CHECKING:
    from rag.embedder import Embedder

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

# Bounds the work for one question; passages hold some 50 sentences together.
MOST_SENTENCES = 96
MOST_TERMS = 200
# A question of any length is weighed by its beginning: the embedder reads no more either.
MOST_QUESTION_CHARACTERS = 4000

SENTENCE_FEATURES = ("similarity", "passage_similarity", "coverage", "cue")
SENTENCE_WEIGHTS: Floats = np.array([23.3, 7.5, 6.2, 3.0])
CONFIDENCE_FEATURES = ("similarity", "coverage", "passage_coverage", "names", "standing")
CONFIDENCE_WEIGHTS: Floats = np.array([1.0, 1.0, 1.0, 1.0, 1.0])
CONFIDENCE_BIAS = 0.0

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
    """``sentence``: (n, len(SENTENCE_FEATURES)). ``question``: for each of the n sentences, what
    the confidence would be judged by if it were the best, (n, len(CONFIDENCE_FEATURES) - 1)."""

    sentences: tuple[Sentence, ...]
    sentence: Floats
    question: Floats


def weigh(question: str, passages: Sequence[Passage], embedder: "Embedder") -> Evidence:
    """The evidence for an answer to ``question`` in ``passages``."""
    found = features(question, passages, embedder)
    if not found.sentences:
        return Evidence((), np.zeros(0), 0.0)
    scores = found.sentence @ SENTENCE_WEIGHTS
    judged = confidence_features(found, scores)
    odds = float(judged @ CONFIDENCE_WEIGHTS) + CONFIDENCE_BIAS
    return Evidence(found.sentences, _softmax(scores), 1 / (1 + math.exp(-odds)))


def features(question: str, passages: Sequence[Passage], embedder: "Embedder") -> Features:
    """Both models' features for each sentence of ``passages``, equal sentences once."""
    asked = question[:MOST_QUESTION_CHARACTERS]
    candidates = _candidates(passages)
    if not candidates:
        empty = np.zeros((0, 0))
        return Features((), empty, empty)
    terms = list(dict.fromkeys(query_terms(asked)))[:MOST_TERMS]
    weights = _rarity(terms, [one.terms for one in candidates])
    vectors = embedder.encode([one.context for one in candidates])
    similarity = (vectors @ embedder.encode_queries([asked])[0]).astype(np.float64)
    numbers = np.array([one.sentence.number for one in candidates])
    coverage = np.array([_covered(weights, one.nearby) for one in candidates])
    return Features(
        tuple(one.sentence for one in candidates),
        np.column_stack(
            [
                similarity,
                _of_passages(passages, numbers, similarity),
                coverage,
                [offers(asked, one.sentence.text) for one in candidates],
            ]
        ),
        np.column_stack(
            [
                similarity,
                coverage,
                [_covered(weights, one.passage_terms) for one in candidates],
                [_covered(_names(asked), one.passage_terms) for one in candidates],
            ]
        ),
    )


def confidence_features(found: Features, scores: Floats) -> Floats:
    """The question's features with the best of ``scores``, in the order of CONFIDENCE_FEATURES.

    The last, ``standing``, is by how many standard deviations the best stands above the mean.
    """
    best = int(scores.argmax())
    standing = (scores[best] - scores.mean()) / (scores.std() + 1e-9)
    return np.append(found.question[best], standing)


@dataclass(frozen=True)
class _Candidate:
    sentence: Sentence
    passage: Passage
    context: str
    terms: frozenset[str]
    nearby: frozenset[str]
    passage_terms: frozenset[str]


def _candidates(passages: Sequence[Passage]) -> list[_Candidate]:
    found: dict[str, _Candidate] = {}
    for number, passage in enumerate(passages, 1):
        for one in _of_passage(number, passage):
            found.setdefault(" ".join(one.sentence.text.split()), one)
            if len(found) == MOST_SENTENCES:
                return list(found.values())
    return list(found.values())


def _of_passage(number: int, passage: Passage) -> list[_Candidate]:
    """Sentences with the terms of what stands before them: there is what they refer to."""
    heading = _heading(passage.chunk)
    heading_terms = frozenset(tokenize(heading))
    parts = units(passage.chunk)
    terms = [frozenset(tokenize(f"{one.lead}\n{one.text}")) for one in parts]
    whole = heading_terms.union(*terms)
    before: Iterable[frozenset[str]] = [frozenset(), *terms]
    return [
        _Candidate(
            Sentence(unit.text, number, position),
            passage,
            _in_context(heading, unit),
            own,
            own | previous | heading_terms,
            whole,
        )
        for position, (unit, own, previous) in enumerate(zip(parts, terms, before, strict=False))
    ]


def _heading(chunk: Chunk) -> str:
    return ". ".join(chunk.trail) or chunk.title


def _in_context(heading: str, unit: Unit) -> str:
    return ". ".join(part for part in (heading, f"{unit.lead} {unit.text}".strip()) if part)


def _of_passages(passages: Sequence[Passage], numbers: Positions, similarity: Floats) -> Floats:
    """For each sentence its passage's similarity, or where the search has none its best sentence's."""
    known = [passage.similarity for passage in passages]
    best = [max(similarity[numbers == n], default=0.0) for n in range(1, len(passages) + 1)]
    return np.where(np.isnan(known), best, known)[numbers - 1]


def _rarity(terms: Sequence[str], sentences: Sequence[frozenset[str]]) -> dict[str, float]:
    """BM25's inverse document frequency (Robertson and Zaragoza 2009) among the candidates."""
    total = len(sentences)
    frequency = {term: sum(term in sentence for sentence in sentences) for term in terms}
    return {
        term: math.log(1 + (total - count + 0.5) / (count + 0.5))
        for term, count in frequency.items()
    }


def _covered(weights: Mapping[str, float], terms: frozenset[str]) -> float:
    """Share of the weight whose terms are there; 1 where there is nothing to cover."""
    total = sum(weights.values())
    return sum(w for term, w in weights.items() if term in terms) / total if total else 1.0


def _names(question: str) -> dict[str, float]:
    """Names, numbers and identifiers of the question: what an answer can hardly do without."""
    words = _NAME.findall(question[:1].lower() + question[1:])
    return {term: 1.0 for word in words[:MOST_TERMS] for term in tokenize(word)}


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max())
    return raised / raised.sum()
