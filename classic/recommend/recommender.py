"""Recommender: a model with the users, items and histories it was trained on."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from classic.recommend.arrays import AGAIN, read_array, read_facts, write_arrays
from classic.recommend.content import Content
from classic.recommend.histories import Histories, Numbers, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.models import open_scorer
from classic.recommend.reasons import Reason, explain
from classic.recommend.rules import popularity
from classic.recommend.scorer import Catalogue
from classic.recommend.settings import Popular, Settings
from classic.recommend.threads import cores, in_threads, limited
from classic.recommend.topk import top_k, with_new
from lifecycle.atomic import directory
from lifecycle.errors import BundleError, DataError, InputError

_BLOCK_SCORES = 1 << 20
"""Scores made at a time by one thread: 4 MB."""
TOP_LISTS = ("top_rated", "alphabetical", "popular")
RULES = (*TOP_LISTS, "by_genre")
Users = Sequence[int] | NDArray[Any]


class Recommender:
    """Users and items are numbers into ``user_ids`` and ``item_ids``.

    A user without a history gets what ``rule`` says (by default the most popular items). For a
    learned model an item that nobody had to do with in training is new, and has no score: new items
    stand behind all others, by genre and year. ``new_places``: so many of a list's last places are
    theirs, whatever the scores.
    """

    def __init__(
        self, settings: Settings, rule: Settings | None = None, new_places: int = 0
    ) -> None:
        self.settings, self.rule_settings = settings, rule or Popular()
        self.new_places, self.content = new_places, Content()
        self.scorer, self.rule = open_scorer(settings), open_scorer(self.rule_settings)
        self.user_ids: list[str] = []
        self.item_ids: list[str] = []
        self.histories = Histories.one([])
        self.known: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self.lists: tuple[Numbers, Scores] | None = None
        self._numbers: dict[str, int] = {}

    @property
    def name(self) -> str:
        return self.settings.kind

    def fit(self, interactions: Interactions, catalogue: Catalogue | None = None) -> Self:
        """Items of ``catalogue`` that are not among those of ``interactions`` get the numbers after
        them. Raises DataError where nobody did anything."""
        if not len(interactions):
            problem = f"{self.name}: there are no interactions to learn from."
            raise DataError(problem, "Widen the window of data.")
        catalogue = catalogue or Catalogue()
        ids = interactions.item_ids + catalogue.beyond(interactions.item_ids)
        interactions = replace(interactions, item_ids=ids)
        with limited(cores()):
            for scorer in (self.scorer, self.rule):
                scorer.fit(interactions, catalogue)
        self.content.fit(ids, catalogue)
        self._set(interactions.user_ids, ids, Histories.of(interactions))
        self.known, self.lists = popularity(interactions) > 0, None
        return self

    def scores(self, users: Users) -> Scores:
        """(len(users), items), float32; memory beyond the result is bounded."""
        numbers = self._users(users)
        out = np.empty((len(numbers), len(self.item_ids)), dtype=np.float32)

        def fill(part: slice) -> None:
            out[part] = self._score(self.histories.take(numbers[part]))

        in_threads(fill, self.blocks(len(numbers)))
        return out

    def recommend(
        self, users: Users, k: int = 10, exclude_seen: bool = True
    ) -> tuple[Numbers, Scores]:
        """The ``k`` best items of each user, best first, and their scores; both (len(users), k).

        Item −1 with score −inf fills up where there are fewer.
        """
        numbers = self._users(users)
        if exclude_seen and (kept := self._kept(k)):
            return kept[0][numbers], kept[1][numbers]
        items = np.empty((len(numbers), k), dtype=np.int32)
        scores = np.empty((len(numbers), k), dtype=np.float32)

        def fill(part: slice) -> None:
            histories = self.histories.take(numbers[part])
            items[part], scores[part] = self._best(histories, k, exclude_seen)

        in_threads(fill, self.blocks(len(numbers)))
        return items, scores

    def keep_lists(self, k: int = 10) -> Self:
        """Make the lists of all users of training now: `recommend` then reads them, up to ``k``.

        They stay right, since a user's history here is that of training; 8 × ``k`` bytes a user.
        """
        self.lists = None
        self.lists = self.recommend(np.arange(len(self.user_ids)), k)
        return self

    def recommend_history(
        self, history: Sequence[str], k: int = 10, exclude_seen: bool = True
    ) -> list[tuple[str, float]]:
        """Item ids and scores for somebody who had to do with ``history`` (ids, the oldest first).

        Ids that nobody had to do with in training are passed over; with none left, the rule
        answers.
        """
        numbers = self._known_numbers(history)
        new = numbers[~self.known[numbers]] if exclude_seen else numbers[:0]
        items, scores = self._best(self._history(history), k, exclude_seen, new)
        pairs = zip(items[0], scores[0], strict=True)
        return [(self.item_ids[item], float(score)) for item, score in pairs if item >= 0]

    def history_of(self, user: int) -> list[str]:
        """The items that a user of training had to do with, the oldest first."""
        items = self.histories.take(np.array([user])).items
        return [self.item_ids[item] for item in items]

    def scores_of(self, histories: Histories) -> Scores:
        """(len(histories), items), float32, for histories of items under these numbers."""
        return self._score(histories)

    def reasons(self, history: Sequence[str], items: Sequence[str]) -> list[Reason]:
        """Why each of ``items`` suits somebody with this history (ids, the oldest first).

        Raises InputError where an item is none of ``item_ids``.
        """
        strange = [one for one in items if one not in self._numbers]
        if strange:
            raise InputError(f"there is no item '{strange[0]}'.", "Ask for items of a list.")
        numbers = np.array([self._numbers[one] for one in items], dtype=np.int32)
        if self.name in TOP_LISTS:
            return [Reason("popular")] * len(numbers)
        told = self._history(history)
        return explain(self.scorer, self.content, told, self.item_ids, numbers, self.known)

    def blocks(self, n: int) -> list[slice]:
        """``n`` users in parts whose scores fit the memory meant for them."""
        size = max(1, _BLOCK_SCORES // max(len(self.item_ids), 1))
        return [slice(start, min(start + size, n)) for start in range(0, n, size)]

    def save(self, folder: Path) -> None:
        """A new folder of JSON, .npy and LightGBM's text; written as a whole or not at all."""
        with directory(folder) as temporary:
            for name, scorer in (("scorer", self.scorer), ("rule", self.rule)):
                (temporary / name).mkdir()
                scorer.save(temporary / name)
            histories = self.histories
            arrays: dict[str, NDArray[Any]] = {"items": histories.items, "times": histories.times}
            arrays |= {"starts": histories.starts, "known": self.known}
            if self.lists is not None:
                arrays |= {"listed": self.lists[0], "listed_scores": self.lists[1]}
            write_arrays(temporary, arrays)
            (temporary / "content").mkdir()
            self.content.save(temporary / "content")
            (temporary / "recommender.json").write_text(json.dumps(self._facts()), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Recommender":
        """Raises BundleError where the folder holds no whole recommender."""
        facts = read_facts(folder / "recommender.json")
        try:
            settings, rule = (_SETTINGS.validate_python(facts[n]) for n in ("settings", "rule"))
            loaded = cls(settings, rule, facts["new_places"])
            names = facts["user_ids"], facts["item_ids"]
        except (KeyError, ValidationError) as error:
            raise BundleError(f"{folder} holds no recommender: {error}.", AGAIN) from error
        items, times, starts = (read_array(folder, n) for n in ("items", "times", "starts"))
        loaded._set(*names, Histories(items, times, starts, np.arange(len(names[0]))))
        loaded.known = read_array(folder, "known")
        if (folder / "listed.npy").exists():
            loaded.lists = read_array(folder, "listed"), read_array(folder, "listed_scores")
        loaded.scorer.load(folder / "scorer")
        loaded.rule.load(folder / "rule")
        loaded.content.load(folder / "content")
        return loaded

    def _best(
        self, histories: Histories, k: int, exclude_seen: bool, hidden: Numbers | None = None
    ) -> tuple[Numbers, Scores]:
        scores = self._score(histories)
        if hidden is not None:
            scores[:, hidden] = -np.inf
        if exclude_seen:
            scores[histories.rows, histories.items] = -np.inf
        if not self.new_places or self.name in RULES:
            return top_k(scores, k)
        return with_new(scores, ~self.known, k, self.new_places)

    def _score(self, histories: Histories) -> Scores:
        scores = self.scorer.scores(histories)
        if self.name not in RULES and not self.known.all():
            scores[:, ~self.known] = self._behind(scores, histories)
        cold = histories.lengths == 0
        if cold.any():
            scores[cold] = self.rule.scores(histories.take(np.flatnonzero(cold)))
        return scores

    def _behind(self, scores: Scores, histories: Histories) -> Scores:
        """Of the new items: less than any other's."""
        lowest = scores[:, self.known].min(axis=1, keepdims=True)
        steps = self.content.scores(histories, np.flatnonzero(~self.known)) - 1
        behind: Scores = lowest + steps * np.maximum(np.abs(lowest), 1)
        return behind

    def _history(self, history: Sequence[str]) -> Histories:
        numbers = self._known_numbers(history)
        return Histories.one(numbers[self.known[numbers]], self._newest)

    def _known_numbers(self, ids: Sequence[str]) -> Numbers:
        """Of those that are among ``item_ids``."""
        return np.array([self._numbers[one] for one in ids if one in self._numbers], dtype=np.int32)

    def _kept(self, k: int) -> tuple[Numbers, Scores] | None:
        """The first ``k`` of the lists that were kept, where these say them."""
        width = self.lists[0].shape[1] if self.lists else 0
        if not self.lists or k > width or (k < width and self.new_places):
            return None
        return self.lists[0][:, :k], self.lists[1][:, :k]

    def _users(self, users: Users) -> NDArray[np.int64]:
        numbers = np.asarray(users, dtype=np.int64).reshape(-1)
        wrong = (numbers < 0) | (numbers >= len(self.user_ids))
        if wrong.any():
            raise InputError(
                f"there is no user number {numbers[wrong][0]} among {len(self.user_ids)}.",
                "Ask with the items of a history instead.",
            )
        return numbers

    def _set(self, user_ids: list[str], item_ids: list[str], histories: Histories) -> None:
        self.user_ids, self.item_ids, self.histories = user_ids, item_ids, histories
        self._newest = int(histories.times.max(initial=0))
        self._numbers = {one: number for number, one in enumerate(item_ids)}

    def _facts(self) -> dict[str, Any]:
        settings = {"settings": self.settings.model_dump(), "rule": self.rule_settings.model_dump()}
        ids = {"user_ids": self.user_ids, "item_ids": self.item_ids}
        return {**settings, "new_places": self.new_places, **ids}


_SETTINGS: TypeAdapter[Settings] = TypeAdapter(Settings)
