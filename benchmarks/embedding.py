"""Embedding speed and what it costs in retrieval, beside sentence-transformers in one run.

    python benchmarks/embedding.py DIR [--model packaged-minilm] [--texts 128] [--rounds 3]
                                   [--documents N] [--no-quality] [--json FILE]

DIR is a collection in BEIR layout: corpus.jsonl, queries.jsonl, qrels/test.tsv. Its queries are
the short texts and its documents the long ones. Engines: sentence-transformers as it is installed
(torch fp32, batches of 32, its own number of threads), ours in fp32 and in int8 (ONNX Runtime).
Every round times all engines one after the other; the median ratio to sentence-transformers over
the rounds is what other work on the machine disturbs least. nDCG@10 is of exact dense retrieval
over the whole collection, or over the relevant documents and N others drawn at random.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lifecycle.progress import track
from rag.embedder import Embedder, load_embedder, model_folder
from rag.metrics import ndcg_at_k
from rag.onnx_export import load_onnx_embedder

TORCH, FP32, INT8 = "sentence-transformers fp32", "ours fp32", "ours int8"


@dataclass(frozen=True)
class Collection:
    """Texts by id, and the relevant document ids of each test query."""

    documents: dict[str, str]
    queries: dict[str, str]
    relevant: dict[str, set[str]]

    @classmethod
    def read(cls, folder: Path, others: int | None) -> "Collection":
        relevant: dict[str, set[str]] = {}
        for line in (folder / "qrels" / "test.tsv").read_text("utf-8").splitlines()[1:]:
            query, document, grade = line.split("\t")
            if int(grade) > 0:
                relevant.setdefault(query, set()).add(document)
        documents = {one["_id"]: _text(one) for one in _lines(folder / "corpus.jsonl")}
        if others is not None:
            wanted = set().union(*relevant.values())
            rest = sorted(set(documents) - wanted)
            wanted |= set(random.Random(0).sample(rest, min(others, len(rest))))
            documents = {key: text for key, text in documents.items() if key in wanted}
        queries = {one["_id"]: str(one["text"]) for one in _lines(folder / "queries.jsonl")}
        return cls(documents, {key: queries[key] for key in relevant}, relevant)


def _lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _text(document: dict[str, str]) -> str:
    return f"{document.get('title', '')} {document['text']}".strip()


def engines(model: str, cache: Path) -> dict[str, Embedder]:
    """The embedders compared, each loaded and warm."""
    torch = load_embedder(model)
    folder = model_folder(model)
    made: dict[str, Embedder] = {
        TORCH: torch,
        FP32: load_onnx_embedder(folder, torch.name, cache, "fp32"),
        INT8: load_onnx_embedder(folder, torch.name, cache, "int8"),
    }
    for embedder in made.values():
        embedder.encode(["a text to warm up with"] * 8)
    return made


def speed(
    made: dict[str, Embedder], texts: dict[str, list[str]], rounds: int
) -> dict[str, dict[str, float]]:
    """Texts per second (median), and times sentence-transformers' speed, by kind of text."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in track(range(rounds), "timing"):
        for kind, several in texts.items():
            for name, embedder in made.items():
                started = time.perf_counter()
                embedder.encode(several)
                seconds.setdefault((name, kind), []).append(time.perf_counter() - started)
    return {
        name: {
            figure: value
            for kind, several in texts.items()
            for figure, value in (
                (f"{kind}_per_s", len(several) / statistics.median(seconds[name, kind])),
                (f"{kind}_ratio", _ratio(seconds[TORCH, kind], seconds[name, kind])),
            )
        }
        for name in made
    }


def _ratio(theirs: list[float], ours: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


def latency(embedder: Embedder, queries: list[str]) -> dict[str, float]:
    """Of one query at a time, in milliseconds."""
    milliseconds = []
    for query in queries:
        started = time.perf_counter()
        embedder.encode_queries([query])
        milliseconds.append((time.perf_counter() - started) * 1e3)
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return {"query_p50_ms": float(p50), "query_p99_ms": float(p99)}


def quality(embedder: Embedder, collection: Collection) -> float:
    """Mean nDCG@10 of exact dense retrieval."""
    ids = list(collection.documents)
    texts = list(collection.documents.values())
    parts = [texts[start : start + 256] for start in range(0, len(texts), 256)]
    documents = np.concatenate([embedder.encode(p) for p in track(parts, embedder.name)])
    queries = embedder.encode_queries(list(collection.queries.values()))
    best = np.argsort(-(queries @ documents.T), axis=1, kind="stable")[:, :10]
    scores = [
        ndcg_at_k([ids[row] for row in rows], collection.relevant[key], 10)
        for key, rows in zip(collection.queries, best, strict=True)
    ]
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--model", default="packaged-minilm")
    parser.add_argument("--texts", type=int, default=128, help="of each kind, timed in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--documents", type=int, metavar="N", help="besides the relevant ones")
    parser.add_argument("--no-quality", action="store_true", help="speed alone")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    collection = Collection.read(options.folder, options.documents)
    queries = list(collection.queries.values())
    texts = {
        "short": queries[: options.texts],
        "long": list(collection.documents.values())[: options.texts],
    }
    with tempfile.TemporaryDirectory() as folder:
        made = engines(options.model, Path(folder))
        report = speed(made, texts, options.rounds)
        for name, embedder in made.items():
            report[name] |= latency(embedder, queries[: options.texts])
            if not options.no_quality:
                report[name]["ndcg@10"] = quality(embedder, collection)
    show(report, len(collection.documents))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def show(report: dict[str, dict[str, float]], documents: int) -> None:
    from rich.console import Console
    from rich.table import Table

    cores = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    table = Table(title=f"Embedding on {cores}; {documents} documents")
    table.add_column("engine")
    for figure in next(iter(report.values())):
        table.add_column(figure, justify="right")
    for name, figures in report.items():
        table.add_row(name, *(f"{value:.3f}" for value in figures.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
