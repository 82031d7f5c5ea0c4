"""Fits the model of `rag/groundedness.py` and prints its constants.

    python benchmarks/fit_groundedness.py

Fitted on claims that `grounded_cases.py` makes from the paragraphs written for this project and
from the handbook's documents, never on a public collection. Logistic regression on pairs of a
claim and the passage sentence nearest to it; each source, and in it both outcomes, has the same
weight in sum. Claims that numbers, names or negations decide are left out: no weight is needed for
them. The bias then moves to where claims are told apart best.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.answer_cases import Collection, Remembering, encyclopaedia, handbook
from benchmarks.fit_answers import Floats, balanced
from benchmarks.grounded_cases import SUPPORTED, UNSUPPORTED, Claim, claims
from rag.embedder import load_embedder
from rag.groundedness import FEATURES, Comparison, clauses, compare

ROUNDS = 8
MOST_PASSAGES = 60  # of one source


def compared(collection: Collection, most: int) -> list[tuple[Claim, Comparison]]:
    """Claims of one clause with what the model decides on, each by itself."""
    groups = claims(collection, most)
    texts = [clauses(one.text) for group in groups for one in group]
    collection.embedder.encode([piece for pieces in texts for piece in pieces])
    return [pair for group in groups for pair in _singly(group, collection)]


def _singly(group: list[Claim], collection: Collection) -> Iterator[tuple[Claim, Comparison]]:
    single = [one for one in group if len(clauses(one.text)) == 1]
    texts = [clauses(one.text)[0] for one in single]
    held = compare(texts, group[0].passages, collection.embedder)
    for row, claim in enumerate(single):
        part = slice(row, row + 1)
        yield claim, Comparison(held.features[part], held.agrees[part], held.known[part])


def model(
    cases: list[tuple[Claim, Comparison]], source: "np.typing.NDArray[np.int_]"
) -> tuple[Floats, float]:
    """Weights and bias; each claim's nearest sentence is the one that the last round liked best."""
    from sklearn.linear_model import LogisticRegression

    truth = np.array([float(claim.supported) for claim, _ in cases])
    weights, bias = np.ones(len(FEATURES)), 0.0
    for _ in range(ROUNDS):
        rows = np.array([best(held, weights) for _, held in cases])
        spread = rows.std(axis=0)
        fitted = LogisticRegression(C=1.0)
        fitted.fit(rows / spread, truth, sample_weight=balanced(truth, source))
        weights, bias = fitted.coef_[0] / spread, float(fitted.intercept_[0])
    return weights, bias


def best(held: Comparison, weights: Floats) -> Floats:
    odds = np.where(held.agrees[0], held.features[0] @ weights, -np.inf)
    nearest: Floats = held.features[0, int(odds.argmax())]
    return nearest


def level(cases: list[tuple[Claim, Comparison]], weights: Floats, bias: float) -> float:
    """The odds at which claims are told apart best: the mean of each outcome's kinds' accuracies.

    So that free wording, which is rare among the claims, counts as much as quotations do.
    """
    odds = np.array([best(held, weights) @ weights + bias for _, held in cases])
    kinds = np.array([claim.kind for claim, _ in cases])

    def accuracy(limit: float) -> float:
        sides = [
            np.mean([np.mean((odds[kinds == kind] >= limit) == true) for kind in there])
            for true, among in ((True, SUPPORTED), (False, UNSUPPORTED))
            if (there := [kind for kind in among if (kinds == kind).any()])
        ]
        return float(np.mean(sides))

    return max(np.arange(-3.0, 3.0, 0.1), key=accuracy)


def fitted(sources: list[list[tuple[Claim, Comparison]]]) -> tuple[Floats, float]:
    """Weights, and the bias that puts the level at even odds."""
    cases = [(number, *pair) for number, one in enumerate(sources) for pair in one]
    undecided = [(n, c, h) for n, c, h in cases if h.known[0] and h.agrees[0].any()]
    pairs = [(claim, held) for _, claim, held in undecided]
    weights, bias = model(pairs, np.array([number for number, *_ in undecided]))
    print(f"{len(cases)} claims, {len(pairs)} of them undecided by facts and negations")
    return weights, bias - level(pairs, weights, bias)


def main() -> None:
    embedder = Remembering(load_embedder("packaged-minilm"))
    collections = (encyclopaedia(embedder), handbook(embedder, "dev"))
    weights, bias = fitted([compared(one, MOST_PASSAGES) for one in collections])
    print("WEIGHTS", dict(zip(FEATURES, weights.round(2), strict=True)))
    print("BIAS", round(bias, 2))


if __name__ == "__main__":
    main()
