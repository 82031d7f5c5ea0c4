"""How well and how fast documents are found, beside what else one would use, from one run.

    python benchmarks/retrieval.py DIR... [--split NAME] [--json FILE] [--cache FOLDER]

Each DIR is a collection in BEIR layout: corpus.jsonl, queries.jsonl, qrels/NAME.tsv (test.tsv by
default). Every query with a relevant document is asked of every system, which gives up to 100
documents. Relevance is binary. Nothing is fitted here.

All systems share one embedder, ours (MiniLM, int8, ONNX Runtime). Embedding the collection is
timed once by itself and kept in FOLDER; build times are without it. Latency is from the text of a
question to the ids of the documents, embedding the question included, one question at a time.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.retrieval_systems import SYSTEMS, Collection, Material, Search, import_libraries
from lifecycle.bootstrap import bootstrap_mean
from lifecycle.progress import track
from rag.config import EmbeddingConfig
from rag.embedder import Embedder
from rag.embedding_cache import CachedEmbedder
from rag.engines import open_embedder
from rag.metrics import ndcg_at_k, recall_at_k, reciprocal_rank

Figures = dict[str, float]
METRICS = ("ndcg@10", "recall@10", "recall@100", "mrr@10")
TIMES = ("build_s", "p50_ms", "p99_ms")


@dataclass(frozen=True)
class Measured:
    """``figures``: means by name, as in the JSON; ``interval``: 95 % bootstrap of nDCG@10."""

    figures: Figures
    interval: tuple[float, float]


def measure(material: Material, system: str) -> Measured:
    """Build the system, then ask it every query of the collection, in order."""
    start = time.perf_counter()
    search = SYSTEMS[system](material)
    built = time.perf_counter() - start
    scores, latencies = _asked(material.collection, search)
    figures = {name: float(np.mean(scores[name])) for name in METRICS}
    p50, p99 = np.percentile(latencies, [50, 99])
    figures |= {"build_s": built, "p50_ms": float(p50), "p99_ms": float(p99)}
    interval = bootstrap_mean(scores["ndcg@10"])
    return Measured(figures, (interval.low, interval.high))


def compare(folder: Path, embedder: Embedder, split: str = "test") -> dict[str, Measured]:
    """Every system on the collection in ``folder``."""
    start = time.perf_counter()
    collection = Collection.read(folder, split)
    material = Material.make(collection, embedder)
    print(
        f"\n{collection.name}: {len(collection.ids)} documents, "
        f"{len(material.chunk_vectors)} chunks of ours, {len(collection.queries)} queries; "
        f"read and embedded in {time.perf_counter() - start:.1f} s (less what was cached)"
    )
    return {name: measure(material, name) for name in track(list(SYSTEMS), collection.name)}


def table(results: dict[str, Measured]) -> str:
    heads = "".join(f"{name:>11}" for name in (*METRICS, *TIMES))
    lines = [f"{'':18}{heads}   nDCG@10, 95 %"]
    for system, measured in results.items():
        metrics = "".join(f"{measured.figures[name]:11.3f}" for name in METRICS)
        times = "".join(f"{measured.figures[name]:11.2f}" for name in TIMES)
        low, high = measured.interval
        lines.append(f"{system:18}{metrics}{times}   {low:.3f} to {high:.3f}")
    return "\n".join(lines)


def embedder_in(cache: Path) -> Embedder:
    """The default embedder of the pipeline on a CPU; what it embeds is kept in ``cache``."""
    return CachedEmbedder(open_embedder(EmbeddingConfig(), "cpu", cache), cache / "embeddings")


def _asked(collection: Collection, search: Search) -> tuple[dict[str, list[float]], list[float]]:
    """Each query's metrics, and the milliseconds that it took."""
    search(next(iter(collection.queries.values())))  # loads and compiles
    scores: dict[str, list[float]] = {name: [] for name in METRICS}
    latencies: list[float] = []
    for query, text in collection.queries.items():
        start = time.perf_counter()
        ranking = search(text)
        latencies.append((time.perf_counter() - start) * 1000)
        relevant = collection.relevant[query]
        scores["ndcg@10"].append(ndcg_at_k(ranking, relevant, 10))
        scores["recall@10"].append(recall_at_k(ranking, relevant, 10))
        scores["recall@100"].append(recall_at_k(ranking, relevant, 100))
        scores["mrr@10"].append(reciprocal_rank(ranking[:10], relevant))
    return scores, latencies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--split", default="test", metavar="NAME", help="default: test")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="default: a temporary folder")
    given = parser.parse_args()
    import_libraries()
    with tempfile.TemporaryDirectory() as temporary:
        embedder = embedder_in(given.cache or Path(temporary))
        collections: dict[str, dict[str, Figures]] = {}
        for folder in given.folders:
            results = compare(folder, embedder, given.split)
            print(table(results), flush=True)
            name = Path(folder).resolve().name
            collections[name] = {system: one.figures for system, one in results.items()}
    if given.json:
        given.json.write_text(json.dumps(collections, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
