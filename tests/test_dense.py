"""The FAISS index against the contract of dense indexes."""

from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import BundleError, StorageError
from rag.dense import Dense, FlatIndex
from rag.types import Vectors
from tests.contracts import DenseContract, unit_vectors


class TestFlatIndex(DenseContract):
    @pytest.fixture
    def build(self) -> Callable[[Vectors], Dense]:
        return FlatIndex.build

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

    @pytest.mark.parametrize("content", [b"", b"junk", b"IxFI" + b"\0" * 40])
    def test_a_damaged_file_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "dense.faiss"
        path.write_bytes(content)
        with pytest.raises(BundleError, match=r"dense\.faiss"):
            FlatIndex.load(path)

    def test_a_file_cut_short_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "dense.faiss"
        FlatIndex.build(unit_vectors(100, 16)).save(path)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(BundleError, match="cannot be read"):
            FlatIndex.load(path)

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="cannot be read"):
            FlatIndex.load(tmp_path / "none")

    def test_another_kind_of_index_is_refused(self, tmp_path: Path) -> None:
        faiss.write_index(faiss.IndexFlatL2(8), str(tmp_path / "l2"))
        with pytest.raises(BundleError, match="IndexFlatL2"):
            FlatIndex.load(tmp_path / "l2")

    def test_a_write_that_fails_says_where(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="none"):
            FlatIndex.build(unit_vectors(3, 4)).save(tmp_path / "none" / "dense.faiss")
