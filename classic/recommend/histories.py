"""What users had to do with, one history each: all that a model sees of a user."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from classic.recommend.interactions import Interactions

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Numbers = NDArray[np.int32]
Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Histories:
    """History i: ``items[starts[i]:starts[i + 1]]``, the oldest first, and their ``times``.

    ``users``: the numbers that these users have in training, where they are just as in training.
    """

    items: Numbers
    times: NDArray[np.int64]
    starts: NDArray[np.int64]
    users: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, interactions: Interactions) -> Self:
        """Those of all users, by number."""
        order = np.argsort(interactions.users, kind="stable")
        counts = np.bincount(interactions.users, minlength=len(interactions.user_ids))
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        users = np.arange(len(counts))
        return cls(interactions.items[order], interactions.times[order], starts, users)

    @classmethod
    def one(cls, items: Sequence[int] | Numbers, time: int = 0) -> Self:
        """A single history, the oldest item first, all at ``time``."""
        numbers = np.asarray(items, dtype=np.int32)
        times = np.full(len(numbers), time, dtype=np.int64)
        return cls(numbers, times, np.array([0, len(numbers)], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    @property
    def rows(self) -> NDArray[np.int64]:
        """The history of each event."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def ages(self) -> NDArray[np.int64]:
        """How many events of its history come after each event."""
        return np.repeat(self.starts[1:], self.lengths) - np.arange(len(self.items)) - 1

    def take(self, numbers: NDArray[Any]) -> "Histories":
        lengths = self.lengths[numbers]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        shift = np.repeat(self.starts[numbers] - starts[:-1], lengths)
        at = np.arange(starts[-1]) + shift
        users = None if self.users is None else self.users[numbers]
        return Histories(self.items[at], self.times[at], starts, users)

    def without_last(self, n: int) -> "Histories":
        """Each history less its last ``n`` events."""
        kept = self.ages >= n
        lengths = np.maximum(self.lengths - n, 0)
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return Histories(self.items[kept], self.times[kept], starts)

    def last(self, n: int) -> "Histories":
        """The last ``n`` events of each history."""
        kept = self.ages < n
        starts = np.concatenate([[0], np.cumsum(np.minimum(self.lengths, n))]).astype(np.int64)
        return Histories(self.items[kept], self.times[kept], starts)

    def matrix(self, items: int, weights: NDArray[Any] | None = None) -> "csr_array":
        """Histories by items (float32): 1.0 where an item is in a history, or an event's weight."""
        from scipy.sparse import csr_array

        shape = (len(self), items)
        if weights is None:
            return csr_array(self._distinct, shape=shape)
        # SciPy would copy what a matrix with wider numbers is multiplied with.
        starts = self.starts.astype(np.int32)
        return csr_array((weights.astype(np.float32), self.items, starts), shape=shape)

    @cached_property
    def _distinct(self) -> tuple[Scores, Numbers, Numbers]:
        """Ones, and each history's items without repetition, as a sparse matrix has them."""
        from scipy.sparse import csr_array

        ones, starts = np.ones(len(self.items), dtype=np.float32), self.starts.astype(np.int32)
        shape = (len(self), int(self.items.max(initial=0)) + 1)
        plain = csr_array((ones, self.items, starts), shape=shape, copy=True)
        plain.sum_duplicates()
        return np.ones_like(plain.data), plain.indices, plain.indptr
