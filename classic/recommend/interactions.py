"""What people did with items, as flat arrays."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Interactions:
    """Event j: user ``users[j]`` rated item ``items[j]`` with ``ratings[j]`` at ``times[j]``.

    ``users``, ``items``: numbers into ``user_ids`` and ``item_ids`` (int32, shape (n,));
    ``times``: seconds since 1970 UTC (int64); ``ratings``: float32, 1.0 where there are none.
    Events are in order of time, those of one time in their order in the source.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    times: NDArray[np.int64]
    ratings: NDArray[np.float32]
    user_ids: list[str]
    item_ids: list[str]

    def __len__(self) -> int:
        return len(self.users)

    def where(self, kept: NDArray[Any]) -> "Interactions":
        """The events that ``kept`` marks (or numbers, rising), under the same ids."""
        parts = (self.users[kept], self.items[kept], self.times[kept], self.ratings[kept])
        return Interactions(*parts, self.user_ids, self.item_ids)

    def matrix(self) -> "csr_array":
        """Users by items, 1.0 where a user had to do with an item however often (float32)."""
        from scipy.sparse import csr_array

        shape = (len(self.user_ids), len(self.item_ids))
        ones = np.ones(len(self), dtype=np.float32)
        matrix = csr_array((ones, (self.users, self.items)), shape=shape)
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        return matrix
