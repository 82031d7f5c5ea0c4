"""Vectors of sentences kept in memory while a model answers.

Embedding the sentences of the passages is most of what an extractive answer costs, and popular
passages come again and again.
"""

import hashlib
import threading
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.embedder import Embedder
from rag.types import Vectors
from rag.wrapped import Wrapped

CAPACITY = 200_000
"""Sentences; 180 MB at 384 dimensions."""
_FIRST = 1_024
_BATCH = 32


class Remembered(Wrapped):
    """An `Embedder` that remembers the passages embedded last, as float16; questions pass through.

    What is remembered is what is given, the first time too, so that an answer does not depend on
    what was asked before (but for the batches that int8 models quantise together).
    """

    def __init__(self, embedder: Embedder, capacity: int = CAPACITY) -> None:
        super().__init__(embedder)
        self.capacity = capacity
        self._lock = threading.Lock()
        self._rows: dict[bytes, int] = {}
        self._keys: list[bytes] = []
        self._vectors: NDArray[np.float16] = np.zeros((0, embedder.dimension), dtype=np.float16)
        self._oldest = 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        keys = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
        out = np.empty((len(texts), self.dimension), dtype=np.float32)
        with self._lock:
            rows = [self._rows.get(key, -1) for key in keys]
            known = [place for place, row in enumerate(rows) if row >= 0]
            out[known] = self._vectors[[rows[place] for place in known]]
        new = [place for place, row in enumerate(rows) if row < 0]
        if new:
            made = self.embedder.encode([texts[place] for place in new]).astype(np.float16)
            out[new] = made
            with self._lock:
                for place, vector in zip(new, made, strict=True):
                    self._keep(keys[place], vector)
        return out

    def __len__(self) -> int:
        return len(self._rows)

    def learn(self, texts: Iterable[str], stopped: threading.Event) -> None:
        """Embed ``texts`` ahead of the questions, a few at a time with as long a rest after each,
        until all are known, memory is full, or ``stopped`` is set."""
        import time

        batch: list[str] = []
        for text in texts:
            batch.append(text)
            if len(batch) == _BATCH:
                began = time.monotonic()
                self.encode(batch)
                batch = []
                if stopped.wait(time.monotonic() - began) or len(self) >= self.capacity:
                    return
        if batch:
            self.encode(batch)

    def _keep(self, key: bytes, vector: NDArray[np.float16]) -> None:
        if key in self._rows:
            return
        if len(self._keys) < self.capacity:
            row = len(self._keys)
            self._keys.append(key)
            self._grow(row + 1)
        else:
            row = self._oldest
            self._oldest = (row + 1) % self.capacity
            del self._rows[self._keys[row]]
            self._keys[row] = key
        self._rows[key] = row
        self._vectors[row] = vector

    def _grow(self, rows: int) -> None:
        if rows > len(self._vectors):
            size = min(self.capacity, max(_FIRST, 2 * len(self._vectors)))
            more = np.zeros((size - len(self._vectors), self.dimension), dtype=np.float16)
            self._vectors = np.concatenate([self._vectors, more])
