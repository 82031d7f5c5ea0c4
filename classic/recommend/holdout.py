"""A holdout of interactions, and any recommender asked about its users.

The users of a holdout are known to it, not to the recommender: histories come from the holdout's
own events, so that a champion trained on other data is asked the same question. Items that the
recommender never saw stay in the ranking, behind all others.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classic.recommend.histories import Histories, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.recommender import Recommender
from classic.recommend.scorer import Catalogue
from classic.recommend.warehouse import to_interactions

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

EVENTS, FILMS, USERS = "events.parquet", "films.parquet", "users.parquet"
TABLES = "tables.json"
"""What became of each table: rows used and set aside, and events by partition."""
HELD = "held"


@dataclass(frozen=True)
class Holdout:
    """``train`` and ``test`` under the same ids; ``films`` and ``users`` by their id."""

    train: Interactions
    test: Interactions
    films: "pd.DataFrame"
    users: "pd.DataFrame"

    @property
    def catalogue(self) -> Catalogue:
        return catalogue_of(self.films)

    def segments(self, columns: list[str]) -> dict[str, dict[str, str]]:
        """Column to value by user id, as ``evaluate`` takes it; ages in tens."""
        found = {}
        for column in columns:
            values = self.users[column]
            if column == "age":
                tens = values // 10 * 10
                values = tens.map("{:.0f} to".format) + (tens + 9).map(" {:.0f}".format)
                values = values.mask(tens.isna(), "unknown")
            found[column] = dict(zip(self.users.index, values.astype(str), strict=True))
        return found


def read(folder: Path) -> Holdout:
    """The holdout that the split step wrote."""
    import pandas as pd
    import pyarrow.parquet as pq

    table = pq.read_table(folder / EVENTS)
    order = np.argsort(table["time"].to_numpy(), kind="stable")
    held = table[HELD].to_numpy()[order]
    interactions = to_interactions(table)
    films = pd.read_parquet(folder / FILMS).set_index("film_id")
    users = pd.read_parquet(folder / USERS).set_index("user_id")
    return Holdout(interactions.where(~held), interactions.where(held), films, users)


def write_events(events: "pa.Table", held: NDArray[np.bool_], out: Path) -> None:
    """``held``: which rows of ``events`` are in the test set."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = events.select(["user_id", "film_id", "rating", "time"])
    pq.write_table(columns.append_column(HELD, pa.array(held)), out / EVENTS, compression="zstd")


def catalogue_of(films: "pd.DataFrame") -> Catalogue:
    ids = films.index.astype(str).tolist()
    genres = films["genres"].fillna("").str.split("|")
    years = films["year"].astype("Float64").fillna(0).astype(int)
    return Catalogue(
        dict(zip(ids, films["title"].tolist(), strict=True)),
        {one: tuple(filter(None, names)) for one, names in zip(ids, genres, strict=True)},
        {one: year for one, year in zip(ids, years, strict=True) if year},
    )


class Asked:
    """``recommender`` about the users of a holdout: what ``evaluate`` needs to know of it."""

    def __init__(self, recommender: Recommender, seen: Interactions) -> None:
        self.recommender = recommender
        known = {one: number for number, one in enumerate(recommender.item_ids)}
        new = [one for one in seen.item_ids if one not in known]
        self.item_ids = [*recommender.item_ids, *new]
        known |= {one: len(known) + number for number, one in enumerate(new)}
        self._numbers = np.array([known[one] for one in seen.item_ids], dtype=np.int32)
        self.histories = Histories.of(self.renumbered(seen))
        self._known = self._only_known(self.histories)

    def renumbered(self, interactions: Interactions) -> Interactions:
        """``interactions``, of the holdout, under this ``item_ids``."""
        parts = interactions.users, self._numbers[interactions.items], interactions.times
        return Interactions(*parts, interactions.ratings, interactions.user_ids, self.item_ids)

    def scores(self, users: NDArray[Any]) -> Scores:
        """(len(users), items), −inf for an item that the recommender does not know."""
        out = np.full((len(users), len(self.item_ids)), -np.inf, dtype=np.float32)
        of_known = self.recommender.scores_of(self._known.take(users))
        out[:, : of_known.shape[1]] = of_known
        return out

    def blocks(self, n: int) -> list[slice]:
        return self.recommender.blocks(n)

    def _only_known(self, histories: Histories) -> Histories:
        kept = histories.items < len(self.recommender.item_ids)
        counts = np.bincount(histories.rows[kept], minlength=len(histories))
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Histories(histories.items[kept], histories.times[kept], starts)
