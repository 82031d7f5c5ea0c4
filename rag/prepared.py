"""Chunks with everything that an index is made of: their vectors and the counts of their terms.

What is here took minutes to make; an index is put together from it in seconds. So it is kept, and
taken over for every document that has not changed: see `rag.stages.prepare`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import InvalidDataError
from rag.arrow_files import map_table, rows, write_table
from rag.lexical.counts import TermCounts, joined
from rag.tables import chunks_table
from rag.types import Chunk, Vectors

if TYPE_CHECKING:
    import pyarrow as pa

CHUNKS, VECTORS, TERMS = "chunks.arrow", "vectors.npy", "terms"
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True)
class Prepared:
    """Row i of each part is chunk i: ``table`` as in `rag.tables`, ``vectors`` (n, d), counts."""

    table: "pa.Table"
    vectors: Vectors
    counts: TermCounts

    @classmethod
    def of(cls, chunks: Sequence[Chunk], vectors: Vectors) -> "Prepared":
        """Raises InvalidDataError where the numbers differ."""
        if len(chunks) != len(vectors):
            raise InvalidDataError(f"{len(chunks)} chunks do not match {len(vectors)} vectors.")
        counts = TermCounts.of(chunk.embedded_text for chunk in chunks)
        return cls(chunks_table(chunks), vectors, counts)

    def __len__(self) -> int:
        return len(self.counts)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_table(self.table, folder / CHUNKS)
        self.counts.save(folder / TERMS)
        np.save(folder / VECTORS, self.vectors, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "Prepared":
        """What `save` left in ``folder``, mapped from disk.

        Raises BundleError, OSError or ValueError where it is damaged.
        """
        vectors = np.load(folder / VECTORS, "r", allow_pickle=False)
        return cls(map_table(folder / CHUNKS), vectors, TermCounts.load(folder / TERMS))

    def followed_by(self, other: "Prepared", order: NDArray[np.int64]) -> "Prepared":
        """Both together, and of that the rows in ``order``: each row once at most."""
        import pyarrow as pa

        table = rows(pa.concat_tables([self.table, other.table]), runs(order))
        vectors = np.empty((len(order), self.vectors.shape[1]), np.float32)
        for start in range(0, len(order), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            of_other = order[part] >= len(self)
            vectors[part][~of_other] = self.vectors[order[part][~of_other]]
            vectors[part][of_other] = other.vectors[order[part][of_other] - len(self)]
        return Prepared(table, vectors, joined([self.counts, other.counts]).rows(order))


def runs(order: NDArray[np.int64]) -> list[tuple[int, int]]:
    """(start, end) of each stretch of numbers that follow one another."""
    breaks = np.flatnonzero(np.diff(order) != 1) + 1
    return [(int(one[0]), int(one[-1]) + 1) for one in np.split(order, breaks) if len(one)]
