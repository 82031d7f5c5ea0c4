"""The cache of vectors: what it saves, and what it survives."""

import logging
import multiprocessing
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import StorageError
from rag import embedding_cache
from rag.embedder import Embedder
from rag.embedding_cache import CachedEmbedder
from rag.types import Vectors
from tests.contracts import TEXTS, EmbedderContract, WordEmbedder


@pytest.fixture
def words() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def cached(words: WordEmbedder, tmp_path: Path) -> CachedEmbedder:
    return CachedEmbedder(words, tmp_path)


class TestCachedEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self, cached: CachedEmbedder) -> Embedder:
        return cached


def test_a_text_is_embedded_once(cached: CachedEmbedder, words: WordEmbedder) -> None:
    first = cached.encode(TEXTS)
    assert (cached.hits, cached.misses) == (0, len(TEXTS))
    second = cached.encode([*TEXTS, "one more"])
    assert (cached.hits, cached.misses) == (len(TEXTS), 1)
    np.testing.assert_array_equal(second[:-1], first)
    assert words.calls == [len(TEXTS), 1]


def test_another_process_finds_what_was_kept(tmp_path: Path) -> None:
    first = CachedEmbedder(WordEmbedder(), tmp_path).encode(TEXTS)
    later = CachedEmbedder(WordEmbedder(), tmp_path)
    np.testing.assert_array_equal(later.encode(TEXTS[::-1]), first[::-1])
    assert later.misses == 0


def test_a_repeated_text_is_embedded_once(cached: CachedEmbedder, words: WordEmbedder) -> None:
    vectors = cached.encode(["a b", "c", "a b"])
    assert words.calls == [2]
    assert (cached.hits, cached.misses) == (1, 2)
    np.testing.assert_array_equal(vectors[0], vectors[2])


def test_models_do_not_share_vectors(tmp_path: Path) -> None:
    CachedEmbedder(WordEmbedder(seed=1), tmp_path).encode(TEXTS)
    other = CachedEmbedder(WordEmbedder(seed=2), tmp_path)
    np.testing.assert_array_equal(other.encode(TEXTS), WordEmbedder(seed=2).encode(TEXTS))
    assert other.misses == len(TEXTS)


def test_questions_leave_no_trace(cached: CachedEmbedder) -> None:
    cached.encode_queries(["a question"])
    assert not cached.path.exists()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.text(max_size=8), max_size=8), max_size=5))
def test_the_cache_changes_no_vector(
    tmp_path_factory: pytest.TempPathFactory, calls: list[list[str]]
) -> None:
    cached = CachedEmbedder(WordEmbedder(), tmp_path_factory.mktemp("cache"))
    for texts in calls:
        np.testing.assert_array_equal(cached.encode(texts), WordEmbedder().encode(texts))
        assert cached.hits + cached.misses == len(texts)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_cut_short_is_dropped_with_a_warning(
    cached: CachedEmbedder, caplog: pytest.LogCaptureFixture, share: float
) -> None:
    texts = [f"text {number}" for number in range(300)]
    expected = cached.encode(texts)
    content = cached.path.read_bytes()
    cached.path.write_bytes(content[: int(len(content) * share)])
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(cached.encode(texts), expected)
    assert cached.misses == len(texts)
    assert ("damaged" in caplog.text) == (share > 0)
    cached.encode(texts)
    assert cached.misses == 0


def test_a_file_of_junk_is_dropped_with_a_warning(
    cached: CachedEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    cached.path.write_bytes(b"no database" * 1000)
    cached.encode(TEXTS)
    assert "damaged" in caplog.text
    cached.encode(TEXTS)
    assert cached.misses == 0


def test_damage_between_reading_and_writing_is_survived(cached: CachedEmbedder) -> None:
    class Vandal(WordEmbedder):
        def encode(self, texts: Sequence[str]) -> Vectors:
            cached.path.write_bytes(b"no database" * 1000)
            return super().encode(texts)

    cached.embedder = Vandal()
    cached.encode(TEXTS)
    cached.embedder = WordEmbedder()
    cached.encode(TEXTS)
    assert cached.misses == 0


def test_a_damaged_vector_is_made_anew(
    cached: CachedEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    expected = cached.encode(TEXTS)
    with sqlite3.connect(cached.path) as database:
        half = database.execute("SELECT vector FROM vectors WHERE rowid = 2").fetchone()[0][:-4]
        database.execute("UPDATE vectors SET vector = ? WHERE rowid = 2", [half])
        wrong = np.ones(64, dtype=np.float32).tobytes()
        database.execute("UPDATE vectors SET vector = ? WHERE rowid = 3", [wrong])
    database.close()
    np.testing.assert_array_equal(cached.encode(TEXTS), expected)
    assert (cached.hits, cached.misses) == (len(TEXTS) - 2, 2)
    assert "damaged vector" in caplog.text


def test_what_was_embedded_before_a_crash_is_kept(
    cached: CachedEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crashing(WordEmbedder):
        def encode(self, texts: Sequence[str]) -> Vectors:
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().encode(texts)

    monkeypatch.setattr(embedding_cache, "_BLOCK", 2)
    cached.embedder = Crashing()
    with pytest.raises(KeyboardInterrupt):
        cached.encode(TEXTS)
    cached.embedder = WordEmbedder()
    cached.encode(TEXTS)
    assert (cached.hits, cached.misses) == (4, len(TEXTS) - 4)


def test_the_oldest_vectors_go_when_there_are_too_many(
    cached: CachedEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_cache, "LARGEST", 4)
    cached.encode(TEXTS)
    cached.encode(TEXTS[-4:])
    assert cached.misses == 0
    cached.encode(TEXTS[:2])
    assert cached.misses == 2


def test_a_folder_that_cannot_be_written_is_named(words: WordEmbedder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        CachedEmbedder(words, tmp_path / "file").encode(TEXTS)
    blocked = CachedEmbedder(words, tmp_path)
    blocked.path.mkdir()
    with pytest.raises(StorageError, match="words-0"):
        blocked.encode(TEXTS)


def test_several_threads_may_share_a_cache(cached: CachedEmbedder, words: WordEmbedder) -> None:
    parts = [[f"text {number} of {part}" for number in range(20)] for part in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(cached.encode, [part * 2 for part in parts]))
    np.testing.assert_array_equal(
        np.concatenate(found), words.encode([t for p in parts for t in p * 2])
    )


def _fill(folder: Path, start: int) -> None:
    cached = CachedEmbedder(WordEmbedder(), folder)
    for number in range(start, start + 60, 5):
        cached.encode([f"text {n}" for n in range(number, number + 10)])


def test_several_processes_may_share_a_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_fill, args=(tmp_path, start)) for start in (0, 20, 40)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    cached = CachedEmbedder(WordEmbedder(), tmp_path)
    texts = [f"text {number}" for number in range(100)]
    np.testing.assert_array_equal(cached.encode(texts), WordEmbedder().encode(texts))
    assert cached.misses == 0
