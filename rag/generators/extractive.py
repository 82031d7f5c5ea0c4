"""Answers built of the passages' own sentences: nothing to download, nothing invented."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rag.answers import abstention, citations, marker, quoted
from rag.evidence import Evidence, Sentence, weigh
from rag.types import Answer, Passage

if TYPE_CHECKING:
    from rag.embedder import Embedder

# No further sentence is added once the answer stands in those there are with this probability.
ENOUGH = 0.95


class ExtractiveGenerator:
    """Quotes the sentences that most likely answer; see ``rag.generators.Generator``.

    At most ``max_sentences``, fewer where the first ones leave little doubt. Below
    ``min_confidence`` it abstains.
    """

    name = "extractive"

    def __init__(self, embedder: "Embedder", max_sentences: int, min_confidence: float) -> None:
        self.embedder = embedder
        self.max_sentences = max_sentences
        self.min_confidence = min_confidence

    def stream(self, question: str, passages: Sequence[Passage]) -> Iterator[str | Answer]:
        evidence = weigh(question, passages, self.embedder)
        chosen = choose(evidence, self.max_sentences)
        if not chosen or evidence.confidence < self.min_confidence:
            declined = abstention(evidence.confidence)
            yield declined.text
            yield declined
            return
        pieces = list(_pieces(chosen))
        yield from pieces
        numbers = (sentence.number for sentence in chosen)
        cited = citations(numbers, passages)
        yield Answer("".join(pieces), cited, evidence.confidence, abstained=False)


def choose(evidence: Evidence, most: int) -> list[Sentence]:
    """The likeliest sentences in the order to read them.

    Passages come in the order of their best sentence, and sentences of one passage as they stand
    there.
    """
    ranked = np.argsort(-evidence.shares, kind="stable")
    certain = np.cumsum(evidence.shares[ranked])
    count = min(most, int(np.searchsorted(certain, ENOUGH)) + 1)
    best = [evidence.sentences[place] for place in ranked[:count]]
    order = {number: place for place, number in enumerate(dict.fromkeys(s.number for s in best))}
    return sorted(best, key=lambda sentence: (order[sentence.number], sentence.position))


def _pieces(sentences: Sequence[Sentence]) -> Iterator[str]:
    """Each sentence with its citation; what has lines of its own stands apart."""
    for place, sentence in enumerate(sentences):
        apart = place > 0 and "\n" in sentence.text + sentences[place - 1].text
        between = "\n\n" if apart else " " if place else ""
        joint = "\n" if "\n" in sentence.text else " "
        yield f"{between}{quoted(sentence.text)}{joint}{marker(sentence.number)}"
