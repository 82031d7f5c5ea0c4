"""The measures against worked examples, and the bounds they keep whatever they are given."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.metrics import (
    abstention_precision,
    abstention_recall,
    citation_precision,
    ndcg_at_k,
    recall_at_k,
    reciprocal_rank,
    span_f1,
    token_f1,
    tokens,
)

IDS = st.lists(st.sampled_from("abcdefghij"), unique=True)
RELEVANT = st.sets(st.sampled_from("abcdefghij"))
TEXTS = st.text(alphabet="ab c,.é中文1", max_size=30)


def test_ndcg_of_one_relevant_chunk_is_the_discount_of_its_rank() -> None:
    assert ndcg_at_k(["x", "a"], {"a"}, 10) == pytest.approx(1 / math.log2(3))
    assert ndcg_at_k(["a", "x"], {"a"}, 10) == 1.0
    assert ndcg_at_k(["x"] * 10 + ["a"], {"a"}, 10) == 0.0


def test_ndcg_divides_by_the_best_possible_ranking() -> None:
    got = ndcg_at_k(["a", "x", "b"], {"a", "b"}, 10)
    assert got == pytest.approx((1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3)))
    assert ndcg_at_k(["a"], {"a", "b", "c"}, 1) == 1.0


def test_recall_counts_relevant_chunks_within_the_cut() -> None:
    assert recall_at_k(["a", "x", "b"], {"a", "b"}, 2) == 0.5
    assert recall_at_k(["a", "x", "b"], {"a", "b"}, 3) == 1.0


def test_reciprocal_rank_looks_at_the_first_relevant_chunk_only() -> None:
    assert reciprocal_rank(["x", "b", "a"], {"a", "b"}) == 0.5
    assert reciprocal_rank(["x"], {"a"}) == 0.0


@pytest.mark.parametrize(
    "measure",
    [lambda r, g: ndcg_at_k(r, g, 10), lambda r, g: recall_at_k(r, g, 5), reciprocal_rank],
)
def test_ranking_measures_do_not_apply_where_nothing_is_relevant(
    measure: Callable[[list[str], set[str]], float],
) -> None:
    assert math.isnan(measure(["a"], set()))


@given(IDS, RELEVANT.filter(bool), st.integers(1, 12))
def test_ranking_measures_lie_between_0_and_1(
    ranking: list[str], relevant: set[str], k: int
) -> None:
    for value in (
        ndcg_at_k(ranking, relevant, k),
        recall_at_k(ranking, relevant, k),
        reciprocal_rank(ranking, relevant),
    ):
        assert 0 <= value <= 1


@given(RELEVANT.filter(bool), IDS, st.integers(1, 12))
def test_ranking_all_relevant_chunks_first_is_perfect(
    relevant: set[str], rest: list[str], k: int
) -> None:
    ranking = [*sorted(relevant), *(one for one in rest if one not in relevant)]
    assert ndcg_at_k(ranking, relevant, k) == pytest.approx(1)
    assert reciprocal_rank(ranking, relevant) == 1


@given(IDS.filter(bool), RELEVANT.filter(bool), st.integers(1, 12), st.data())
def test_moving_a_relevant_chunk_up_never_lowers_a_measure(
    ranking: list[str], relevant: set[str], k: int, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(ranking) - 1))
    if place == 0 or ranking[place] not in relevant:
        return
    better = [*ranking]
    better[place - 1], better[place] = better[place], better[place - 1]
    assert ndcg_at_k(better, relevant, k) >= ndcg_at_k(ranking, relevant, k) - 1e-12
    assert recall_at_k(better, relevant, k) >= recall_at_k(ranking, relevant, k)
    assert reciprocal_rank(better, relevant) >= reciprocal_rank(ranking, relevant)


def test_tokens_follow_squad_and_take_unspaced_scripts_by_character() -> None:
    assert tokens('The "Yellow Fleet", 1,100 ships!') == ["yellow", "fleet", "1100", "ships"]
    assert tokens("東京は。") == ["東", "京", "は"]


def test_span_f1_is_1_where_the_span_stands_in_a_longer_answer() -> None:
    answer = "The company was founded on 15 December 1858 in Paris."
    assert span_f1(answer, "15 December 1858") == 1.0
    assert token_f1(answer, "15 December 1858") < 0.6


def test_span_f1_of_a_partial_span_is_the_best_windows() -> None:
    # Window "december 1858": 2 tokens shared, 2 + 3 tokens in all.
    assert span_f1("in December 1858 it began", "15 December 1858") == pytest.approx(4 / 5)
    assert span_f1("nothing of it", "15 December 1858") == 0.0
    assert span_f1("", "x") == 0.0
    assert math.isnan(span_f1("x", ""))


def test_token_f1_counts_repeated_tokens_as_often_as_both_hold_them() -> None:
    assert token_f1("x x y", "x z") == pytest.approx(2 * 1 / 5)


@given(TEXTS, TEXTS)
def test_span_measures_lie_between_0_and_1_and_the_window_is_no_worse_than_the_whole(
    answer: str, gold: str
) -> None:
    if not tokens(gold):
        assert math.isnan(span_f1(answer, gold))
        return
    assert 0 <= token_f1(answer, gold) <= 1
    assert 0 <= span_f1(answer, gold) <= 1
    if len(tokens(answer)) <= 2 * len(tokens(gold)):
        assert span_f1(answer, gold) >= token_f1(answer, gold) - 1e-12


@given(TEXTS, TEXTS, TEXTS)
def test_text_around_a_span_does_not_lower_its_span_f1(before: str, gold: str, after: str) -> None:
    if tokens(gold):
        assert span_f1(f"{before} {gold} {after}", gold) == 1.0


def test_citation_precision_is_the_share_that_is_relevant() -> None:
    assert citation_precision([["a"], ["x"]], {"a", "b"}) == 0.5
    assert citation_precision([["x", "a"]], {"a"}) == 1.0
    assert math.isnan(citation_precision([], {"a"}))
    assert math.isnan(citation_precision([["a"]], set()))


def test_means_of_the_abstention_columns_are_precision_and_recall() -> None:
    # Four questions: abstained on two, rightly on one; two unanswerable, one of them answered.
    cases = [(True, False), (True, True), (False, False), (False, True)]
    precision = [v for v in (abstention_precision(*case) for case in cases) if not math.isnan(v)]
    recall = [v for v in (abstention_recall(*case) for case in cases) if not math.isnan(v)]
    assert precision == [1.0, 0.0]
    assert sorted(recall) == [0.0, 1.0]
