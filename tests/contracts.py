"""What every implementation of an interface of `rag/` must do: base classes for its tests.

A test class inherits from a contract and says, in fixtures, what it tests. Below them stand the
small real parts that several tests need.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from lifecycle.errors import InputError, InvalidDataError, UsageError
from rag.config import RetrievalConfig
from rag.dense import Dense
from rag.embedder import Embedder, load_embedder
from rag.index import RagIndex
from rag.lexical import Lexical
from rag.lexical.tokenize import tokenize
from rag.retriever import Retriever
from rag.types import Chunk, Document, Vectors

TEXTS = [
    "The cat sat on the mat and purred.",
    "Roll a model back with the registry: the previous champion returns.",
    "LogisticRegression in sklearn.linear_model fits a linear classifier.",
    "Der Motor des Wagens läuft mit Öl.",
    "機械学習のモデルを評価する",
    "A gate refuses a model that is worse than the baseline.",
]


class EmbedderContract:
    """Fixture ``embedder``."""

    def test_gives_one_unit_vector_a_text(self, embedder: Embedder) -> None:
        vectors = embedder.encode(TEXTS)
        assert vectors.shape == (len(TEXTS), embedder.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_no_texts_give_no_vectors(self, embedder: Embedder) -> None:
        assert embedder.encode([]).shape == (0, embedder.dimension)

    def test_a_vector_does_not_depend_on_its_neighbours(self, embedder: Embedder) -> None:
        together = embedder.encode(TEXTS)
        alone = np.concatenate([embedder.encode([text]) for text in TEXTS])
        np.testing.assert_allclose(together, alone, atol=1e-5)

    def test_a_question_is_nearest_to_its_passage(self, embedder: Embedder) -> None:
        queries = embedder.encode_queries(["roll back a model", "the cat on the mat"])
        nearest = (queries @ embedder.encode(TEXTS).T).argmax(axis=1)
        assert nearest.tolist() == [1, 0]

    @pytest.mark.parametrize("text", ["", " \n", "word " * 20_000, "x" * 200_000, "\ud800 half"])
    def test_odd_texts_are_embedded(self, embedder: Embedder, text: str) -> None:
        assert np.isfinite(embedder.encode([text])).all()

    def test_tokens_are_counted_before_the_cut(self, embedder: Embedder) -> None:
        short, long = embedder.count_tokens(["one", "one " * 2000])
        assert 0 < short < embedder.max_tokens < long

    def test_several_threads_get_the_same_vectors(self, embedder: Embedder) -> None:
        expected = embedder.encode(TEXTS[:1])
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda _: embedder.encode(TEXTS[:1]), range(8)):
                np.testing.assert_allclose(found, expected, atol=1e-5)


class LexicalContract:
    """Fixture ``build``: texts to an index; fixture ``load``: a saved one back from its folder."""

    def test_the_text_with_the_words_scores_highest(
        self, build: Callable[[Sequence[str]], Lexical]
    ) -> None:
        index = build(TEXTS)
        scores = index.scores("How do I roll back to the previous champion?")
        assert len(index) == len(scores) == len(TEXTS)
        assert scores.dtype == np.float32
        assert scores.argmax() == 1

    def test_a_text_without_a_common_word_scores_nothing(
        self, build: Callable[[Sequence[str]], Lexical]
    ) -> None:
        scores = build(TEXTS).scores("purred classifier")
        assert (scores > 0).tolist() == [True, False, True, False, False, False]

    @pytest.mark.parametrize(
        ("question", "position"),
        [("linear model", 2), ("logistic regression", 2), ("Öl", 3), ("学習", 4)],
    )
    def test_parts_of_identifiers_and_other_scripts_are_found(
        self, build: Callable[[Sequence[str]], Lexical], question: str, position: int
    ) -> None:
        assert build(TEXTS).scores(question).argmax() == position

    @pytest.mark.parametrize("question", ["", "?!", "unheard", "the"])
    def test_a_question_without_a_known_word_finds_nothing(
        self, build: Callable[[Sequence[str]], Lexical], question: str
    ) -> None:
        assert not build(["Plain passage.", "Another one."]).scores(question).any()

    @pytest.mark.parametrize("texts", [[], [""], ["", "— ? —"]])
    def test_texts_without_words_are_indexed(
        self,
        build: Callable[[Sequence[str]], Lexical],
        load: Callable[[Path], Lexical],
        tmp_path: Path,
        texts: list[str],
    ) -> None:
        build(texts).save(tmp_path)
        index = load(tmp_path)
        index.warm_up()
        assert index.scores("anything at all").tolist() == [0.0] * len(texts)

    def test_a_saved_index_scores_as_before(
        self,
        build: Callable[[Sequence[str]], Lexical],
        load: Callable[[Path], Lexical],
        tmp_path: Path,
    ) -> None:
        index = build(TEXTS)
        index.save(tmp_path)
        loaded = load(tmp_path)
        loaded.warm_up()
        for question in TEXTS:
            np.testing.assert_array_equal(loaded.scores(question), index.scores(question))

    def test_equal_texts_give_equal_bytes(
        self, build: Callable[[Sequence[str]], Lexical], tmp_path: Path
    ) -> None:
        build(TEXTS).save(tmp_path / "a")
        build(TEXTS).save(tmp_path / "b")
        assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b") != {}

    def test_a_question_of_any_length_is_bounded(
        self, build: Callable[[Sequence[str]], Lexical]
    ) -> None:
        common = [f"w{number}x" for number in range(1000)]
        index = build([" ".join(common), " ".join([*common, "rareword"])])
        scores = index.scores(" ".join([*common, "rareword"]) * 10)
        assert scores[1] > scores[0] > 0

    def test_several_threads_get_the_same_scores(
        self, build: Callable[[Sequence[str]], Lexical]
    ) -> None:
        index = build(TEXTS)
        expected = index.scores("champion model")
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda _: index.scores("champion model"), range(40)):
                np.testing.assert_array_equal(found, expected)


class DenseContract:
    """Fixture ``build``: vectors to an index; fixture ``load``: a saved one back from its folder.

    ``tolerance``: how far vectors and cosines may be from the exact ones.
    """

    tolerance = 1e-5

    def test_scores_are_inner_products(self, build: Callable[[Vectors], Dense]) -> None:
        vectors = unit_vectors(50, 16)
        index = build(vectors)
        assert (len(index), index.dimension) == (50, 16)
        np.testing.assert_allclose(
            index.scores(vectors[7]), vectors @ vectors[7], atol=self.tolerance
        )

    def test_search_gives_the_best_first(self, build: Callable[[Vectors], Dense]) -> None:
        vectors = unit_vectors(50, 16)
        positions, scores = build(vectors).search(vectors[7], 5)
        expected = np.argsort(-(vectors @ vectors[7]), kind="stable")[:5]
        np.testing.assert_array_equal(positions, expected)
        assert positions[0] == 7
        assert scores[0] == pytest.approx(1, abs=self.tolerance)

    def test_search_for_more_than_there_is_gives_all(
        self, build: Callable[[Vectors], Dense]
    ) -> None:
        vectors = unit_vectors(3, 16)
        positions, _ = build(vectors).search(vectors[0], 10)
        assert sorted(positions.tolist()) == [0, 1, 2]

    def test_vectors_come_back_as_they_went_in(self, build: Callable[[Vectors], Dense]) -> None:
        vectors = unit_vectors(9, 16)
        wanted = np.array([8, 0, 8])
        found = build(vectors).vectors(wanted)
        np.testing.assert_allclose(found, vectors[wanted], atol=self.tolerance)

    def test_an_empty_index_finds_nothing(
        self, build: Callable[[Vectors], Dense], load: Callable[[Path], Dense], tmp_path: Path
    ) -> None:
        build(unit_vectors(0, 16)).save(tmp_path)
        index = load(tmp_path)
        query = unit_vectors(1, 16)[0]
        assert index.scores(query).shape == (0,)
        assert index.search(query, 5)[0].shape == (0,)
        assert index.vectors(np.array([], dtype=np.int64)).shape == (0, 16)

    def test_a_saved_index_scores_as_before(
        self, build: Callable[[Vectors], Dense], load: Callable[[Path], Dense], tmp_path: Path
    ) -> None:
        vectors = unit_vectors(50, 16)
        index = build(vectors)
        index.save(tmp_path)
        loaded = load(tmp_path)
        np.testing.assert_array_equal(loaded.scores(vectors[3]), index.scores(vectors[3]))
        np.testing.assert_allclose(loaded.vectors(np.arange(50)), vectors, atol=self.tolerance)

    def test_equal_vectors_give_equal_bytes(
        self, build: Callable[[Vectors], Dense], tmp_path: Path
    ) -> None:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            build(unit_vectors(20, 16)).save(tmp_path / name)
        assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b") != {}

    @pytest.mark.parametrize("vectors", [np.zeros(4), np.zeros((3, 0)), np.full((2, 4), np.nan)])
    def test_what_are_no_vectors_is_refused(
        self, build: Callable[[Vectors], Dense], vectors: Vectors
    ) -> None:
        with pytest.raises(InvalidDataError):
            build(vectors.astype(np.float32))

    def test_a_question_of_another_dimension_is_refused(
        self, build: Callable[[Vectors], Dense]
    ) -> None:
        index = build(unit_vectors(5, 16))
        with pytest.raises(InvalidDataError, match="another embedder"):
            index.scores(unit_vectors(1, 8)[0])

    def test_several_threads_get_the_same_scores(self, build: Callable[[Vectors], Dense]) -> None:
        vectors = unit_vectors(500, 16)
        index = build(vectors)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(index.scores, vectors[:40]))
        np.testing.assert_allclose(np.stack(found), vectors[:40] @ vectors.T, atol=self.tolerance)


class RetrieverContract:
    """Fixture ``retriever``, over an index of ``TEXTS`` in their order.

    ``tolerance``: how far a similarity may be from the cosine.
    """

    tolerance = 1e-4

    @pytest.mark.parametrize("mode", ["hybrid", "lexical", "dense"])
    def test_the_passage_that_answers_comes_first(self, retriever: Retriever, mode: str) -> None:
        found = retriever.search("How is a model rolled back to its champion?", 3, mode)  # type: ignore[arg-type]
        assert found[0].chunk.text == TEXTS[1]
        assert [passage.rank for passage in found] == [*range(1, len(found) + 1)]
        scores = [passage.score for passage in found]
        assert scores == sorted(scores, reverse=True)

    def test_k_bounds_the_passages(self, retriever: Retriever) -> None:
        assert len(retriever.search("model", 2)) == 2
        assert len(retriever.search("model", 100)) == len(TEXTS)

    def test_similarity_is_the_cosine(self, retriever: Retriever) -> None:
        question = "a linear classifier"
        vector = retriever.embedder.encode_queries([question])[0]
        for passage in retriever.search(question, 6):
            of_chunk = retriever.embedder.encode([passage.chunk.embedded_text])[0]
            assert passage.similarity == pytest.approx(float(vector @ of_chunk), abs=self.tolerance)

    @pytest.mark.parametrize("question", ["", "  \n\t"])
    def test_an_empty_question_is_refused(self, retriever: Retriever, question: str) -> None:
        with pytest.raises(InputError, match="empty"):
            retriever.search(question)

    def test_a_mode_or_count_that_does_not_exist_is_refused(self, retriever: Retriever) -> None:
        with pytest.raises(UsageError, match="'hybrid'"):
            retriever.search("model", mode="hybird")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="at least 1"):
            retriever.search("model", 0)

    @pytest.mark.parametrize(
        "question", ["model " * 16_667, "x" * 100_000, "模型" * 50_000, "back \udce9 up", "?"]
    )
    def test_odd_questions_are_answered(self, retriever: Retriever, question: str) -> None:
        found = retriever.search(question, 3)
        assert len(found) == 3
        assert all(np.isfinite(passage.score) for passage in found)

    def test_several_threads_get_the_same_passages(self, retriever: Retriever) -> None:
        questions = ["roll back", "cat", "gate", "学習"] * 5
        expected = [retriever.search(question) for question in questions]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(retriever.search, questions))
        assert [ids(one) for one in found] == [ids(one) for one in expected]


class WordEmbedder:
    """A small real embedder: a text is the sum of its words' fixed random directions."""

    def __init__(self, dimension: int = 64, seed: int = 0) -> None:
        self.name = f"words-{seed}@{dimension}"
        self.dimension = dimension
        self.max_tokens = 256
        self.seed = seed
        self.calls: list[int] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.calls.append(len(texts))
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in [*tokenize(text)[: self.max_tokens], "always"]:
                vectors[row] += self._direction(word)
        return normalised(vectors)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self.encode(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(tokenize(text)) + 1 for text in texts]

    def _direction(self, word: str) -> Vectors:
        seed = [self.seed, crc32(word.encode("utf-8", "replace"))]
        direction = np.random.default_rng(seed).standard_normal(self.dimension)
        return np.asarray(direction, dtype=np.float32)


@cache
def minilm() -> Embedder:
    """The packaged embedder, loaded once for all tests."""
    return load_embedder("packaged-minilm")


def unit_vectors(count: int, dimension: int, seed: int = 0) -> Vectors:
    return normalised(np.random.default_rng(seed).standard_normal((count, dimension)))


def normalised(vectors: NDArray[Any]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)


def corpus(texts: Sequence[str] = TEXTS) -> tuple[list[Chunk], list[Document]]:
    """A document of its own for each text, and one chunk that is all of it."""
    documents = [
        Document(sha256(text.encode()).hexdigest(), f"docs/{number}.md", "Title", text, "md", ())
        for number, text in enumerate(texts)
    ]
    chunks = [
        Chunk(
            chunk_id=f"{number:016x}",
            doc_id=document.doc_id,
            uri=document.uri,
            title=document.title,
            trail=(),
            text=document.text,
            start=0,
            end=len(document.text),
            line_start=1,
            line_end=1 + document.text.count("\n"),
            page=None,
            tokens=10,
        )
        for number, document in enumerate(documents)
    ]
    return chunks, documents


def index_of(
    texts: Sequence[str], embedder: Embedder, config: RetrievalConfig | None = None
) -> RagIndex:
    chunks, documents = corpus(texts)
    vectors = embedder.encode([chunk.embedded_text for chunk in chunks])
    return RagIndex.build(chunks, vectors, documents, config or RetrievalConfig(), embedder.name)


def ids(passages: Sequence[object]) -> list[str]:
    return [passage.chunk.chunk_id for passage in passages]  # type: ignore[attr-defined]


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
