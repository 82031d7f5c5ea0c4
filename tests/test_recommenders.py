"""Every recommender keeps the contract; what only one of them promises stands below."""

from pathlib import Path

import numpy as np
import pytest

from classic.recommend.ease import Ease as EaseModel
from classic.recommend.histories import Histories
from classic.recommend.interactions import Interactions
from classic.recommend.kernels import compiled, product
from classic.recommend.reasons import Reason
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
    Settings,
    TopRated,
    TwoStage,
)
from classic.recommend.topk import top_k
from lifecycle.errors import BundleError, ConfigError, InputError
from tests.recommender_contract import (
    ITEMS,
    NEW,
    USERS,
    RecommenderContract,
    catalogue,
    checkerboard,
    made,
)

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


def test_what_nobody_took_stands_behind_all_else() -> None:
    recommender = Recommender(Ease()).fit(checkerboard())
    items, _ = recommender.recommend([0], ITEMS + 1)
    assert items[0][items[0] >= 0][-1] == NEW


def with_new_items(places: int) -> Recommender:
    """Two items of the catalogue that training did not have, one for each colour, and a third."""
    genres = {f"item {n}": ("odd" if n % 2 else "even",) for n in range(ITEMS)}
    genres |= {"new odd": ("odd",), "new even": ("even",), "old even": ("even",)}
    shown = Catalogue(genres=genres, years={"new odd": 2024, "new even": 2024, "old even": 1950})
    return Recommender(Ease(), new_places=places).fit(checkerboard(), shown)


def test_new_items_come_by_genre_and_year_behind_the_others() -> None:
    recommender = with_new_items(0)
    assert len(recommender.item_ids) == ITEMS + 1 + 3
    taken = [f"item {n}" for n in range(0, 8, 2)]
    found = [item for item, _ in recommender.recommend_history(taken, ITEMS)]
    assert found[ITEMS - 4 :][:3] == ["new even", "old even", "new odd"]
    scores = recommender.scores(range(USERS))
    new = ~recommender.known
    assert (scores[:, new].max(axis=1) < scores[:, ~new].min(axis=1)).all()
    assert np.isfinite(scores).all()


def test_new_items_get_the_places_meant_for_them(tmp_path: Path) -> None:
    plain, recommender = with_new_items(0), with_new_items(2)
    recommender.save(tmp_path / "model")
    users = np.arange(USERS)
    for one in (recommender, Recommender.load(tmp_path / "model")):
        items, values = one.recommend(users, 5)
        np.testing.assert_array_equal(values[:, :3], plain.recommend(users, 3)[1])
        assert one.known[items[:, :3]].all()
        assert not one.known[items[:, 3:]].any()
        assert (np.diff(values) <= 0).all()
        names = [{one.item_ids[item] for item in row} for row in items[:, 3:]]
        assert all(("new odd" if user % 2 else "new even") in names[user] for user in users)


def test_a_new_item_in_a_history_is_neither_asked_nor_shown() -> None:
    recommender = with_new_items(1)
    taken = ["item 0", "item 2", "new even"]
    found = [item for item, _ in recommender.recommend_history(taken, 4)]
    assert found[-1] == "old even"
    assert found[0] == recommender.recommend_history(taken[:2], 4)[0][0]
    assert (
        recommender.recommend_history(["new even"], 4)[0] == recommender.recommend_history([], 4)[0]
    )


@pytest.mark.parametrize("settings", [Ease(), ItemKnn(), ALS, LowPass(factors=2), Markov()])
def test_a_reason_is_an_item_of_the_same_kind(settings: Settings) -> None:
    recommender = Recommender(settings).fit(checkerboard(), catalogue())
    found = recommender.reasons(["item 3", "item 2", "item 5", "item 4"], ["item 7", "item 6"])
    assert [one.kind for one in found] == ["similar_to", "similar_to"]
    assert found[0].of in ("item 3", "item 5")
    assert found[1].of in ("item 2", "item 4")


def test_a_reason_names_the_event_that_added_most() -> None:
    chains = [(user, item) for user in range(6) for item in ((0, 1, 2), (3, 4, 5))[user % 2]]
    pairs = made(chains, 6, 6)
    members = (Markov(), Ease(regularisation=1.0))
    for settings in (*members, Blend(members=members, weights=(1.0, 0.5))):
        recommender = Recommender(settings).fit(pairs)
        assert recommender.reasons(["item 0", "item 3"], ["item 5"]) == [
            Reason("similar_to", "item 3")
        ]


def test_reasons_where_no_event_speaks_for_an_item() -> None:
    recommender = with_new_items(1)
    items = ["new even", "new odd", "item 6"]
    assert recommender.reasons(["item 0"], items[:2]) == [Reason("genre", "even"), Reason("new")]
    assert recommender.reasons([], items[1:]) == [Reason("new"), Reason("popular")]
    rule = Recommender(Popular()).fit(checkerboard(), catalogue())
    assert rule.reasons(["item 0"], ["item 6"]) == [Reason("popular")]
    with pytest.raises(InputError, match="no item 'film'"):
        rule.reasons([], ["film"])


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


@pytest.mark.parametrize("rows", [1, 100])
@pytest.mark.parametrize("k", [1, 5, 40, 60])
def test_top_k_is_a_sort(rows: int, k: int) -> None:
    scores = np.random.default_rng(k).integers(0, 9, (rows, 50)).astype(np.float32)
    scores += np.linspace(0.5, 0, 50, dtype=np.float32)  # the order of equals is by number
    items, values = top_k(scores, k)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(items[:, : order.shape[1]], order)
    np.testing.assert_array_equal(
        values[:, : order.shape[1]], np.take_along_axis(scores, order, axis=1)
    )
    assert (items[:, order.shape[1] :] == -1).all()


@pytest.mark.parametrize("events", [1, 7, 40])
def test_compiled_loops_are_the_products_they_stand_for(events: int) -> None:
    from scipy.sparse import csr_array, random_array

    rng = np.random.default_rng(events)
    rows = np.repeat(np.arange(70), events)
    histories = csr_array(
        (rng.random(len(rows)), (rows, rng.integers(0, 300, len(rows)))), shape=(70, 300)
    ).astype(np.float32)
    sparse = csr_array(random_array((300, 300), density=0.1, rng=rng, dtype=np.float32))
    np.testing.assert_allclose(product(histories, sparse), (histories @ sparse).toarray(), 1e-4)
    weights, out = sparse.toarray(), np.empty((70, 300), dtype=np.float32)
    compiled().sums(histories.indptr, histories.indices, weights, out)
    histories.data[:] = 1
    np.testing.assert_allclose(out, histories @ weights, rtol=1e-4, atol=1e-5)
