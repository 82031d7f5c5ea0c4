"""Sentences are embedded once while they are remembered, and give the same vectors each time."""

import threading
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rag.remembered import Remembered
from rag.types import Vectors


class Counting:
    """Embeds a text by its length and counts what it is asked."""

    name, dimension, max_tokens = "counting", 4, 64

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return np.array([[len(t), hash(t) % 7, 1, 0.1] for t in texts], dtype=np.float32)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self.encode(texts) + 1

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]


def test_a_text_is_embedded_once_and_its_vector_stays_the_same() -> None:
    inner = Counting()
    remembered = Remembered(inner)
    first = remembered.encode(["a", "bb", "a"])
    again = remembered.encode(["bb", "a", "ccc"])
    assert inner.asked == ["a", "bb", "a", "ccc"]
    assert np.array_equal(again[0], first[1]) and np.array_equal(again[1], first[0])
    assert np.allclose(first, inner.encode(["a", "bb", "a"]), rtol=1e-3)
    assert first.dtype == np.float32


def test_questions_pass_through() -> None:
    inner = Counting()
    assert np.array_equal(Remembered(inner).encode_queries(["a"]), inner.encode_queries(["a"]))


@given(st.lists(st.text("abc", max_size=3), max_size=60), st.integers(1, 8))
def test_memory_is_bounded_and_the_oldest_go_first(texts: list[str], capacity: int) -> None:
    inner = Counting()
    remembered = Remembered(inner, capacity)
    for text in texts:
        found = remembered.encode([text])
        assert np.allclose(found, Counting().encode([text]), rtol=1e-3)
        assert len(remembered) <= capacity
    inner.asked.clear()
    latest = list(dict.fromkeys(reversed(texts)))[:1]
    remembered.encode(latest)
    assert inner.asked == []


def test_learning_ahead_stops_when_it_is_told() -> None:
    inner, stopped = Counting(), threading.Event()
    remembered = Remembered(inner)
    remembered.learn((str(n) for n in range(100)), stopped)
    assert len(remembered) == 100
    stopped.set()
    remembered.learn((f"more {n}" for n in range(1_000)), stopped)
    assert len(remembered) == 132


def test_several_threads_get_right_vectors() -> None:
    remembered = Remembered(Counting(), 50)
    wrong: list[str] = []

    def ask(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(200):
            texts = ["x" * n for n in rng.integers(1, 90, 5)]
            if not np.allclose(remembered.encode(texts)[:, 0], [len(t) for t in texts], rtol=1e-3):
                wrong.append(texts[0])

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
