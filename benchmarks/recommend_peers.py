"""What one would use instead: EASE as its paper has it, and models of the library `implicit`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from classic.recommend.histories import Histories, Numbers, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.scorer import Catalogue
from classic.recommend.threads import limited

Options = Mapping[str, Any]
# Each key in turn takes its best value on the validation set, as ours do.
GRIDS: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "ease-numpy": {"regularisation": (50.0, 100.0, 200.0, 500.0, 1000.0)},
    "implicit-als": {
        "regularization": (1.0, 10.0, 30.0, 100.0),
        "factors": (32, 64, 128, 256),
        "alpha": (1.0, 2.0, 5.0, 10.0),
    },
    "implicit-bm25": {
        "K": (20, 50, 100, 200, 500),
        "K1": (0.2, 1.2, 5.0, 50.0),
        "B": (0.0, 0.2, 0.5, 0.75),
    },
}

# Where tuning starts: as ours do, or where nothing stands here as shipped.
STARTS: Mapping[str, Options] = {
    "implicit-als": {"regularization": 10.0, "factors": 64, "alpha": 5.0}
}


class EaseNumpy:
    """Steck 2019, figure 1: eight lines of NumPy, float64, the inverse of the whole matrix."""

    def __init__(self, regularisation: float = 500.0) -> None:
        self.regularisation = regularisation

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None:
        self.matrix = interactions.matrix()
        gram = (self.matrix.T @ self.matrix).toarray().astype(np.float64)
        gram[np.diag_indices(len(gram))] += self.regularisation
        inverse = np.linalg.inv(gram)
        self.weights = inverse / -np.diag(inverse)
        self.weights[np.diag_indices(len(gram))] = 0

    def scores(self, histories: Histories) -> Scores:
        scores: Scores = (self.matrix[histories.users] @ self.weights).astype(np.float32)
        return scores

    def recommend(self, users: Numbers) -> Any:
        scores = self.matrix[users] @ self.weights
        scores[self.matrix[users].nonzero()] = -np.inf
        some = np.argpartition(-scores, 10, axis=1)[:, :10]
        order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1)
        return np.take_along_axis(some, order, axis=1)


class Implicit:
    """A model of `implicit`, asked through its own methods."""

    def __init__(self, made: Callable[[], Any]) -> None:
        self.made = made

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None:
        from scipy.sparse import csr_matrix

        self.matrix = csr_matrix(interactions.matrix())
        with limited(1):  # the library has threads of its own, and asks for this
            self.model = self.made()
            self.model.fit(self.matrix, show_progress=False)

    def scores(self, histories: Histories) -> Scores:
        if hasattr(self.model, "similarity"):
            similar: Scores = (self.matrix[histories.users] @ self.model.similarity).toarray()
            return similar.astype(np.float32)
        factors: Scores = self.model.user_factors[histories.users] @ self.model.item_factors.T
        return factors

    def recommend(self, users: Numbers) -> Any:
        return self.model.recommend(users, self.matrix[users], N=10)


def opened(name: str, options: Options) -> Any:
    """The peer ``name`` with these of its own options, not fitted."""
    if name == "ease-numpy":
        return EaseNumpy(**options)
    if name == "implicit-als":
        from implicit.als import AlternatingLeastSquares

        return Implicit(lambda: AlternatingLeastSquares(**{"random_state": 0, **options}))
    from implicit.nearest_neighbours import BM25Recommender

    return Implicit(lambda: BM25Recommender(**options))
