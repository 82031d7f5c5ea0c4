"""Metrics against a slow second implementation, splits against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classic.recommend.evaluate import METRICS, evaluate, metrics_of, ranks
from classic.recommend.interactions import Interactions
from classic.recommend.recommender import Recommender
from classic.recommend.settings import Ease, Popular
from classic.recommend.splits import by_time, leave_last_out, random_share
from lifecycle.bootstrap import bootstrap_mean
from lifecycle.errors import DataError
from tests.recommender_contract import checkerboard, made, missing

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), min_size=1, max_size=40)


def slow_metrics(scores: list[float], relevant: set[int]) -> dict[str, float]:
    """Of one user, from the definitions, where no two scores are equal."""
    ranking = sorted(range(len(scores)), key=lambda item: -scores[item])
    out: dict[str, float] = {}
    for k in (10, 20):
        hits = [item in relevant for item in ranking[:k]]
        gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(hits) if hit)
        most = sum(1 / math.log2(place + 2) for place in range(min(k, len(relevant))))
        out |= {f"recall@{k}": sum(hits) / len(relevant), f"ndcg@{k}": gain / most}
    out["hr@10"] = float(any(item in relevant for item in ranking[:10]))
    first = next(place for place, item in enumerate(ranking) if item in relevant)
    return out | {"mrr": 1 / (first + 1)}


@given(st.integers(0, 1000), st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_metrics_are_those_of_the_definitions(seed: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.permutation(3 * width).reshape(3, width).astype(np.float32)
    relevant = [rng.choice(width, rng.integers(1, width + 1), replace=False) for _ in range(3)]
    rows = np.repeat(np.arange(3), [len(one) for one in relevant])
    found = metrics_of(ranks(scores, rows, np.concatenate(relevant)), rows, 3)
    for user in range(3):
        expected = slow_metrics(scores[user].tolist(), set(relevant[user].tolist()))
        assert {name: one[user] for name, one in found.items()} == pytest.approx(expected)


def test_equal_scores_share_their_places() -> None:
    scores = np.array([[1, 1, 1, np.nan, 5]], dtype=np.float32)
    places = ranks(scores, np.array([0, 0, 0]), np.array([0, 2, 4]))
    assert places.tolist() == [3, 3, 1]


def test_evaluates_a_known_answer() -> None:
    train = checkerboard()
    test = made([(user, missing(user)) for user in range(60)], 61, 21)
    regions = {f"user {n}": ("north", "south")[n % 2] for n in range(0, 61)}
    recommender = Recommender(Ease(regularisation=5.0)).fit(train)
    scores, facts = evaluate(recommender, test, {"region": regions})
    assert scores.index.name == "user_id"
    assert (scores[[name for name in METRICS if name != "novelty@10"]] == 1).all().all()
    np.testing.assert_allclose(scores["novelty@10"].iloc[0], np.log2(61 / 27), atol=0.1)
    assert set(scores["region"]) == {"north", "south"}
    assert facts["users.evaluated"] == 60
    assert facts["coverage@10"] == pytest.approx(20 / 21)
    assert bootstrap_mean(scores["ndcg@10"]).low == 1


def test_what_was_seen_in_training_is_not_asked_again() -> None:
    train = checkerboard()
    recommender = Recommender(Popular()).fit(train)
    scores, facts = evaluate(recommender, made([(0, 2), (0, missing(0)), (1, 3)], 61, 21))
    assert scores.index.tolist() == ["user 0"]
    assert facts["users.left_out"] == 1
    with pytest.raises(DataError, match="new to them"):
        evaluate(recommender, train)


def test_cold_users_are_a_segment_of_their_own() -> None:
    recommender = Recommender(Ease()).fit(checkerboard())
    scores, _ = evaluate(recommender, made([(60, 3), (0, missing(0))], 61, 21))
    assert scores.loc["user 60", "activity"] == "cold"
    assert scores.loc["user 0", "activity"] != "cold"


@given(PAIRS, st.integers(1, 3))
def test_leave_last_out_takes_the_last(pairs: list[tuple[int, int]], n: int) -> None:
    whole = made(pairs, 6, 8)
    train, test = leave_last_out(whole, n)
    for user in range(6):
        before, after = (times_of(part, user) for part in (train, test))
        assert sorted(before + after) == times_of(whole, user)
        assert len(after) == (n if len(before) + len(after) > n else 0)
        assert not before or not after or max(before) < min(after)


@given(PAIRS, st.floats(0.05, 0.95))
def test_a_cut_in_time_is_one_for_all(pairs: list[tuple[int, int]], share: float) -> None:
    whole = made(pairs, 6, 8)
    train, test = by_time(whole, share)
    assert len(train) + len(test) == len(whole)
    assert len(test) >= 1
    assert not len(train) or train.times.max() < test.times.min()


@given(PAIRS, st.integers(0, 3))
def test_a_random_share_is_of_each_user(pairs: list[tuple[int, int]], seed: int) -> None:
    whole = made(pairs, 6, 8)
    train, test = random_share(whole, 0.2, seed)
    for user in range(6):
        assert len(times_of(test, user)) == len(times_of(whole, user)) // 5
    assert len(train) + len(test) == len(whole)


def times_of(interactions: Interactions, user: int) -> list[int]:
    times: list[int] = interactions.times[interactions.users == user].tolist()
    return times
