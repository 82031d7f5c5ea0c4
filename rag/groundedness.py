"""Whether passages support what an answer says, sentence by sentence, without a language model.

A sentence is held against each sentence of the passages. A small logistic model over vectors and
words says how likely one supports the other; the best counts. Numbers, names and negations are no
matter of likeness: a sentence with one that the passages do not have is not supported, however near
its vector is. ``benchmarks/fit_groundedness.py`` fits the model and says on what,
``benchmarks/groundedness.py`` measures it on a collection that it has not seen.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.answers import without_citations
from rag.evidence import Candidate, candidates, covered, rarity
from rag.facts import Polarity, facts, stands
from rag.lexical.tokenize import tokenize
from rag.sentences import sentence_spans
from rag.types import Answer, Chunk, Passage

if TYPE_CHECKING:
    from rag.embedder import Embedder

Floats = NDArray[np.float64]

FEATURES = ("similarity", "coverage", "order", "facts", "anchored")
WEIGHTS: Floats = np.array([2.96, 2.28, 3.61, 19.08, 0.66])
BIAS = -24.68
SUPPORTED = 0.5
LEAST_WORDS = 4  # of a clause by itself

# What introduces an answer and says nothing of its own.
_FRAME = re.compile(
    r"^\W*(?:according to (?:the|this|these) (?:\w+ ){0,2}\w+,\s*"
    r"|(?:the|this) (?:answer|passage|document|text) (?:is|says|states|mentions)(?: that)?:?\s+"
    r"|it is\s+)",
    re.I,
)
_CODE = re.compile(r"(`+[^`]+`+)")
_CITED = "\x1e"  # white space to Python, and in no text
_CLAUSE = re.compile(rf"; |, (?=(?:and|but|while|whereas|so|or) )|{_CITED}\s*")


@dataclass(frozen=True)
class Support:
    """A sentence of an answer and how likely the passages support it, 0 to 1."""

    sentence: str
    support: float

    @property
    def supported(self) -> bool:
        return self.support >= SUPPORTED


@dataclass(frozen=True)
class Comparison:
    """Of n clauses of an answer with the m sentences of its passages.

    ``features``: (n, m, len(FEATURES)); ``agrees``: (n, m), False where one denies what the other
    says; ``known``: (n,), whether all numbers and names of a clause stand in the passages.
    """

    features: Floats
    agrees: NDArray[np.bool_]
    known: NDArray[np.bool_]


def groundedness(answer: Answer, passages: Sequence[Passage], embedder: "Embedder") -> float:
    """Share of the answer's sentences that its passages support; NaN where it abstains."""
    return share(supports(answer, passages, embedder))


def share(found: Sequence[Support]) -> float:
    """Share of the sentences that are supported; NaN of none."""
    return sum(one.supported for one in found) / len(found) if found else math.nan


def supports(answer: Answer, passages: Sequence[Passage], embedder: "Embedder") -> list[Support]:
    """Each sentence of ``answer`` held against the passages it cites, or all where it cites none.

    Nothing for an abstention.
    """
    if answer.abstained:
        return []
    said = sentences(answer.text)
    return weigh(said, cited(answer, passages), embedder) if said else []


def cited(answer: Answer, passages: Sequence[Passage]) -> list[Chunk]:
    """The passages that ``answer`` cites, or ``passages`` where it cites none."""
    return [one.chunk for one in answer.citations] or [one.chunk for one in passages]


def sentences(text: str) -> list[str]:
    """The sentences of an answer that say something, with a mark where a citation stood."""
    parts = _CODE.split(text)
    parts[::2] = [without_citations(part, _CITED) for part in parts[::2]]
    plain = "".join(parts)
    found = [plain[start:end].strip() for start, end in sentence_spans(plain)]
    return [one for one in found if tokenize(one, keep_stopwords=True)]


def weigh(said: Sequence[str], chunks: Sequence[Chunk], embedder: "Embedder") -> list[Support]:
    """The support of each of ``said`` (at least one) in ``chunks``: that of its weakest clause."""
    pieces = [clauses(one) for one in said]
    likely = iter(likelihood(compare([one for each in pieces for one in each], chunks, embedder)))
    return [
        Support(one.replace(_CITED, " "), min(float(next(likely)) for _ in each))
        for one, each in zip(said, pieces, strict=True)
    ]


def likelihood(held: Comparison) -> Floats:
    """How likely each clause is supported by the passage sentence that supports it best."""
    odds = held.features @ WEIGHTS + BIAS
    likely = np.where(held.agrees, 1 / (1 + np.exp(-odds)), 0.0).max(axis=1, initial=0.0)
    return np.where(held.known, likely, 0.0)


def clauses(sentence: str) -> list[str]:
    """``sentence`` cut behind citations and before coordinate clauses, which may each rest on
    another passage."""
    found: list[str] = []
    for piece in _CLAUSE.split(_FRAME.sub("", sentence)):
        if found and min(len(piece.split()), len(found[-1].split())) < LEAST_WORDS:
            found[-1] += f", {piece}"
        else:
            found.append(piece)
    return found


def compare(said: Sequence[str], chunks: Sequence[Chunk], embedder: "Embedder") -> Comparison:
    """What the model decides on, for the clauses ``said`` and the sentences of ``chunks``."""
    found = candidates(chunks)
    features = np.zeros((len(said), len(found), len(FEATURES)))
    agrees = np.zeros((len(said), len(found)), dtype=bool)
    if found:
        vectors = embedder.encode([*said, *(one.sentence.text for one in found)])
        features[:, :, 0] = vectors[: len(said)] @ vectors[len(said) :].T
    grounds = [_Ground.of(one) for one in found]
    for row, clause in enumerate(said):
        mine = _Claim.of(clause, found)
        for column, ground in enumerate(grounds):
            features[row, column, 1:] = mine.features(ground)
            agrees[row, column] = mine.agrees(ground)
    everything = "\n".join(f"{one.title}\n{one.embedded_text}" for one in chunks)
    given = facts(everything) | set(tokenize(everything))
    known = [all(stands(fact, given) for fact in facts(one)) for one in said]
    return Comparison(features, agrees, np.array(known, dtype=bool))


@dataclass(frozen=True)
class _Ground:
    candidate: Candidate
    order: frozenset[tuple[str, str]]
    facts: frozenset[str]
    polarity: Polarity

    @classmethod
    def of(cls, candidate: Candidate) -> "_Ground":
        text = candidate.sentence.text
        return cls(
            candidate,
            _order(text),
            frozenset(facts(text)) | candidate.nearby,
            Polarity.of(text),
        )


@dataclass(frozen=True)
class _Claim:
    weights: dict[str, float]
    order: frozenset[tuple[str, str]]
    facts: frozenset[str]
    polarity: Polarity

    @classmethod
    def of(cls, clause: str, found: Sequence[Candidate]) -> "_Claim":
        return cls(
            rarity(tokenize(clause), found),
            _order(clause),
            frozenset(facts(clause)),
            Polarity.of(clause),
        )

    def features(self, ground: _Ground) -> tuple[float, ...]:
        facts_there = sum(stands(fact, ground.facts) for fact in self.facts)
        return (
            covered(self.weights, ground.candidate.nearby),
            len(self.order & ground.order) / len(self.order) if self.order else 1.0,
            facts_there / len(self.facts) if self.facts else 1.0,
            float(0 < facts_there == len(self.facts)),
        )

    def agrees(self, ground: _Ground) -> bool:
        return self.polarity.agrees(ground.polarity)


def _order(text: str) -> frozenset[tuple[str, str]]:
    """Pairs of neighbouring words."""
    return frozenset(pairwise(tokenize(text, keep_stopwords=True)))
