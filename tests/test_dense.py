"""Both engines against the contract of dense indexes, and what each promises beyond it."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import BundleError, StorageError
from rag.dense import Dense, Moments, build_dense, load_dense
from rag.dense.codes import CodesIndex
from rag.dense.flat import FlatIndex
from rag.types import Vectors
from tests.contracts import DenseContract, normalised, unit_vectors


def engine(vectors: Vectors, name: str) -> Dense:
    return build_dense(vectors, name).engine  # type: ignore[arg-type]


def like_texts(count: int, dimension: int, seed: int = 0) -> Vectors:
    """Vectors around some topics, off-centre and with few strong directions, as embedders give."""
    rng = np.random.default_rng(seed)
    spread = 1 / np.sqrt(1 + np.arange(dimension))
    topics = np.random.default_rng(99).standard_normal((40, dimension)) * spread
    own = rng.standard_normal((count, dimension)) * spread
    return normalised(0.3 + topics[rng.integers(0, 40, count)] + own)


class TestFlatIndex(DenseContract):
    @pytest.fixture
    def build(self) -> Callable[[Vectors], Dense]:
        return partial(engine, name="flat")

    @pytest.fixture
    def load(self) -> Callable[[Path], Dense]:
        return FlatIndex.load

    @settings(max_examples=25, deadline=None)
    @given(st.integers(1, 40), st.integers(1, 50), st.integers(1, 60))
    def test_search_agrees_with_the_scores(self, count: int, dimension: int, k: int) -> None:
        index = FlatIndex.build(unit_vectors(count, dimension, seed=k))
        query = unit_vectors(1, dimension, seed=k + 1)[0]
        _, found = index.search(query, k)
        expected = np.sort(index.scores(query))[::-1][:k]
        np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_another_kind_of_index_is_refused(self, tmp_path: Path) -> None:
        faiss.write_index(faiss.IndexFlatL2(8), str(tmp_path / "vectors.faiss"))
        with pytest.raises(BundleError, match="IndexFlatL2"):
            FlatIndex.load(tmp_path)

    def test_a_write_that_fails_says_where(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="none"):
            FlatIndex.build(unit_vectors(3, 4)).save(tmp_path / "none")


class TestCodesIndex(DenseContract):
    tolerance = 0.01

    @pytest.fixture
    def build(self) -> Callable[[Vectors], Dense]:
        return partial(engine, name="codes")

    @pytest.fixture
    def load(self) -> Callable[[Path], Dense]:
        return partial(CodesIndex.load, recall=1.0)

    @pytest.mark.parametrize("dimension", [32, 384])
    def test_finds_nearly_all_that_an_exact_search_finds(self, dimension: int) -> None:
        vectors, questions = like_texts(10_000, dimension), like_texts(100, dimension, seed=1)
        index, exact = CodesIndex.build(vectors), FlatIndex.build(vectors)
        shares = [
            len(np.intersect1d(index.search(q, 10)[0], exact.search(q, 10)[0])) / 10
            for q in questions
        ]
        assert np.mean(shares) >= 0.95
        assert np.mean(shares) == pytest.approx(index.recall, abs=0.03)

    def test_scores_what_it_found_as_exactly_as_it_scores_all(self) -> None:
        index = CodesIndex.build(like_texts(3000, 64))
        query = like_texts(1, 64, seed=1)[0]
        found, scores = index.search(query, 50)
        np.testing.assert_allclose(scores, index.scores(query, found), atol=1e-6)
        np.testing.assert_allclose(scores, index.scores(query)[found], atol=1e-6)

    def test_arrays_that_do_not_fit_together_are_refused(self, tmp_path: Path) -> None:
        build_dense(unit_vectors(30, 8), "codes").save(tmp_path)
        np.save(tmp_path / "scales.npy", np.ones(29, np.float32))
        with pytest.raises(BundleError, match="do not fit"):
            load_dense(tmp_path)


@pytest.mark.parametrize("name", ["flat", "codes"])
class TestEitherEngine:
    def test_finds_only_what_is_allowed(self, name: str) -> None:
        vectors = like_texts(2000, 64)
        allowed = np.arange(2000) % 7 == 3
        query = vectors[8]
        found, _ = engine(vectors, name).search(query, 5, allowed)
        exact = np.flatnonzero(allowed)[np.argsort(-(vectors[allowed] @ query))]
        assert len(set(found) & set(exact[:5])) >= 4
        assert len(engine(vectors, name).search(query, 5, np.zeros(2000, dtype=bool))[0]) == 0

    def test_comes_back_with_its_moments_and_recall(self, name: str, tmp_path: Path) -> None:
        made = build_dense(like_texts(500, 16), name)  # type: ignore[arg-type]
        made.save(tmp_path)
        loaded = load_dense(tmp_path)
        assert loaded.engine.engine == name
        assert loaded.engine.recall == made.engine.recall
        np.testing.assert_array_equal(loaded.moments.covariance, made.moments.covariance)

    def test_is_refused_where_a_file_is_missing_or_damaged(self, name: str, tmp_path: Path) -> None:
        build_dense(like_texts(500, 16), name).save(tmp_path)  # type: ignore[arg-type]
        for path in sorted(tmp_path.iterdir()):
            content = path.read_bytes()
            for damage in (b"", b"junk", content[: len(content) // 2]):
                path.write_bytes(damage)
                with pytest.raises(BundleError, match="cannot be read"):
                    load_dense(tmp_path)
            path.unlink()
            with pytest.raises(BundleError, match="cannot be read"):
                load_dense(tmp_path)
            path.write_bytes(content)
        assert len(load_dense(tmp_path).engine) == 500

    def test_is_refused_where_it_does_not_hold_what_it_says(
        self, name: str, tmp_path: Path
    ) -> None:
        build_dense(like_texts(50, 16), name).save(tmp_path)  # type: ignore[arg-type]
        path = tmp_path / "dense.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"vectors": 51}))
        with pytest.raises(BundleError, match="differ in size"):
            load_dense(tmp_path)


def test_the_engine_follows_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.dense.LARGEST_FLAT", 40)
    assert build_dense(unit_vectors(40, 8)).engine.engine == "flat"
    assert build_dense(unit_vectors(41, 8)).engine.engine == "codes"


def test_whitening_makes_shared_directions_count_less() -> None:
    vectors = like_texts(3000, 32)
    strong = np.linalg.eigh(np.cov(vectors.T))[1][:, -1].astype(np.float32)
    weak = np.linalg.eigh(np.cov(vectors.T))[1][:, 0].astype(np.float32)
    whitened = Moments.of(vectors, power=0.2).whitened
    assert whitened(strong) @ strong < whitened(weak) @ weak
    np.testing.assert_allclose(Moments.of(vectors).whitened(strong), strong, atol=1e-6)
    one = np.repeat(vectors[:1], 5, axis=0)
    np.testing.assert_allclose(Moments.of(one, power=0.2).whitened(strong), strong, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 200), st.integers(1, 20), st.integers(0, 5))
def test_moments_are_those_of_the_scores(count: int, dimension: int, seed: int) -> None:
    vectors, query = unit_vectors(count, dimension, seed), unit_vectors(1, dimension, seed + 1)[0]
    scores = (vectors @ query).astype(np.float64)
    mean, deviation = Moments.of(vectors).of_scores(query)
    assert mean == pytest.approx(scores.mean(), abs=1e-5)
    assert deviation == pytest.approx(scores.std(), abs=1e-4)
