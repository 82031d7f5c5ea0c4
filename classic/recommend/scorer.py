"""The interface of a model: it learns from everybody and scores all items for a history."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from classic.recommend.histories import Histories, Scores
from classic.recommend.interactions import Interactions


@dataclass(frozen=True)
class Catalogue:
    """What is known of items: titles, genres and years by item id. Any of them may be missing."""

    titles: Mapping[str, str] = field(default_factory=dict)
    genres: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    years: Mapping[str, int] = field(default_factory=dict)

    def beyond(self, item_ids: list[str]) -> list[str]:
        """The items that are not among ``item_ids``, in order of their ids."""
        return sorted((set(self.titles) | set(self.genres) | set(self.years)) - set(item_ids))


class Scorer(Protocol):
    """Knows items and histories by number only, no users and no cold starts: `Recommender` does."""

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None: ...

    def scores(self, histories: Histories) -> Scores:
        """(len(histories), items), float32: higher is better, comparable within a row."""
        ...

    def save(self, folder: Path) -> None:
        """Into an existing, empty folder; without pickle."""
        ...

    def load(self, folder: Path) -> None: ...
