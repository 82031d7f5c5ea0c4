"""Trees evaluated here say what LightGBM says of them."""

from pathlib import Path

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classic.recommend.features import united
from classic.recommend.topk import top_k
from classic.recommend.trees import Trees
from lifecycle.errors import BundleError


def boosted(leaves: int, trees: int, seed: int) -> tuple[lightgbm.Booster, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((3000, 6)).astype(np.float32)
    features[:, 3] = np.round(features[:, 3])  # many equal values: thresholds between few
    target = features[:, 0] * features[:, 1] + np.abs(features[:, 3])
    options = {"num_leaves": leaves, "min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1}
    return lightgbm.train(options, lightgbm.Dataset(features, target), trees), features


@pytest.mark.parametrize(("leaves", "trees"), [(2, 3), (8, 40), (32, 20)])
def test_both_ways_are_lightgbms(leaves: int, trees: int) -> None:
    booster, features = boosted(leaves, trees, leaves)
    ours = Trees(booster.model_to_string())
    expected = booster.predict(features)
    np.testing.assert_allclose(ours.predict(features), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.predict(features[:50]), expected[:50], rtol=1e-4, atol=1e-5)


def test_a_value_on_the_threshold_goes_where_lightgbm_sends_it() -> None:
    booster, _ = boosted(8, 10, 1)
    ours = Trees(booster.model_to_string())
    thresholds = ours.thresholds[np.abs(ours.thresholds) > 1e-30]  # it takes smaller values for 0
    on = np.repeat(thresholds[:, None], 6, axis=1)
    up = np.nextafter(on, np.float32(np.inf))
    for values in (on, up):
        np.testing.assert_allclose(ours.predict(values), booster.predict(values), 1e-4, 1e-5)


def test_a_tree_that_never_splits_is_its_only_leaf() -> None:
    data = lightgbm.Dataset(np.zeros((50, 2)), np.full(50, 3.0))
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1}, data, 2)
    values = np.zeros((3, 2), dtype=np.float32)
    found = Trees(booster.model_to_string()).predict(values)
    np.testing.assert_allclose(found, booster.predict(values), rtol=1e-6)


def test_too_many_leaves_and_broken_text_are_refused(tmp_path: Path) -> None:
    text = boosted(40, 1, 0)[0].model_to_string()
    for content, problem in ((text, "more than 32"), ("\nTree=0\nno=1", "leaf_value")):
        (tmp_path / "trees.txt").write_text(content, "utf-8")
        with pytest.raises(BundleError, match=problem):
            Trees.read(tmp_path / "trees.txt")


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3), st.integers(1, 9))
def test_candidates_are_the_union_of_the_lists(seed: int, lists: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((lists, 70, 12)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.5] = -np.inf
    places = np.stack([top_k(one, k)[0] for one in scores])
    expected = [
        [(row, item) for item in sorted({*places[:, row].ravel()} - {-1})] for row in range(70)
    ]
    for part in (places, places[:, :20]):  # compiled, and with NumPy
        (rows, items), ranks = united(part, 12)
        assert (np.diff(rows) >= 0).all()
        pairs = sorted(zip(rows.tolist(), items.tolist(), strict=True))
        assert pairs == [pair for row in expected[: part.shape[1]] for pair in row]
        for (row, item), found in zip(zip(rows, items, strict=True), ranks, strict=True):
            for number, rank in enumerate(found):
                listed = part[number, row].tolist()
                assert (listed.index(item) if item in listed else 10_000) == rank
