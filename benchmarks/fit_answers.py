"""Fits the two models of `rag/evidence.py` and prints their constants.

    python benchmarks/fit_answers.py

Fitted on 197 questions over 36 paragraphs written for this project (`data/encyclopaedia.txt`) and
on the handbook's development questions, never on a test split or a public collection:

- the weights of a sentence by conditional logit (McFadden 1974): the likelihood that the sentence
  with the gold span is picked among all those of the passages;
- the confidence by logistic regression: questions whose passages hold the answer against the same
  questions with these passages removed, and against unanswerable ones. Both sides have the same
  weight in sum, and so have the two sources.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.answer_cases import Case, Remembering, encyclopaedia, handbook
from rag.embedder import load_embedder
from rag.evidence import CONFIDENCE_FEATURES, SENTENCE_FEATURES, Features, features

Floats = NDArray[np.float64]
RIDGE = 0.3  # on standardised features


def sentence_weights(groups: Sequence[tuple[Floats, NDArray[np.bool_]]]) -> Floats:
    """Weights that make the gold rows of each (features, is gold) most likely to be picked."""
    from scipy.optimize import minimize

    spread = np.concatenate([rows for rows, _ in groups]).std(axis=0)
    scaled = [(rows / spread, gold) for rows, gold in groups if gold.any()]

    def loss(weights: Floats) -> tuple[float, Floats]:
        value, slope = RIDGE / 2 * float(weights @ weights), RIDGE * weights
        for rows, gold in scaled:
            share = np.exp(rows @ weights - (rows @ weights).max())
            share /= share.sum()
            found = share * gold / (share @ gold)
            value -= float(np.log(share @ gold))
            slope = slope + rows.T @ (share - found)
        return value, slope

    fitted: Floats = minimize(loss, np.zeros(len(spread)), jac=True).x / spread
    return fitted


def confidence_model(
    rows: Floats, answered: Floats, source: NDArray[np.int_]
) -> tuple[Floats, float]:
    """Weights and bias; ``rows`` (n, features), ``answered`` 0 or 1, ``source`` by number."""
    from sklearn.linear_model import LogisticRegression

    spread = rows.std(axis=0)
    model = LogisticRegression(C=1.0)
    model.fit(rows / spread, answered, sample_weight=balanced(answered, source))
    return model.coef_[0] / spread, float(model.intercept_[0])


def balanced(answered: Floats, source: NDArray[np.int_]) -> Floats:
    """Weights that give each source, and in it both outcomes, the same sum."""
    cells = answered.astype(int) + 2 * source
    return len(cells) / np.bincount(cells, minlength=4)[cells] / 4


def gold(case: Case, found: Features) -> NDArray[np.bool_]:
    ids = [passage.chunk.chunk_id for passage in case.passages]
    return np.array(
        [ids[s.number - 1] in case.relevant and case.quotes_span(s.text) for s in found.sentences],
        dtype=bool,
    )


def main() -> None:
    embedder = Remembering(load_embedder("packaged-minilm"))
    sources = [encyclopaedia(embedder), handbook(embedder, "dev")]
    cases = [(n, case) for n, one in enumerate(sources) for case in one.cases()]
    # Where the passage of a handbook question is removed, others often answer it as well.
    cases = [(n, c) for n, c in cases if n == 0 or c.answered or not c.relevant]
    found = [features(case.question, case.passages, embedder) for _, case in cases]
    groups = [
        (one.sentence, gold(case, one))
        for one, (_, case) in zip(found, cases, strict=True)
        if case.answered
    ]
    weights = sentence_weights(groups)
    best = [one.best(one.sentence @ weights) for one in found]
    answered = np.array([float(case.answered) for _, case in cases])
    source = np.array([n for n, _ in cases])
    confidence, bias = confidence_model(np.array(best), answered, source)
    print(f"{len(groups)} answered cases, {len(cases)} in all")
    print("SENTENCE_WEIGHTS", dict(zip(SENTENCE_FEATURES, weights.round(1), strict=True)))
    print("CONFIDENCE_WEIGHTS", dict(zip(CONFIDENCE_FEATURES, confidence.round(2), strict=True)))
    print("CONFIDENCE_BIAS", round(bias, 2))


if __name__ == "__main__":
    main()
