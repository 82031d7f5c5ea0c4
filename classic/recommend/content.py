"""What is known of an item before anybody had to do with it: its genres, and how new it is."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classic.recommend.arrays import read_array, write_arrays
from classic.recommend.histories import Histories, Scores
from classic.recommend.rules import genre_affinity, genre_shares
from classic.recommend.scorer import Catalogue


class Content:
    """``genres``: names; ``shares`` (items, genres): 1 / number of genres of the item;
    ``newness`` (items,): from 0 to 1, by year."""

    def __init__(self) -> None:
        self.genres: list[str] = []
        self.shares: Scores = np.zeros((0, 0), dtype=np.float32)
        self.newness: Scores = np.zeros(0, dtype=np.float32)

    def fit(self, item_ids: list[str], catalogue: Catalogue) -> None:
        self.genres = sorted({one for some in catalogue.genres.values() for one in some})
        self.shares = genre_shares(item_ids, catalogue)
        years = np.array([catalogue.years.get(one, 0) for one in item_ids])
        order = np.unique(years, return_inverse=True)[1]
        self.newness = (order / max(order.max(initial=0), 1)).astype(np.float32)

    def scores(self, histories: Histories, items: NDArray[np.int64]) -> Scores:
        """(histories, items), from 0 to below 1: how much of a history has an item's genres, and a
        little for a late year."""
        affinity = genre_affinity(histories, self.shares) @ self.shares[items].T
        ranked: Scores = (100 * affinity + self.newness[items]) / np.float32(102)
        return ranked

    def genre(self, history: NDArray[np.int32], item: int) -> str | None:
        """Which of the item's genres the history has most of, or None."""
        both = self.shares[history].sum(axis=0) * self.shares[item]
        return self.genres[int(both.argmax())] if both.any() else None

    def save(self, folder: Path) -> None:
        write_arrays(folder, {"shares": self.shares, "newness": self.newness})
        write_arrays(folder, {"genres": np.array(self.genres, dtype=np.str_)})

    def load(self, folder: Path) -> None:
        self.shares, self.newness = read_array(folder, "shares"), read_array(folder, "newness")
        self.genres = read_array(folder, "genres").tolist()
