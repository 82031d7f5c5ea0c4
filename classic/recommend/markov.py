"""A Markov chain with a memory: what follows the last items of a history, soon after them.

After Shani, Heckerman and Brafman, An MDP-based recommender system, JMLR 2005, whose "skipping"
counts, for a pair of events d steps apart, a weight that falls exponentially with d.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classic.recommend import settings
from classic.recommend.arrays import read_array, write_arrays
from classic.recommend.histories import Histories, Numbers, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.kernels import product
from classic.recommend.rules import popularity
from classic.recommend.scorer import Catalogue


class Markov:
    """Transitions (items, items), sparse: row i, column j says how much j follows i."""

    def __init__(self, chosen: settings.Markov) -> None:
        from scipy.sparse import csr_array

        self.settings = chosen
        self.transitions = csr_array((0, 0), dtype=np.float32)

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None:
        from scipy.sparse import coo_array, csr_array

        chosen = self.settings
        sources, targets, weights = self._pairs(Histories.of(interactions))
        counts = popularity(interactions) + chosen.shrinkage
        weights /= counts[sources] ** chosen.from_power * counts[targets] ** chosen.to_power
        shape = (len(counts), len(counts))
        matrix = coo_array((weights.astype(np.float32), (sources, targets)), shape=shape)
        self.transitions = csr_array(matrix)

    def scores(self, histories: Histories) -> Scores:
        recent = histories.last(self.settings.last)
        weights = self.settings.age_decay**recent.ages
        return product(recent.matrix(self.transitions.shape[0], weights), self.transitions)

    def contributions(self, history: Histories, items: Numbers) -> Scores:
        """(events, items): what each event of one history adds to each item's score."""
        ages = history.ages
        weights = np.where(ages < self.settings.last, self.settings.age_decay**ages, 0)
        part: Scores = self.transitions[history.items][:, items].toarray()
        part *= weights[:, None].astype(np.float32)
        return part

    def save(self, folder: Path) -> None:
        matrix = self.transitions
        arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
        write_arrays(folder, arrays)

    def load(self, folder: Path) -> None:
        from scipy.sparse import csr_array

        data, indices, indptr = (read_array(folder, n) for n in ("data", "indices", "indptr"))
        shape = (len(indptr) - 1, len(indptr) - 1)
        self.transitions = csr_array((data, indices, indptr), shape=shape)

    def _pairs(
        self, histories: Histories
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
        """Events of one history at most ``window`` apart: earlier item, later item, weight."""
        items, rows = histories.items, histories.rows
        parts = []
        for step in range(1, min(self.settings.window, max(len(items) - 1, 0)) + 1):
            together = rows[:-step] == rows[step:]
            sources, targets = items[:-step][together], items[step:][together]
            weights = np.full(len(sources), self.settings.step_decay ** (step - 1))
            parts.append((sources, targets, weights))
        if not parts:
            return items[:0], items[:0], np.zeros(0)
        sources, targets, weights = (np.concatenate(one) for one in zip(*parts, strict=True))
        return sources, targets, weights
