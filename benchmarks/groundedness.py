"""How well groundedness tells what passages support from what they do not.

    python benchmarks/groundedness.py DIR [--json FILE]

DIR is a collection in BEIR layout whose queries have ``answers``. Claims are made of its passages
by rule (``grounded_cases.py``). Nothing is fitted here. Printed are, by kind of claim, the share
that is judged as it should be at the shipped threshold, and for what is unsupported the area under
the ROC curve against all supported claims; then how far the mean of the supports, and the share
that is supported, lie from the true share in answers of three sentences. Intervals resample
passages.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.answer_cases import Collection, Remembering, beir
from benchmarks.grounded_cases import SUPPORTED, UNSUPPORTED, Claim, claims
from lifecycle.bootstrap import Interval, bootstrap
from rag.embedder import load_embedder
from rag.groundedness import SUPPORTED as THRESHOLD
from rag.groundedness import clauses, weigh

Floats = NDArray[np.float64]
Figures = dict[str, Interval]
RESAMPLES = 500
ANSWER = 3  # sentences


def supports(groups: Sequence[Sequence[Claim]], collection: Collection) -> list[Floats]:
    """The support of each claim, passage by passage."""
    texts = [piece for group in groups for one in group for piece in clauses(one.text)]
    collection.embedder.encode(texts)
    return [
        np.array(
            [
                found.support
                for found in weigh(
                    [one.text for one in group], group[0].passages, collection.embedder
                )
            ]
        )
        for group in groups
    ]


def figures(groups: Sequence[Sequence[Claim]], values: Sequence[Floats]) -> Figures:
    """Accuracy by kind, and AUROC of what is unsupported, by kind and as a whole."""
    found: Figures = {}
    kinds = [np.array([one.kind for one in group]) for group in groups]
    for kind in (*SUPPORTED, *UNSUPPORTED):
        right = [(v >= THRESHOLD) == (kind in SUPPORTED) for v in values]
        found[f"accuracy.{kind}"] = _resampled(
            [v[k == kind] for v, k in zip(right, kinds, strict=True)], _mean
        )
    true = [v[np.isin(k, SUPPORTED)] for v, k in zip(values, kinds, strict=True)]
    for name, among in (*((one, (one,)) for one in UNSUPPORTED), ("all", UNSUPPORTED)):
        false = [v[np.isin(k, among)] for v, k in zip(values, kinds, strict=True)]
        found[f"auroc.{name}"] = _auroc(true, false)
    return found


def _resampled(parts: Sequence[Floats], statistic: Callable[[Floats], float]) -> Interval:
    def of(drawn: NDArray[np.int64]) -> float:
        return statistic(np.concatenate([parts[n] for n in drawn]))

    return bootstrap(len(parts), of, resamples=RESAMPLES)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _auroc(true: Sequence[Floats], false: Sequence[Floats]) -> Interval:
    def of(drawn: NDArray[np.int64]) -> float:
        return auroc(
            np.concatenate([true[n] for n in drawn]), np.concatenate([false[n] for n in drawn])
        )

    return bootstrap(len(true), of, resamples=RESAMPLES)


def auroc(true: Floats, false: Floats) -> float:
    """The chance that a true claim has more support than a false one, ties counting half."""
    if not len(true) or not len(false):
        return float("nan")
    ordered = np.sort(false)
    below = np.searchsorted(ordered, true, "left") + np.searchsorted(ordered, true, "right")
    return float(below.mean() / 2 / len(false))


def summaries(groups: Sequence[Sequence[Claim]], values: Sequence[Floats]) -> Figures:
    """Mean absolute error of two ways to sum up an answer of sentences from one passage."""
    rng = random.Random(0)
    errors: dict[str, list[Floats]] = {"mean": [], "share": []}
    for group, support in zip(groups, values, strict=True):
        rows = [rng.sample(range(len(group)), ANSWER) for _ in range(10) if len(group) >= ANSWER]
        truth = np.array([one.supported for one in group], dtype=float)
        for name, each in (("mean", support), ("share", (support >= THRESHOLD).astype(float))):
            gap = [abs(each[row].mean() - truth[row].mean()) for row in rows]
            errors[name].append(np.array(gap))
    return {f"error.{name}": _resampled(parts, _mean) for name, parts in errors.items()}


def measure(collection: Collection) -> Figures:
    groups = claims(collection, len(collection.chunks))
    values = supports(groups, collection)
    return figures(groups, values) | summaries(groups, values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    found = measure(beir(words.folder, Remembering(load_embedder("packaged-minilm"))))
    for name, one in found.items():
        print(f"{name:24} {one.value:.3f} [{one.low:.3f}, {one.high:.3f}]")
    if words.json:
        rows = {name: one.to_dict() for name, one in found.items()}
        words.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
