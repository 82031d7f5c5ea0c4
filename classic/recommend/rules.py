"""Rules: lists that need no learning. They are what a learned model has to beat."""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classic.recommend import settings
from classic.recommend.arrays import read_array, write_arrays
from classic.recommend.histories import Histories, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.scorer import Catalogue

DAY_S = 86_400


class TopList(ABC):
    """One list for everybody: an item's score does not depend on the history."""

    def __init__(self) -> None:
        self.items: Scores = np.zeros(0, dtype=np.float32)

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None:
        self.items = self.rate(interactions, catalogue).astype(np.float32)

    @abstractmethod
    def rate(self, interactions: Interactions, catalogue: Catalogue) -> NDArray[np.float64]:
        """The score of each item, shape (items,)."""

    def scores(self, histories: Histories) -> Scores:
        return np.repeat(self.items[None], len(histories), axis=0)

    def save(self, folder: Path) -> None:
        write_arrays(folder, {"items": self.items})

    def load(self, folder: Path) -> None:
        self.items = read_array(folder, "items")


class TopRated(TopList):
    """(sum of ratings + damping × mean of all) / (number of ratings + damping).

    An item without a rating has the mean of all.
    """

    def __init__(self, chosen: settings.TopRated) -> None:
        super().__init__()
        self.settings = chosen

    def rate(self, interactions: Interactions, catalogue: Catalogue) -> NDArray[np.float64]:
        sums, counts = _ratings(interactions)
        damping = self.settings.damping
        overall = sums.sum() / max(counts.sum(), 1)
        weights = counts + damping
        damped = (sums + damping * overall) / np.where(weights > 0, weights, 1)
        rated: NDArray[np.float64] = np.where(weights > 0, damped, overall)
        return rated


class Alphabetical(TopList):
    """Items rated well enough, by title without regard to case, else by id; all others tie last."""

    def __init__(self, chosen: settings.Alphabetical) -> None:
        super().__init__()
        self.settings = chosen

    def rate(self, interactions: Interactions, catalogue: Catalogue) -> NDArray[np.float64]:
        sums, counts = _ratings(interactions)
        good = sums / np.maximum(counts, 1) >= self.settings.least
        titles = [catalogue.titles.get(one, one).casefold() for one in interactions.item_ids]
        order = sorted(range(len(titles)), key=lambda item: (titles[item], item))
        places = np.empty(len(titles))
        places[order] = np.arange(len(titles), 0, -1)
        return np.where(good & (counts > 0), places, 0.0)


class Popular(TopList):
    def __init__(self, chosen: settings.Popular) -> None:
        super().__init__()
        self.settings = chosen

    def rate(self, interactions: Interactions, catalogue: Catalogue) -> NDArray[np.float64]:
        counts = popularity(interactions)
        if self.settings.days is None or not len(interactions):
            return counts
        start = interactions.times.max() - self.settings.days * DAY_S
        recent = popularity(interactions.where(interactions.times > start))
        recent += counts / (counts.max() + 1)  # the rest by all time
        return recent


class ByGenre:
    """Σ over an item's genres of their share in the history, plus a tie-break by popularity."""

    def __init__(self, chosen: settings.ByGenre) -> None:
        self.settings = chosen
        self.genres = np.zeros((0, 0), dtype=np.float32)
        self.popularity = np.zeros(0, dtype=np.float32)

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None:
        self.genres = genre_shares(interactions.item_ids, catalogue)
        counts = popularity(interactions)
        self.popularity = (counts / (counts.max(initial=0) + 1)).astype(np.float32)

    def scores(self, histories: Histories) -> Scores:
        affinity = genre_affinity(histories, self.genres)
        return (affinity @ self.genres.T + 0.01) * self.popularity

    def save(self, folder: Path) -> None:
        write_arrays(folder, {"genres": self.genres, "popularity": self.popularity})

    def load(self, folder: Path) -> None:
        self.genres = read_array(folder, "genres")
        self.popularity = read_array(folder, "popularity")


def popularity(interactions: Interactions) -> NDArray[np.float64]:
    """How many users had to do with each item, shape (items,)."""
    return np.asarray(interactions.matrix().sum(axis=0), dtype=np.float64).ravel()


def genre_shares(item_ids: list[str], catalogue: Catalogue) -> Scores:
    """Items by genres (in alphabetical order): 1 / number of genres of the item."""
    known = sorted({genre for genres in catalogue.genres.values() for genre in genres})
    numbers = {genre: number for number, genre in enumerate(known)}
    shares = np.zeros((len(item_ids), len(known)), dtype=np.float32)
    for item, one in enumerate(item_ids):
        genres = catalogue.genres.get(one, ())
        for genre in genres:
            shares[item, numbers[genre]] = 1 / len(genres)
    return shares


def genre_affinity(histories: Histories, genres: Scores) -> Scores:
    """Histories by genres: each genre's share of a history, 0 where it is empty."""
    if not genres.shape[1]:
        return np.zeros((len(histories), 0), dtype=np.float32)
    totals: Scores = histories.matrix(len(genres)) @ genres
    totals /= np.maximum(totals.sum(axis=1, keepdims=True), 1e-9)
    return totals


def _ratings(interactions: Interactions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the ratings of each item."""
    n = len(interactions.item_ids)
    sums = np.bincount(interactions.items, interactions.ratings, minlength=n)
    counts = np.bincount(interactions.items, minlength=n)
    return sums.astype(np.float64), counts.astype(np.float64)
