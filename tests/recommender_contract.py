"""What every recommender must do, on data whose right answers are known.

A checkerboard, as in the tests of the library implicit: even users took all even items but one,
odd users all odd items but one. The one that is missing is what should be recommended.
"""

from pathlib import Path

import numpy as np
import pytest

from classic.recommend.interactions import Interactions
from classic.recommend.recommender import Recommender
from classic.recommend.scorer import Catalogue
from classic.recommend.settings import Settings
from lifecycle.errors import BundleError, DataError, InputError

USERS, ITEMS = 60, 20
COLD, NEW = USERS, ITEMS  # one user without a history, one item that nobody took


def missing(user: int) -> int:
    """The one item of the user's colour that the user did not take."""
    return (user // 2 % (ITEMS // 2)) * 2 + user % 2


def checkerboard() -> Interactions:
    rng = np.random.default_rng(0)
    pairs = [
        (user, item)
        for user in range(USERS)
        for item in rng.permutation(np.arange(user % 2, ITEMS, 2)).tolist()
        if item != missing(user)
    ]
    return made(pairs, USERS + 1, ITEMS + 1)


def made(pairs: list[tuple[int, int]], users: int, items: int) -> Interactions:
    """Interactions a minute apart, in this order, each rated 5."""
    numbers = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    return Interactions(
        numbers[:, 0].copy(),
        numbers[:, 1].copy(),
        np.arange(len(pairs), dtype=np.int64) * 60,
        np.full(len(pairs), 5, dtype=np.float32),
        [f"user {n}" for n in range(users)],
        [f"item {n}" for n in range(items)],
    )


def catalogue() -> Catalogue:
    genres = {f"item {n}": ("even", "odd")[n % 2 : n % 2 + 1] for n in range(ITEMS)}
    return Catalogue(genres=genres, years={f"item {n}": 1980 + n for n in range(ITEMS)})


class RecommenderContract:
    """``settings``: of the model; ``personal``: whether it answers each user otherwise."""

    settings: Settings
    personal = True

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls) -> Recommender:
        return Recommender(cls.settings).fit(checkerboard(), catalogue())

    def test_finds_the_missing_item(self, fitted: Recommender) -> None:
        if not self.personal:
            pytest.skip("a rule for everybody knows no user")
        items, _ = fitted.recommend(range(USERS), 1)
        assert items[:, 0].tolist() == [missing(user) for user in range(USERS)]

    def test_scores_every_item_for_every_user(self, fitted: Recommender) -> None:
        scores = fitted.scores([3, 1])
        assert scores.shape == (2, ITEMS + 1)
        assert scores.dtype == np.float32
        assert not np.isnan(scores).any()

    def test_nothing_seen_is_recommended_unless_asked_for(self, fitted: Recommender) -> None:
        items, scores = fitted.recommend(range(USERS), ITEMS + 5)
        for user in range(USERS):
            seen = fitted.histories.take(np.array([user])).items
            listed = items[user][items[user] >= 0]
            assert not set(seen) & set(listed)
            assert len(set(listed)) == len(listed)
        assert (np.diff(scores[np.isfinite(scores).all(axis=1)]) <= 0).all()
        with_seen, _ = fitted.recommend([0], ITEMS, exclude_seen=False)
        assert (with_seen[0] >= 0).all()

    def test_too_few_items_are_filled_up(self, fitted: Recommender) -> None:
        items, scores = fitted.recommend([0], ITEMS + 5)
        assert items.shape == scores.shape == (1, ITEMS + 5)
        assert (items[0] >= 0).sum() <= ITEMS + 1
        np.testing.assert_array_equal(items < 0, np.isneginf(scores))

    def test_a_cold_user_gets_the_rules_list(self, fitted: Recommender) -> None:
        rule = fitted.rule.scores(fitted.histories.take(np.array([COLD])))
        np.testing.assert_array_equal(fitted.scores([COLD]), rule)
        assert len(fitted.recommend_history([], 5)) == 5
        assert fitted.recommend_history(["no such item"], 5) == fitted.recommend_history([], 5)

    def test_a_history_is_answered_as_the_user_who_has_it(self, fitted: Recommender) -> None:
        if not self.personal:
            pytest.skip("a rule for everybody knows no user")
        for user in (0, 1, 10):
            history = fitted.histories.take(np.array([user])).items
            found = fitted.recommend_history([fitted.item_ids[item] for item in history], 3)
            assert found[0][0] == f"item {missing(user)}"

    def test_blocks_change_nothing(self, fitted: Recommender) -> None:
        alone = np.concatenate([fitted.scores([user]) for user in range(USERS)])
        together = fitted.scores(np.resize(np.arange(USERS), 3 * USERS))[:USERS]
        np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-4)

    def test_comes_back_from_its_folder(self, fitted: Recommender, tmp_path: Path) -> None:
        fitted.save(tmp_path / "model")
        loaded = Recommender.load(tmp_path / "model")
        users = [*range(0, USERS, 7), COLD]
        np.testing.assert_array_equal(loaded.scores(users), fitted.scores(users))
        assert loaded.recommend_history(["item 2"]) == fitted.recommend_history(["item 2"])
        assert {path.suffix for path in tmp_path.rglob("*.*")} <= {".npy", ".json", ".txt"}

    def test_a_broken_folder_is_refused(self, fitted: Recommender, tmp_path: Path) -> None:
        fitted.save(tmp_path / "model")
        next((tmp_path / "model" / "scorer").rglob("*.npy")).write_bytes(b"cut off")
        with pytest.raises(BundleError, match="no readable array"):
            Recommender.load(tmp_path / "model")

    def test_unknown_users_are_refused(self, fitted: Recommender) -> None:
        with pytest.raises(InputError, match="user number 61"):
            fitted.scores([0, USERS + 1])
        assert fitted.scores([]).shape == (0, ITEMS + 1)

    def test_nothing_to_learn_from_is_refused(self) -> None:
        with pytest.raises(DataError, match="no interactions"):
            Recommender(self.settings).fit(made([], 3, 3))

    def test_one_event_is_enough(self) -> None:
        recommender = Recommender(self.settings).fit(made([(0, 1)], 2, 3))
        assert recommender.recommend([0, 1], 2)[0].shape == (2, 2)
