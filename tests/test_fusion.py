"""Laws of fusing two lists of scores."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag.fusion import Scores, rrf, spread, standardise, zscore

SIZE = st.shared(st.integers(1, 30), key="size")
# Distances that float32 can tell apart, as scores of real texts have.
values = st.integers(-1000, 1000).map(lambda number: number / 8)
lists = arrays(np.float32, SIZE, elements=values)
weights = st.floats(0, 1)


def fuse_by_rank(lexical: Scores, dense: Scores, weight: float) -> Scores:
    return rrf(lexical, dense, weight, depth=10)


Fuse = Callable[[Scores, Scores, float], Scores]
both = pytest.mark.parametrize("fuse", [zscore, fuse_by_rank])


@both
class TestFusion:
    @settings(deadline=None)
    @given(lexical=lists, dense=lists, weight=weights)
    def test_swapping_lists_and_shares_changes_nothing(
        self, fuse: Fuse, lexical: Scores, dense: Scores, weight: float
    ) -> None:
        one = fuse(lexical, dense, weight)
        other = fuse(dense, lexical, 1 - weight)
        np.testing.assert_allclose(one, other, atol=1e-5)

    @settings(deadline=None)
    @given(
        lexical=lists,
        dense=lists,
        weight=weights,
        scale=st.sampled_from([0.01, 0.5, 3.0, 100.0]),
        shift=st.sampled_from([-50.0, 0.0, 7.0]),
    )
    def test_scale_and_offset_of_a_list_do_not_count(
        self,
        fuse: Fuse,
        lexical: Scores,
        dense: Scores,
        weight: float,
        scale: float,
        shift: float,
    ) -> None:
        moved = fuse(lexical * np.float32(scale) + np.float32(shift), dense, weight)
        np.testing.assert_allclose(moved, fuse(lexical, dense, weight), atol=2e-3)

    @settings(deadline=None)
    @given(lexical=lists, dense=lists, weight=weights, data=st.data())
    def test_the_order_of_texts_does_not_count(
        self, fuse: Fuse, lexical: Scores, dense: Scores, weight: float, data: st.DataObject
    ) -> None:
        order = np.array(data.draw(st.permutations(range(len(lexical)))))
        np.testing.assert_allclose(
            fuse(lexical[order], dense[order], weight),
            fuse(lexical, dense, weight)[order],
            atol=1e-5,
        )

    @settings(deadline=None)
    @given(lexical=lists, weight=weights, constant=values)
    def test_a_list_that_tells_nothing_apart_leaves_the_other_in_charge(
        self, fuse: Fuse, lexical: Scores, weight: float, constant: float
    ) -> None:
        alike = np.full_like(lexical, constant)
        fused = fuse(lexical, alike, weight)
        assert np.isfinite(fused).all()
        np.testing.assert_allclose(fused - fused[0], fuse(lexical, alike * 0, weight) - fused[0])

    @settings(deadline=None)
    @given(lexical=lists, dense=lists)
    def test_a_full_share_gives_that_list_alone(
        self, fuse: Fuse, lexical: Scores, dense: Scores
    ) -> None:
        np.testing.assert_allclose(
            fuse(lexical, dense, 1.0), fuse(lexical, np.zeros_like(dense), 1.0), atol=1e-6
        )

    def test_no_texts_give_no_scores(self, fuse: Fuse) -> None:
        nothing = np.zeros(0, dtype=np.float32)
        assert fuse(nothing, nothing, 0.5).shape == (0,)

    def test_what_both_lists_like_beats_what_one_likes(self, fuse: Fuse) -> None:
        lexical = np.array([9, 8, 0, 1], dtype=np.float32)
        dense = np.array([0.1, 0.8, 0.9, 0.2], dtype=np.float32)
        assert fuse(lexical, dense, 0.5).argmax() == 1


@settings(deadline=None)
@given(scores=lists)
def test_standardised_scores_have_mean_0_and_deviation_1_or_are_all_0(scores: Scores) -> None:
    found = standardise(scores, spread(scores))
    assert abs(found.mean()) < 1e-6
    assert found.std() == pytest.approx(1 if len(set(scores.tolist())) > 1 else 0)


def test_a_constant_list_that_floats_cannot_hold_exactly_counts_as_constant() -> None:
    alike = np.full(1000, 0.1, dtype=np.float32)
    assert not standardise(alike, spread(alike)).any()


def test_zscore_keeps_how_far_a_text_stands_out_and_ranks_do_not() -> None:
    lexical = np.array([30, 0, 0, 0, 0], dtype=np.float32)
    dense = np.array([0.30, 0.33, 0.32, 0.31, 0.29], dtype=np.float32)
    assert zscore(lexical, dense, 0.5).argmax() == 0
    assert zscore(lexical / np.float32(1000), dense, 0.5).argmax() == 0


def test_texts_without_a_common_term_do_not_count_as_found_by_rank() -> None:
    lexical = np.array([3, 0, 0, 0], dtype=np.float32)
    dense = np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32)
    fused = rrf(lexical, dense, 0.5, depth=2)
    assert fused.tolist() == pytest.approx([0.5 / 61, 0, 0.5 / 62, 0.5 / 61])
