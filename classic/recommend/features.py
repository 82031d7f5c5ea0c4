"""What the second stage knows of a candidate: an item that some model proposed for a history."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classic.recommend.arrays import read_array, write_arrays
from classic.recommend.histories import Histories, Numbers, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.kernels import ROWS, compiled
from classic.recommend.rules import DAY_S, genre_affinity, genre_shares, popularity
from classic.recommend.scorer import Catalogue

_RECENT_DAYS = 30
_LAST = 5
_UNRANKED = 10_000.0


class Features:
    """``items`` (items, features of items); ``genres`` (items, genres): shares;
    ``newest``: when the last event was, in seconds."""

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None:
        self.newest = int(interactions.times.max())
        self.genres = genre_shares(interactions.item_ids, catalogue)
        self.items = self._items(interactions, catalogue)

    def of(
        self, histories: Histories, rows: NDArray[Any], items: NDArray[Any], stages: Scores
    ) -> Scores:
        """(candidates, features): ``rows``: the history of each; ``stages``: what `stage_features`
        gave of them."""
        recent = histories.last(_LAST)
        affinity = genre_affinity(histories, self.genres)
        of_last = genre_affinity(recent, self.genres)
        genres = self.genres[items]
        last = np.zeros(len(histories))
        warm = histories.lengths > 0
        last[warm] = histories.times[histories.starts[1:][warm] - 1]
        columns = [
            np.log1p(histories.lengths)[rows],
            np.einsum("ij,ij->i", affinity[rows], genres),
            np.einsum("ij,ij->i", of_last[rows], genres),
            ((self.newest - last) / DAY_S)[rows],
        ]
        return np.column_stack([stages, self.items[items], *columns]).astype(np.float32)

    def save(self, folder: Path) -> None:
        newest = np.array([self.newest])
        write_arrays(folder, {"items": self.items, "genres": self.genres, "newest": newest})

    def load(self, folder: Path) -> None:
        self.items, self.genres = read_array(folder, "items"), read_array(folder, "genres")
        self.newest = int(read_array(folder, "newest")[0])

    def _items(self, interactions: Interactions, catalogue: Catalogue) -> Scores:
        items, times = interactions.items, interactions.times
        n = len(interactions.item_ids)
        first, last = np.full(n, self.newest), np.zeros(n, dtype=np.int64)
        np.minimum.at(first, items, times)
        np.maximum.at(last, items, times)
        counts = np.bincount(items, minlength=n)
        recent = interactions.where(times > self.newest - _RECENT_DAYS * DAY_S)
        means = np.bincount(items, interactions.ratings, minlength=n) / np.maximum(counts, 1)
        years = [catalogue.years.get(one, 0) for one in interactions.item_ids]
        columns = (np.log1p(popularity(interactions)), np.log1p(popularity(recent)))
        ages = ((self.newest - first) / DAY_S, (self.newest - last) / DAY_S)
        return np.column_stack([*columns, *ages, means, years]).astype(np.float32)


def united(places: Numbers, items: int) -> tuple[tuple[Numbers, Numbers], Scores]:
    """Row and item of every candidate, in order of rows, and its rank in each list of ``places``
    (lists, rows, k; −1 is none): (n, lists)."""
    picked = np.empty((2, places.size), dtype=np.int32)
    ranks = np.full((places.size, len(places)), _UNRANKED, dtype=np.float32)
    if places.shape[1] >= ROWS:
        n = compiled().union(places, np.full(items, -1), picked, ranks)
        return (picked[0, :n], picked[1, :n]), ranks[:n]
    lists, rows, order = np.nonzero(places >= 0)
    keys = rows * items + places[lists, rows, order]
    found, at = np.unique(keys, return_inverse=True)
    ranks[at, lists] = order
    at_row, item = np.divmod(found, items)
    return (at_row.astype(np.int32), item.astype(np.int32)), ranks[: len(found)]


def stage_features(
    scores: Sequence[Scores],
    places: Sequence[Numbers],
    picked: tuple[Numbers, Numbers],
    ranks: Scores,
) -> Scores:
    """Of each candidate and model: its score, this as a share of the history's best, its rank.

    ``scores``: each model's, (histories, items); ``places``: each model's best items, best first;
    ``picked``, ``ranks``: what `united` gave of them.
    """
    rows, items = picked
    columns: list[NDArray[Any]] = []
    for number, (values, best) in enumerate(zip(scores, places, strict=True)):
        top = values[np.arange(len(values)), best[:, 0]]
        own = values[rows, items]
        columns += [own, own / np.maximum(np.abs(top), 1e-9)[rows], ranks[:, number]]
    return np.column_stack(columns)
