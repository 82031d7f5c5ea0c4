"""Every recommender keeps the contract; what only one of them promises stands below."""

from pathlib import Path

import numpy as np
import pytest

from classic.recommend.ease import Ease as EaseModel
from classic.recommend.histories import Histories
from classic.recommend.interactions import Interactions
from classic.recommend.low_pass import LowPass as LowPassModel
from classic.recommend.recommender import Recommender
from classic.recommend.scorer import Catalogue
from classic.recommend.settings import (
    Alphabetical,
    Als,
    Blend,
    ByGenre,
    Ease,
    ItemKnn,
    LowPass,
    Markov,
    Popular,
    TopRated,
    TwoStage,
)
from lifecycle.errors import BundleError, ConfigError
from tests.recommender_contract import ITEMS, RecommenderContract, checkerboard, made

ALS = Als(factors=4, regularisation=0.1, iterations=10)


class TestEase(RecommenderContract):
    settings = Ease(
        regularisation=5.0, dropout=0.2, item_power=0.3, user_power=0.1, popularity_power=0.1
    )


class TestCosineKnn(RecommenderContract):
    settings = ItemKnn(neighbours=12)


class TestJaccardKnn(RecommenderContract):
    settings = ItemKnn(similarity="jaccard", neighbours=12)


class TestBm25Knn(RecommenderContract):
    settings = ItemKnn(similarity="bm25", neighbours=12)


class TestAls(RecommenderContract):
    settings = ALS


class TestLowPass(RecommenderContract):
    settings = LowPass(factors=2)


class TestMarkov(RecommenderContract):
    settings = Markov()


class TestBlend(RecommenderContract):
    settings = Blend(members=(Ease(regularisation=5.0), ALS, ItemKnn()), weights=(1.0, 0.5, 0.2))


class TestTwoStage(RecommenderContract):
    settings = TwoStage(members=(Markov(), Ease(regularisation=5.0), ALS), steps=2, trees=10)


class TestByGenre(RecommenderContract):
    settings = ByGenre()


class TestTopRated(RecommenderContract):
    settings = TopRated()
    personal = False


class TestAlphabetical(RecommenderContract):
    settings = Alphabetical()
    personal = False


class TestPopular(RecommenderContract):
    settings = Popular(days=1)
    personal = False


def rated(ratings: list[tuple[int, float]]) -> Interactions:
    base = made([(user, item) for user, (item, _) in enumerate(ratings)], len(ratings), 4)
    base.ratings[:] = [rating for _, rating in ratings]
    return base


def test_ease_is_its_closed_form() -> None:
    interactions = checkerboard()
    x = interactions.matrix().toarray().astype(np.float64)
    inverse = np.linalg.inv(x.T @ x + 7 * np.eye(x.shape[1]))
    expected = np.eye(len(inverse)) - inverse / np.diag(inverse)
    model = EaseModel(Ease(regularisation=7.0))
    model.fit(interactions, Catalogue())
    np.testing.assert_allclose(model.weights, expected, atol=1e-5)


def test_ease_with_dropout_adds_to_the_diagonal() -> None:
    interactions = checkerboard()
    x = interactions.matrix().toarray().astype(np.float64)
    gram = x.T @ x
    inverse = np.linalg.inv(gram + np.diag(0.25 / 0.75 * np.diag(gram)) + 7 * np.eye(len(gram)))
    model = EaseModel(Ease(regularisation=7.0, dropout=0.25))
    model.fit(interactions, Catalogue())
    expected = np.eye(len(inverse)) - inverse / np.diag(inverse)
    np.testing.assert_allclose(model.weights, expected, atol=1e-5)


def test_ease_regularises_popular_items_more() -> None:
    interactions = made([(user, item) for user in range(9) for item in range(user % 3 + 1)], 9, 4)
    x = interactions.matrix().toarray().astype(np.float64)
    scale = np.array([9, 6, 3]) ** 0.5
    penalties = [*(8 * scale / scale.mean()), 8 / scale.mean()]  # the last has no events
    inverse = np.linalg.inv(x.T @ x + np.diag(penalties))
    model = EaseModel(Ease(regularisation=8.0, item_power=0.5))
    model.fit(interactions, Catalogue())
    expected = np.eye(len(inverse)) - inverse / np.diag(inverse)
    np.testing.assert_allclose(model.weights, expected, atol=1e-5)


@pytest.mark.parametrize("factors", [3, 12])  # iterated, and by the whole decomposition
def test_low_pass_keeps_the_first_patterns(factors: int) -> None:
    rng = np.random.default_rng(0)
    drawn = np.unique(rng.integers(0, 20, (150, 2)), axis=0)
    interactions = made([(user, item) for user, item in drawn.tolist()], 20, 20)
    x = interactions.matrix().toarray().astype(np.float64)
    users, items = np.maximum(x.sum(axis=1), 1) ** 0.3, np.maximum(x.sum(axis=0), 1) ** 0.4
    first = np.linalg.svd(x / users[:, None] / items)[2][:factors]
    model = LowPassModel(LowPass(factors=factors, user_power=0.3, item_power=0.4))
    model.fit(interactions, Catalogue())
    expected = (x / items) @ first.T @ first * items
    np.testing.assert_allclose(model.scores(Histories.of(interactions)), expected, atol=1e-4)


def test_ease_of_more_items_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, blocked = EaseModel(Ease(regularisation=5.0)), EaseModel(Ease(regularisation=5.0))
    whole.fit(checkerboard(), Catalogue())
    monkeypatch.setattr("classic.recommend.ease._BLOCK", 6)
    blocked.fit(checkerboard(), Catalogue())
    np.testing.assert_allclose(blocked.weights, whole.weights, atol=1e-6)


def test_top_rated_draws_small_counts_to_the_mean() -> None:
    interactions = rated([(0, 5.0), (1, 5.0), (1, 5.0), (1, 5.0), (1, 4.0), (2, 2.0)])
    damped = Recommender(TopRated(damping=10)).fit(interactions).scores([0])[0]
    assert damped.argmax() == 1
    mean = 26 / 6
    np.testing.assert_allclose(damped[0], (5 + 10 * mean) / 11, rtol=1e-6)
    np.testing.assert_allclose(damped[3], mean, rtol=1e-6)
    plain = Recommender(TopRated(damping=0)).fit(interactions).scores([0])[0]
    assert plain.argmax() == 0


def test_alphabetical_takes_the_well_rated_by_title() -> None:
    interactions = rated([(0, 4.0), (1, 5.0), (2, 3.9), (3, 4.5)])
    titles = {"item 0": "zebra", "item 1": "Bear", "item 2": "Ant", "item 3": "camel"}
    recommender = Recommender(Alphabetical()).fit(interactions, Catalogue(titles=titles))
    items, _ = recommender.recommend([0], 3, exclude_seen=False)
    assert items[0].tolist() == [1, 3, 0]


def test_popular_of_the_last_days_forgets() -> None:
    interactions = made([(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 2)], 3, 3)
    interactions.times[:] = np.array([0, 0, 0, 9, 9, 9]) * 86_400
    for days, best in ((None, 0), (2, 1)):
        found, _ = Recommender(Popular(days=days)).fit(interactions).recommend([0], 1, False)
        assert found[0, 0] == best


def test_markov_follows_the_last_item() -> None:
    chains = [(user, item) for user in range(6) for item in ((0, 1, 2), (3, 1, 4))[user % 2]]
    recommender = Recommender(Markov(window=1, last=1)).fit(made(chains, 6, 5))
    assert recommender.recommend_history(["item 0"], 1)[0][0] == "item 1"
    assert {name for name, _ in recommender.recommend_history(["item 0", "item 1"], 2)} == {
        "item 2",
        "item 4",
    }


def test_scoring_does_not_touch_the_histories() -> None:
    recommender = Recommender(Markov(last=1)).fit(checkerboard())
    before = recommender.histories.items.copy()
    recommender.scorer.scores(recommender.histories)
    recommender.histories.matrix(ITEMS + 1)
    np.testing.assert_array_equal(recommender.histories.items, before)


def test_als_folds_a_training_user_in_where_training_put_it() -> None:
    recommender = Recommender(ALS).fit(checkerboard())
    known = recommender.scorer.scores(recommender.histories)[:ITEMS]
    plain = Histories(*(getattr(recommender.histories, n) for n in ("items", "times", "starts")))
    np.testing.assert_allclose(recommender.scorer.scores(plain)[:ITEMS], known, atol=0.1)


def test_a_blend_needs_a_weight_for_each_member() -> None:
    with pytest.raises(ConfigError, match="1 weights for 2 members"):
        Recommender(Blend(members=(Ease(), Markov()), weights=(1.0,)))


def test_a_folder_without_a_recommender_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        Recommender.load(tmp_path)
    (tmp_path / "recommender.json").write_text("{}", "utf-8")
    with pytest.raises(BundleError, match="holds no recommender"):
        Recommender.load(tmp_path)
