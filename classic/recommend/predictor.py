"""What recommends films from a bundle."""

from collections.abc import Mapping, Sequence
from typing import Any

from classic.recommend.holdout import FILMS, catalogue_of
from classic.recommend.reasons import Reason
from classic.recommend.recommender import Recommender
from classic.recommend.stages.train import MODEL
from lifecycle.bundle import Bundle
from lifecycle.errors import InputError
from lifecycle.tracing import annotate, span

MOST = 1_000
_KEYS = ("user_id", "history", "k", "exclude", "genres")


class RecommendPredictor:
    """Recommends from one bundle. Safe to use from several threads."""

    def __init__(self, bundle: Bundle) -> None:
        import pandas as pd

        self.bundle = bundle
        self.recommender = Recommender.load(bundle.path / MODEL)
        films = pd.read_parquet(bundle.path / FILMS).set_index("film_id")
        self.catalogue = catalogue_of(films)
        self._users = {one: number for number, one in enumerate(self.recommender.user_ids)}

    def recommend(
        self,
        user_id: str = "",
        history: Sequence[str] = (),
        k: int = 10,
        exclude: Sequence[str] = (),
        genres: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        """The ``k`` best films, best first, none of them in the history or in ``exclude``.

        For a user of the training data by ``user_id``, or for anybody by the film ids of a
        ``history``, the oldest first; with neither, or an unknown user, the rule answers.
        ``genres``: only films that have one of these. Raises InputError for a ``k`` out of range.
        """
        if not 1 <= k <= MOST:
            raise InputError(f"k={k} is not between 1 and {MOST}.", "Ask for fewer films.")
        with span("recommend"):
            wanted = k if not (exclude or genres) else len(self.recommender.item_ids)
            found = self._ranked(user_id, history, wanted)
            barred, kinds = set(exclude), {one.casefold() for one in genres}
            kept = [pair for pair in found if pair[0] not in barred and self._has(pair[0], kinds)]
            annotate(items=len(kept[:k]))
        return self._described(kept[:k], history or self._history(user_id))

    def seen(self, user_id: str, k: int = 10) -> list[dict[str, Any]]:
        """The last ``k`` films that a user of the training data had to do with, the last one first;
        none for anybody else."""
        return [self._film(one) for one in reversed(self._history(user_id)[-k:])]

    def predict(self, rows: list[Any]) -> list[dict[str, Any]]:
        """``{"items": […]}`` for each row: a user id, or a mapping of ``recommend``'s arguments.

        Raises InputError for anything else.
        """
        return [{"items": self.recommend(**_arguments(row))} for row in rows]

    def _ranked(self, user_id: str, history: Sequence[str], k: int) -> list[tuple[str, float]]:
        if history or user_id not in self._users:
            return self.recommender.recommend_history(history, k)
        items, scores = self.recommender.recommend([self._users[user_id]], k)
        pairs = zip(items[0], scores[0], strict=True)
        return [(self.recommender.item_ids[one], float(score)) for one, score in pairs if one >= 0]

    def _has(self, film: str, genres: set[str]) -> bool:
        own = {one.casefold() for one in self.catalogue.genres.get(film, ())}
        return not genres or bool(own & genres)

    def _history(self, user_id: str) -> list[str]:
        number = self._users.get(user_id)
        return [] if number is None else self.recommender.history_of(number)

    def _described(
        self, kept: list[tuple[str, float]], history: Sequence[str]
    ) -> list[dict[str, Any]]:
        reasons = self.recommender.reasons(history, [film for film, _ in kept])
        return [
            self._film(film) | {"score": score, "reason": self._words(reason)}
            for (film, score), reason in zip(kept, reasons, strict=True)
        ]

    def _film(self, film: str) -> dict[str, Any]:
        return {
            "film_id": film,
            "title": self.catalogue.titles.get(film, film),
            "year": self.catalogue.years.get(film),
            "genres": list(self.catalogue.genres.get(film, ())),
        }

    def _words(self, reason: Reason) -> str:
        """``similar to The Last Road``, ``Drama, as in your history``, ``popular``, ``new``."""
        if reason.kind == "similar_to":
            return f"similar to {self.catalogue.titles.get(reason.of, reason.of)}"
        if reason.kind == "genre":
            return f"{reason.of}, as in your history"
        return reason.kind


def _arguments(row: Any) -> dict[str, Any]:
    if isinstance(row, str):
        return {"user_id": row}
    if not isinstance(row, Mapping) or not set(row) <= set(_KEYS):
        raise InputError(
            f"a row for the recommender is a user id or a mapping, not {str(row)[:80]!r}.",
            f"Its keys are: {', '.join(_KEYS)}.",
        )
    return dict(row)
