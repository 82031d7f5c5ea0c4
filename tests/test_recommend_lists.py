"""What lists hold beside the scores: new items, reasons; and lists that are kept."""

from pathlib import Path

import numpy as np
import pytest

from classic.recommend.reasons import Reason
from classic.recommend.recommender import Recommender
from classic.recommend.scorer import Catalogue
from classic.recommend.settings import (
    Als,
    Blend,
    Ease,
    ItemKnn,
    LowPass,
    Markov,
    Popular,
    Settings,
    TwoStage,
)
from lifecycle.errors import InputError
from tests.recommender_contract import COLD, ITEMS, NEW, USERS, catalogue, checkerboard, made

ALS = Als(factors=4, regularisation=0.1, iterations=10)
FILTER = LowPass(factors=2)
STAGED = TwoStage(members=(Ease(), FILTER), trees=5)


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


def test_lists_that_were_kept_are_those_made_anew(tmp_path: Path) -> None:
    users = [COLD, *range(USERS)]
    for places in (0, 1):
        recommender = with_new_items(places)
        expected = [recommender.recommend(users, k) for k in (2, 4, 6)]
        recommender.keep_lists(4).save(tmp_path / f"model {places}")
        for one in (recommender, Recommender.load(tmp_path / f"model {places}")):
            assert one.lists is not None
            for k, (items, scores) in zip((2, 4, 6), expected, strict=True):
                found = one.recommend(users, k)
                np.testing.assert_allclose(found[1], scores, rtol=1e-5)
                assert (one.known[found[0]] == recommender.known[items]).all()
            seen = one.recommend([0], 3, exclude_seen=False)[0]
            assert set(seen[0]) & set(one.histories.take(np.array([0])).items)


def test_a_new_item_in_a_history_is_neither_asked_nor_shown() -> None:
    recommender = with_new_items(1)
    taken = ["item 0", "item 2", "new even"]
    found = [item for item, _ in recommender.recommend_history(taken, 4)]
    assert found[-1] == "old even"
    assert found[0] == recommender.recommend_history(taken[:2], 4)[0][0]
    assert (
        recommender.recommend_history(["new even"], 4)[0] == recommender.recommend_history([], 4)[0]
    )


@pytest.mark.parametrize("settings", [Ease(), ItemKnn(), ALS, FILTER, Markov(), STAGED])
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
