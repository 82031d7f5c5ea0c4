"""How often the extractive answer holds the gold span, and how well it abstains.

    python benchmarks/answers.py DIR [--json FILE]

DIR is a collection in BEIR layout whose queries have ``answers``. Each question is asked of the
whole collection, and once more as if the passage with its answer had never been indexed. Nothing
is fitted here.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.answer_cases import Case, Remembering, beir
from rag.answers import without_citations
from rag.embedder import Embedder, load_embedder
from rag.generators import generate
from rag.generators.extractive import ExtractiveGenerator


def span_rate(cases: list[Case], embedder: Embedder, sentences: int, least: float) -> float:
    """Share of the questions whose answer of at most so many sentences holds a gold span."""
    generator = ExtractiveGenerator(embedder, sentences, least)
    texts = [generate(generator, case.question, case.passages).text for case in cases]
    held = [case.quotes_span(without_citations(t)) for case, t in zip(cases, texts, strict=True)]
    return float(np.mean(held))


def abstention(cases: list[Case], embedder: Embedder, least: float) -> dict[str, float]:
    """Precision, recall and F1 of abstaining, where right means that the passage is not there."""
    generator = ExtractiveGenerator(embedder, 2, least)
    silent = [generate(generator, one.question, one.passages).abstained for one in cases]
    abstained, right = np.array(silent), np.array([one.removed for one in cases])
    both = float((abstained & right).sum())
    return {
        "precision": both / max(abstained.sum(), 1),
        "recall": both / right.sum(),
        "f1": 2 * both / (abstained.sum() + right.sum()),
        "wrongly_abstained": float(abstained[~right].mean()),
    }


def measure(folder: Path, least: float) -> dict[str, float]:
    embedder = Remembering(load_embedder("packaged-minilm"))
    cases = list(beir(folder, embedder).cases())
    kept = [case for case in cases if not case.removed]
    start = time.perf_counter()
    figures = {f"span_in_{n}": span_rate(kept, embedder, n, 0.0) for n in (1, 2, 3)}
    figures["ms_a_question"] = (time.perf_counter() - start) * 1000 / len(kept) / 3
    figures["span_in_2_with_abstention"] = span_rate(kept, embedder, 2, least)
    silence = abstention(cases, embedder, least)
    return figures | {f"abstention_{name}": value for name, value in silence.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--min-confidence", type=float, default=0.5)
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    figures = measure(words.folder, words.min_confidence)
    for name, value in figures.items():
        print(f"{name:28} {value:.3f}")
    if words.json:
        words.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
