"""Fits the model of `rag/groundedness.py` and prints its constants.

    python benchmarks/fit_groundedness.py

Fitted on claims that `grounded_cases.py` makes from the paragraphs written for this project and
from the handbook's documents, never on a public collection. Logistic regression on pairs of a
claim and the passage sentence nearest to it; each source, and in it both outcomes, has the same
weight in sum. Claims that numbers, names or negations decide are left out: no weight is needed for
them.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.answer_cases import Collection, Remembering, encyclopaedia, handbook
from benchmarks.fit_answers import Floats, balanced
from benchmarks.grounded_cases import Claim, claims
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


def main() -> None:
    embedder = Remembering(load_embedder("packaged-minilm"))
    sources = [
        compared(one, MOST_PASSAGES)
        for one in (encyclopaedia(embedder), handbook(embedder, "dev"))
    ]
    cases = [(n, c, h) for n, one in enumerate(sources) for c, h in one]
    open_cases = [(n, c, h) for n, c, h in cases if h.known[0] and h.agrees[0].any()]
    weights, bias = model(
        [(c, h) for _, c, h in open_cases], np.array([n for n, *_ in open_cases])
    )
    print(f"{len(cases)} claims, {len(open_cases)} of them open")
    print("WEIGHTS", dict(zip(FEATURES, weights.round(2), strict=True)))
    print("BIAS", round(bias, 2))


if __name__ == "__main__":
    main()
