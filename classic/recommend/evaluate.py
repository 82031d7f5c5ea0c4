"""Measures a recommender on what users did next, one row a user.

The ranking is over all items that the user had nothing to do with in training, never over a sample
of them (Krichene and Rendle, On sampled metrics for item recommendation, KDD 2020).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from classic.recommend.histories import Histories, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.kernels import ROWS, compiled
from classic.recommend.threads import in_threads
from classic.recommend.topk import top_k
from lifecycle.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("hr@10", "ndcg@10", "ndcg@20", "recall@10", "recall@20", "mrr", "novelty@10")
_LISTED = 10
Floats = NDArray[np.float64]


class Ranked(Protocol):
    """What is measured: a recommender about its own users, or about those of a holdout."""

    item_ids: list[str]
    histories: Histories

    def scores(self, users: NDArray[Any], /) -> Scores: ...

    def blocks(self, n: int) -> list[slice]: ...


def evaluate(
    recommender: Ranked,
    test: Interactions,
    segments: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple["pd.DataFrame", dict[str, float]]:
    """Scores by user id, and facts about the whole.

    ``test``: under the ids of training; what a user already had to do with in training is left out,
    and so are users of whom nothing is left. ``segments``: column (``region``) to value by user id.
    Columns: METRICS, and the segments ``activity`` (cold, low, middle, high: thirds of the users by
    events in training), ``known`` (warm, cold) and the caller's. Facts: ``coverage@10``, the share
    of all items that stands in some user's first ten, ``users.evaluated`` and ``users.left_out``.

    Raises DataError where no user is left.
    """
    import pandas as pd

    wanted = _unseen(recommender.histories, Histories.of(test), len(recommender.item_ids))
    users = np.flatnonzero(wanted.lengths > 0)
    if not len(users):
        raise DataError("no user of the test set has an item new to them.", "Cut elsewhere.")
    rows, listed = _measured(recommender, wanted, users)
    ids = [test.user_ids[user] for user in users]
    scores = pd.DataFrame(rows, index=pd.Index(ids, name="user_id"))
    scores["activity"] = _activity(recommender.histories.lengths)[users]
    scores["known"] = np.where(recommender.histories.lengths[users] > 0, "warm", "cold")
    for column, values in (segments or {}).items():
        scores[column] = [values.get(one, "unknown") for one in ids]
    facts = {"coverage@10": float(listed.mean()), "users.evaluated": float(len(users))}
    facts["users.left_out"] = float(len(np.unique(test.users)) - len(users))
    return scores, facts


def ranks(scores: Scores, rows: NDArray[Any], items: NDArray[Any]) -> Floats:
    """The place (1 is best) of item ``items[i]`` in row ``rows[i]`` of ``scores``, shape (n,).

    NaN scores are no part of the ranking. Equal scores share the mean of their places, so that a
    model gains nothing from the order of the items.
    """
    out = np.empty(len(rows))
    if len(rows) >= ROWS:
        compiled().places(scores, rows, items, out)
        return out
    own, others = scores[rows, items][:, None], scores[rows]
    better, equal = (others > own).sum(axis=1), (others == own).sum(axis=1)
    shared: Floats = better + (equal + 1) / 2
    return shared


def metrics_of(places: Floats, rows: NDArray[Any], n: int) -> dict[str, Floats]:
    """Metrics (n,) of ``n`` users from the ``places`` of their test items; ``rows``: whose each is.

    HR@k: whether any place is at most k. Recall@k: the share of them that is. nDCG@k: gains of
    1 / log₂(place + 1), over the most that as many items can gain. MRR: 1 / the best place.
    """
    counts = np.bincount(rows, minlength=n)
    gains = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, 22)))])
    best = np.full(n, np.inf)
    np.minimum.at(best, rows, places)
    out: dict[str, Floats] = {"hr@10": (best <= 10).astype(np.float64), "mrr": 1 / best}
    for k in (10, 20):
        within = places <= k
        out[f"recall@{k}"] = np.bincount(rows, within, minlength=n) / counts
        gained = np.bincount(rows, within / np.log2(places + 1), minlength=n)
        out[f"ndcg@{k}"] = gained / gains[np.minimum(counts, k)]
    return out


def _measured(
    recommender: Ranked, wanted: Histories, users: NDArray[np.int64]
) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """Metrics of ``users`` by name, and which items were among anybody's first ten."""
    novelty = _novelty(recommender.histories, len(recommender.item_ids))
    listed = np.zeros(len(novelty), dtype=np.bool_)
    blocks = recommender.blocks(len(users))
    parts: dict[int, dict[str, Floats]] = {}

    def fill(part: slice) -> None:
        seen, ahead = recommender.histories.take(users[part]), wanted.take(users[part])
        scores = recommender.scores(users[part])
        scores[seen.rows, seen.items] = np.nan
        places = ranks(scores, ahead.rows, ahead.items)
        shown, _ = top_k(np.nan_to_num(scores, nan=-np.inf, neginf=-np.inf), _LISTED)
        listed[shown[shown >= 0]] = True
        means = np.ma.masked_array(novelty[shown], shown < 0).mean(axis=1).filled(np.nan)
        found = metrics_of(places, ahead.rows, len(ahead))
        parts[part.start] = {**found, "novelty@10": means}

    in_threads(fill, blocks)
    ordered = [parts[part.start] for part in blocks]
    return {name: np.concatenate([one[name] for one in ordered]) for name in METRICS}, listed


def _novelty(histories: Histories, items: int) -> Floats:
    """−log₂ of the share of users who had to do with each item (at least one half of a user)."""
    counts = np.asarray(histories.matrix(items).sum(axis=0), dtype=np.float64).ravel()
    return -np.log2(np.maximum(counts, 0.5) / max(len(histories), 1))


def _unseen(seen: Histories, test: Histories, items: int) -> Histories:
    """``test`` less what is in ``seen``, each item once."""
    left = test.matrix(items) - test.matrix(items).multiply(seen.matrix(items))
    left.eliminate_zeros()
    return Histories(left.indices, np.zeros(left.nnz, dtype=np.int64), left.indptr.astype(np.int64))


def _activity(lengths: NDArray[np.int64]) -> NDArray[Any]:
    """cold where there is nothing, else the third of the warm users."""
    warm = lengths[lengths > 0]
    cuts = np.quantile(warm, [1 / 3, 2 / 3]) if len(warm) else np.array([0, 0])
    names = np.array(["low", "middle", "high"])[np.searchsorted(cuts, lengths)]
    return np.where(lengths == 0, "cold", names)
