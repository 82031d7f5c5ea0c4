"""Implicit ALS: users and items as factors, fitted in turn by the library `implicit`.

Hu, Koren and Volinsky, Collaborative filtering for implicit feedback datasets, ICDM 2008. A history
that is no training user's is folded in: its factors are solved for with the items' held fixed.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classic.recommend import settings
from classic.recommend.arrays import read_array, write_arrays
from classic.recommend.histories import Histories, Numbers, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.scorer import Catalogue
from classic.recommend.threads import cores, limited


class Als:
    """``items`` (items, factors) and ``users`` (users, factors), float32."""

    def __init__(self, chosen: settings.Als) -> None:
        self.settings = chosen
        none = np.zeros((0, chosen.factors), dtype=np.float32)
        self._set(none, none)

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None:
        from implicit.als import AlternatingLeastSquares
        from scipy.sparse import csr_matrix

        chosen = self.settings
        with limited(1):  # the library has threads of its own, and asks for this
            model = AlternatingLeastSquares(
                factors=chosen.factors,
                regularization=chosen.regularisation,
                alpha=chosen.alpha,
                iterations=chosen.iterations,
                random_state=chosen.seed,
                num_threads=cores(),
            )
            model.fit(csr_matrix(interactions.matrix()), show_progress=False)
        self._set(np.asarray(model.item_factors), np.asarray(model.user_factors))

    def scores(self, histories: Histories) -> Scores:
        if histories.users is None:
            factors = self.fold_in(histories)
        else:
            factors = self.users[histories.users]
        return factors @ self.items.T

    def fold_in(self, histories: Histories) -> Scores:
        """Factors (n, factors) that suit ``histories`` best: one more half-step of fitting."""
        alpha = self.settings.alpha
        solved = [_solve(self._fixed, self.items[one], alpha) for one in _distinct(histories)]
        return np.stack(solved) if solved else np.zeros((0, len(self._fixed)), dtype=np.float32)

    def contributions(self, history: Histories, items: Numbers) -> Scores:
        """(events, items): how alike the factors are, which stands for what an event adds."""
        return self.items[history.items] @ self.items[items].T

    def save(self, folder: Path) -> None:
        write_arrays(folder, {"items": self.items, "users": self.users})

    def load(self, folder: Path) -> None:
        self._set(read_array(folder, "items"), read_array(folder, "users"))

    def _set(self, items: Scores, users: Scores) -> None:
        self.items, self.users = items, users
        penalty = self.settings.regularisation * np.eye(items.shape[1], dtype=np.float32)
        self._fixed: Scores = items.T @ items + penalty


def _solve(fixed: Scores, seen: Scores, alpha: float) -> Scores:
    solved: Scores = np.linalg.solve(
        fixed + np.float32(alpha - 1) * (seen.T @ seen), np.float32(alpha) * seen.sum(axis=0)
    )
    return solved


def _distinct(histories: Histories) -> list[NDArray[np.int32]]:
    parts = np.split(histories.items, histories.starts[1:-1]) if len(histories) else []
    return [np.unique(one) for one in parts]
