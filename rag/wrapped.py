"""What embedders that stand before another one have in common."""

from collections.abc import Sequence

from rag.embedder import Embedder
from rag.types import Vectors


class Wrapped:
    """Hands on everything but passages to ``embedder``."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

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

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self.embedder.encode_queries(texts)
