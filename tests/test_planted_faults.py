"""The gate refuses broken indexes, each with the reason that names the cause."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lifecycle.bundle import Manifest, open_bundle
from lifecycle.candidates import load_evaluation
from lifecycle.config import load_config
from lifecycle.errors import BundleError, SourceError
from lifecycle.fingerprint import ROOT
from lifecycle.gate import Decision, decide
from lifecycle.stages import TABLE
from lifecycle.usecases import find
from rag.config import RagConfig
from rag.engines import take_along
from rag.prepared import VECTORS, Prepared
from rag.stages.evaluate import evaluate_bundle
from rag.stages.files import EMBEDDER, SKIPPED
from rag.stages.index import Parts, build_index
from rag.stages.load import load
from rag.stages.prepare import prepare
from rag.types import Vectors
from tests.toys import write_notes

Spoil = Callable[[Vectors], Vectors]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Loaded, chunked and embedded notes: folders ``data``, ``chunks`` and ``version``."""
    folder = tmp_path_factory.mktemp("planted")
    write_notes(folder / "notes")
    for name in ("data", "chunks", "version"):
        (folder / name).mkdir()
    config = configuration(folder)
    load(config.source, ROOT, folder, folder / "data")
    prepare(folder / "data", config.chunking, config.embedding, folder, "cpu", folder / "chunks")
    (folder / "version" / "version.json").write_text('{"dataset": "notes", "id": "d1"}')
    return folder


def configuration(folder: Path) -> RagConfig:
    path = find("documents").config_file("rag")
    return load_config(RagConfig, path, [f"source.paths={json.dumps([str(folder / 'notes')])}"])


def judged(prepared: Path, out: Path, spoil: Spoil) -> Decision:
    """Build an index from spoilt vectors, evaluate it and ask the gate."""
    chunks = out / "chunks"
    chunks.mkdir(parents=True)
    shutil.copytree(prepared / "chunks", chunks, dirs_exist_ok=True)
    np.save(chunks / VECTORS, spoil(np.load(prepared / "chunks" / VECTORS)))
    return evaluated(prepared, chunks, prepared / "data", out)


def evaluated(prepared: Path, chunks: Path, data: Path, out: Path) -> Decision:
    config = configuration(prepared)
    parts = Parts(data, prepared / "version", chunks)
    build_index(parts, "notes", "documents", config, out / "bundle")
    (out / "evaluation").mkdir()
    use_case = find("documents").folder
    evaluate_bundle(out / "bundle", use_case, config.questions, "cpu", out / "evaluation")
    evaluation, scores = load_evaluation(out / "evaluation")
    return decide(config.gate.rules, evaluation, scores, None)


def test_a_sound_index_passes(prepared: Path, tmp_path: Path) -> None:
    decision = judged(prepared, tmp_path, lambda vectors: vectors)
    assert decision.passed, decision.reasons


def test_half_of_the_vectors_shuffled_is_named(prepared: Path, tmp_path: Path) -> None:
    def spoil(vectors: Vectors) -> Vectors:
        half = len(vectors) // 2
        return np.concatenate([np.roll(vectors[:half], 1, axis=0), vectors[half:]])

    reasons = " ".join(judged(prepared, tmp_path, spoil).reasons)
    assert "vectors stand in other chunks' places" in reasons
    assert "were not made by this embedder" not in reasons


def test_another_embedders_vectors_are_named(prepared: Path, tmp_path: Path) -> None:
    def spoil(vectors: Vectors) -> Vectors:
        mixed = vectors @ np.random.default_rng(0).normal(size=(vectors.shape[1],) * 2)
        unit: Vectors = (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)
        return unit

    reasons = " ".join(judged(prepared, tmp_path, spoil).reasons)
    assert "vectors were not made by this embedder from this text" in reasons
    assert "other chunks' places" not in reasons


def test_an_index_that_says_it_is_of_another_embedder_does_not_load(
    prepared: Path, tmp_path: Path
) -> None:
    chunks = tmp_path / "chunks"
    shutil.copytree(prepared / "chunks", chunks)
    (chunks / EMBEDDER).write_text('{"name": "other@123"}')
    with pytest.raises(BundleError, match="the index holds vectors of 'other@123'"):
        evaluated(prepared, chunks, prepared / "data", tmp_path)


def test_an_index_without_chunks_is_named(prepared: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    chunks, data = tmp_path / "chunks", tmp_path / "data"
    data.mkdir()
    Prepared.of([], np.zeros((0, 384), dtype=np.float32)).save(chunks)
    pq.write_table(pq.read_table(prepared / "data" / TABLE).slice(0, 0), data / TABLE)
    (chunks / EMBEDDER).write_bytes((prepared / "chunks" / EMBEDDER).read_bytes())
    (data / SKIPPED).write_text("[]")
    take_along(prepared / "chunks", chunks)
    decision = evaluated(prepared, chunks, data, tmp_path)
    assert "the index holds no chunks" in decision.reasons[0]


def test_an_empty_folder_stops_before_an_index_is_made(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(SourceError, match="no files to read: the source is empty"):
        load(configuration(tmp_path).source, ROOT, tmp_path, tmp_path)


def test_a_bundle_names_what_made_it(prepared: Path, tmp_path: Path) -> None:
    judged(prepared, tmp_path, lambda vectors: vectors)
    manifest: Manifest = open_bundle(tmp_path / "bundle").manifest
    assert (manifest.kind, manifest.data_version) == ("rag", "d1")
    assert manifest.libraries["faiss-cpu"]
    assert "dense/vectors.faiss" in manifest.files
