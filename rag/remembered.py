"""Vectors kept in memory: a sentence that is read for many questions is embedded once, and so is a
question that is both searched for and answered."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.embedder import Embedder
from rag.types import Vectors

Key = tuple[str, str]
Vector = NDArray[np.float32]
LARGEST = 20_000
"""Vectors kept; beyond, those not asked for the longest go. Some 40 MB at 384 dimensions."""


class RememberingEmbedder:
    """An `Embedder` that embeds a text only if it is not among the last ``most``. Safe to use from
    several threads."""

    def __init__(self, embedder: Embedder, most: int = LARGEST) -> None:
        self.embedder, self.most = embedder, most
        self._known: OrderedDict[Key, Vector] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    @property
    def name(self) -> str:
        return self.embedder.name

    @property
    def dimension(self) -> int:
        return self.embedder.dimension

    @property
    def max_tokens(self) -> int:
        return self.embedder.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.embedder.count_tokens(texts)

    def encode(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts, self.embedder.encode, "document")

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts, self.embedder.encode_queries, "query")

    def _encode(
        self, texts: Sequence[str], encode: Callable[[Sequence[str]], Vectors], kind: str
    ) -> Vectors:
        keys = [(kind, text) for text in texts]
        found = self._recall(keys)
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        if missing:
            # Copies: a row of an array would keep all of it.
            made = [vector.copy() for vector in encode([text for _, text in missing])]
            fresh = dict(zip(missing, made, strict=True))
            self._remember(fresh)
            found |= fresh
        return np.array([found[key] for key in keys], np.float32).reshape(-1, self.dimension)

    def _recall(self, keys: Sequence[Key]) -> dict[Key, Vector]:
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known}
            for key in found:
                self._known.move_to_end(key)
        return found

    def _remember(self, fresh: dict[Key, Vector]) -> None:
        with self._lock:
            self._known.update(fresh)
            while len(self._known) > self.most:
                self._known.popitem(last=False)
