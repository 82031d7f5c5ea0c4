"""Term counts: what they hold, and that parts put together equal a count of everything."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.lexical.counts import TermCounts, by_term, joined
from rag.lexical.tokenize import tokenize, words

texts = st.lists(st.text("ab cd_E1é.'", max_size=30), max_size=12)


def same(one: TermCounts, other: TermCounts) -> None:
    assert one.vocabulary == other.vocabulary
    for name in ("offsets", "terms", "counts", "lengths"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@settings(deadline=None)
@given(texts)
def test_counts_are_those_of_the_terms(texts: list[str]) -> None:
    counts = TermCounts.of(texts)
    terms = [tokenize(text, keep_stopwords=True) for text in texts]
    assert list(by_term(counts)) == [{t: one.count(t) for t in sorted(set(one))} for one in terms]
    assert counts.lengths.tolist() == [len(one) for one in terms]
    assert counts.vocabulary == sorted({term for one in terms for term in one})


@settings(deadline=None)
@given(texts, st.data())
def test_parts_put_together_equal_a_count_of_everything(
    texts: list[str], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(texts)))
    same(joined([TermCounts.of(texts[:cut]), TermCounts.of(texts[cut:])]), TermCounts.of(texts))


@settings(deadline=None)
@given(texts, st.data())
def test_rows_are_counted_as_by_themselves(texts: list[str], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(texts)))) if texts else []
    order = order[: data.draw(st.integers(0, len(texts)))]
    taken = TermCounts.of(texts).rows(np.array(order, dtype=np.int64))
    same(taken, TermCounts.of([texts[at] for at in order]))


def test_blocks_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {number} of many{number % 5}" for number in range(100)]
    expected = TermCounts.of(texts)
    monkeypatch.setattr("rag.lexical.counts._TEXTS_AT_ONCE", 7)
    monkeypatch.setattr("rag.lexical.counts._WORDS_REMEMBERED", 3)
    same(TermCounts.of(texts), expected)


def test_come_back_from_disk(tmp_path: Path) -> None:
    counts = TermCounts.of(["one two two", "", "three"])
    counts.save(tmp_path)
    same(TermCounts.load(tmp_path), counts)


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=127), max_size=200))
def test_plain_text_has_the_same_words_by_either_rule(text: str) -> None:
    assert words(text) == [word for word in words(text + " é") if word != "é"]
