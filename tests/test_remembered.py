"""Vectors in memory are those that the embedder makes, and never more than so many."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rag.remembered import RememberingEmbedder
from rag.types import Vectors


class Lengths:
    """A text's vector holds its length; ``asked`` is what it was asked to embed."""

    name, dimension, max_tokens = "lengths", 2, 8

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return np.array([[len(text), 1] for text in texts], np.float32).reshape(-1, 2)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return -self.encode(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]


TEXTS = st.lists(st.text("ab", max_size=3), max_size=6)


@given(st.lists(TEXTS, max_size=8), st.integers(0, 4))
def test_vectors_are_the_same_and_few_are_kept(batches: list[list[str]], most: int) -> None:
    plain, remembering = Lengths(), RememberingEmbedder(Lengths(), most)
    for texts in batches:
        assert np.array_equal(remembering.encode(texts), plain.encode(texts))
        assert len(remembering) <= most


@given(TEXTS)
def test_what_is_known_is_not_embedded_again_and_no_question_is_a_passage(texts: list[str]) -> None:
    inner = Lengths()
    remembering = RememberingEmbedder(inner)
    remembering.encode(texts)
    assert inner.asked == list(dict.fromkeys(texts))
    remembering.encode(texts[::-1])
    assert inner.asked == list(dict.fromkeys(texts))
    for _ in range(2):
        assert np.array_equal(remembering.encode_queries(texts), -Lengths().encode(texts))
    assert len(inner.asked) == 2 * len(set(texts))


def test_the_longest_unused_goes_first() -> None:
    inner = Lengths()
    remembering = RememberingEmbedder(inner, 2)
    for text in ("a", "b", "a", "c", "a"):
        remembering.encode([text])
    assert inner.asked == ["a", "b", "c"]
    remembering.encode(["b"])
    assert inner.asked == ["a", "b", "c", "b"]
