"""The retriever against its contract, and as a LangChain one."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lifecycle.errors import BundleError
from rag.config import RetrievalConfig
from rag.filters import Wanted
from rag.index import RagIndex
from rag.langchain_retriever import as_langchain
from rag.ranking import top
from rag.retriever import Retriever
from tests.contracts import (
    TEXTS,
    RetrieverContract,
    WordEmbedder,
    corpus,
    ids,
    index_of,
    minilm,
)

WORDS = [f"{a}{b}" for a in "bcdfghjklm" for b in "ando elka irto ombi ustu".split()] * 2


@pytest.fixture(scope="module")
def of_texts() -> Retriever:
    return Retriever(index_of(TEXTS, minilm()), minilm(), RetrievalConfig())


class TestWithMiniLM(RetrieverContract):
    @pytest.fixture
    def retriever(self, of_texts: Retriever) -> Retriever:
        return of_texts

    def test_vectors_find_what_is_said_in_other_words(self, retriever: Retriever) -> None:
        question = "a pet resting on a rug"
        assert retriever.search(question, 1)[0].chunk.text == TEXTS[0]
        assert retriever.search(question, mode="lexical") == []

    def test_words_find_the_identifier_that_vectors_cannot_tell_apart(self) -> None:
        texts = [f"Error code E{number} is raised by the device." for number in range(400, 420)]
        retriever = Retriever(index_of(texts, minilm()), minilm(), RetrievalConfig())
        assert retriever.search("what raises E417?", 1)[0].chunk.text == texts[17]


@pytest.mark.parametrize("fusion", ["zscore", "rrf"])
@pytest.mark.parametrize("engine", ["rank-bm25", "bm25s"])
class TestEveryFusionAndEngine(RetrieverContract):
    @pytest.fixture
    def retriever(self, fusion: str, engine: str) -> Retriever:
        config = RetrievalConfig.model_validate({"fusion": fusion, "lexical_engine": engine})
        return Retriever(index_of(TEXTS, WordEmbedder(), config), WordEmbedder(), config)


@pytest.mark.parametrize("fusion", ["zscore", "rrf"])
class TestCandidates(RetrieverContract):
    """As in an index too large to score wholly."""

    tolerance = 0.01

    @pytest.fixture
    def retriever(self, fusion: str, monkeypatch: pytest.MonkeyPatch) -> Retriever:
        monkeypatch.setattr("rag.ranking.SCORED_WHOLLY", 0)
        engines = {"lexical_engine": "bm25s", "dense_engine": "codes"}
        config = RetrievalConfig.model_validate({"fusion": fusion} | engines)
        return Retriever(index_of(TEXTS, WordEmbedder(), config), WordEmbedder(), config)


MANY = [
    " ".join(WORDS[number % 89 : number % 89 + 3] + WORDS[number % 97 : number % 97 + 4])
    for number in range(3000)
]


@pytest.mark.parametrize("filters", [None, {"uri": "docs/1*"}])
def test_candidates_are_ranked_as_if_every_chunk_were_scored(
    monkeypatch: pytest.MonkeyPatch, filters: Wanted | None
) -> None:
    config = RetrievalConfig(lexical_engine="bm25s", dense_engine="flat")
    retriever = Retriever(index_of(MANY, WordEmbedder(), config), WordEmbedder(), config)
    questions = [" ".join(WORDS[at : at + 4]) for at in range(0, 80, 7)]
    wholly = [retriever.search(question, 10, filters=filters) for question in questions]
    monkeypatch.setattr("rag.ranking.SCORED_WHOLLY", 100)
    for question, expected in zip(questions, wholly, strict=True):
        found = retriever.search(question, 10, filters=filters)
        assert ids(found) == ids(expected)
        np.testing.assert_allclose([p.score for p in found], [p.score for p in expected], atol=1e-4)


def test_the_first_chunk_of_a_document_speaks_for_the_others() -> None:
    texts = ["all about turtles", "they live long", "all about ferns", "they live long"]
    chunks, documents = corpus(texts)
    owners = [0, 0, 2, 2]
    chunks = [
        replace(one, doc_id=documents[at].doc_id) for one, at in zip(chunks, owners, strict=True)
    ]
    vectors = WordEmbedder().encode(texts)
    for share, second in ((0.0, 1), (0.3, 3)):
        config = RetrievalConfig(lead_share=share, lexical_weight=0)
        index = RagIndex.build(chunks, vectors, documents, config, WordEmbedder().name)
        found = Retriever(index, WordEmbedder(), config).search("ferns that live long", 4)
        places = [
            int(passage.chunk.chunk_id, 16) for passage in found if passage.chunk.text == texts[1]
        ]
        assert places[0] == second


@pytest.fixture
def retriever() -> Retriever:
    return Retriever(index_of(TEXTS, WordEmbedder()), WordEmbedder(), RetrievalConfig(k=3))


def test_k_is_the_configured_one_unless_given(retriever: Retriever) -> None:
    assert len(retriever.search("model")) == 3
    assert len(retriever.search("model", 1)) == 1


def test_words_alone_find_only_what_shares_one(retriever: Retriever) -> None:
    found = retriever.search("purred", mode="lexical")
    assert [passage.chunk.text for passage in found] == [TEXTS[0]]
    assert math.isnan(found[0].similarity)


def test_equal_scores_keep_the_order_of_the_index() -> None:
    retriever = Retriever(
        index_of(["same"] * 20, WordEmbedder()), WordEmbedder(), RetrievalConfig()
    )
    assert ids(retriever.search("same", 5)) == [f"{number:016x}" for number in range(5)]


def test_timings_are_those_of_the_last_search(retriever: Retriever) -> None:
    assert retriever.timings == {}
    retriever.search("model")
    assert set(retriever.timings) == {"embed_ms", "lexical_ms", "dense_ms", "fuse_ms", "fetch_ms"}
    assert all(value >= 0 for value in retriever.timings.values())
    retriever.search("model", mode="lexical")
    assert set(retriever.timings) == {"lexical_ms", "fetch_ms"}


def test_an_embedder_that_did_not_make_the_vectors_is_refused() -> None:
    index = index_of(TEXTS, WordEmbedder(seed=1))
    with pytest.raises(BundleError, match="words-1@64"):
        Retriever(index, WordEmbedder(seed=2), RetrievalConfig())


def test_warming_up_changes_no_answer(retriever: Retriever) -> None:
    before = retriever.search("roll back")
    retriever.warm_up()
    assert retriever.search("roll back") == before


def test_a_search_by_words_imports_neither_torch_nor_numba(tmp_path: Path) -> None:
    index_of(TEXTS, minilm()).save(tmp_path)
    code = (
        "import sys; from pathlib import Path\n"
        "from rag.config import RetrievalConfig; from rag.embedder import load_embedder\n"
        "from rag.index import RagIndex; from rag.retriever import Retriever\n"
        "index = RagIndex.load(Path(sys.argv[1]))\n"
        "retriever = Retriever(index, load_embedder('packaged-minilm'), RetrievalConfig())\n"
        "assert len(retriever.search('champion', mode='lexical')) == 1\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'numba', 'pandas', 'sklearn'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


@settings(deadline=None)
@given(
    scores=arrays(np.float32, st.integers(0, 30), elements=st.sampled_from([0.0, 0.5, 1.0, 2.0])),
    k=st.integers(1, 40),
)
def test_top_is_the_head_of_a_stable_sort(scores: np.ndarray, k: int) -> None:
    expected = sorted(range(len(scores)), key=lambda position: -scores[position])[:k]
    assert top(scores, k).tolist() == expected


class TestLangChain:
    def test_drops_into_a_chain(self, retriever: Retriever) -> None:
        from langchain_core.runnables import RunnableLambda

        chain = as_langchain(retriever, 2) | RunnableLambda(lambda found: found[0].page_content)
        assert chain.invoke("roll back a model to its champion") == TEXTS[1]
        assert len(as_langchain(retriever, 2).invoke("model")) == 2
        assert len(as_langchain(retriever).batch(["model", "cat"])[1]) == 3

    def test_says_where_a_passage_stands(self, retriever: Retriever) -> None:
        document = as_langchain(retriever, 1).invoke("roll back a model to its champion")[0]
        passage = retriever.search("roll back a model to its champion", 1)[0]
        assert document.id == document.metadata["chunk_id"] == passage.chunk.chunk_id
        assert document.metadata["uri"] == "docs/1.md"
        assert document.metadata["lines"] == [1, 1]
        assert document.metadata["score"] == pytest.approx(passage.score)
        assert json.loads(json.dumps(document.metadata)) == document.metadata
