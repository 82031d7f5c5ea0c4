"""Our retriever as a LangChain one, so that it drops into any chain."""

from typing import TYPE_CHECKING, Any

from rag.retriever import Retriever
from rag.types import Passage

if TYPE_CHECKING:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever


def as_langchain(retriever: Retriever, k: int | None = None) -> "BaseRetriever":
    """A LangChain retriever that gives the ``k`` best passages (by default as configured).

    Each document's ``id`` is the chunk's; its metadata is described at ``metadata``.
    """
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever

    class RagRetriever(BaseRetriever):
        def _get_relevant_documents(
            self, query: str, *, run_manager: "CallbackManagerForRetrieverRun"
        ) -> "list[Document]":
            return [
                Document(id=p.chunk.chunk_id, page_content=p.chunk.text, metadata=metadata(p))
                for p in retriever.search(query, k)
            ]

    return RagRetriever(tags=["hybrid"])


def metadata(passage: Passage) -> dict[str, Any]:
    """Where the passage stands and how well it fits: plain values, ready for JSON.

    ``lines``: first and last, 1-based; ``score``: fused, comparable within one question only;
    ``similarity``: cosine, −1 to 1.
    """
    chunk = passage.chunk
    return {
        "chunk_id": chunk.chunk_id,
        "uri": chunk.uri,
        "source": chunk.uri,
        "title": chunk.title,
        "trail": list(chunk.trail),
        "lines": [chunk.line_start, chunk.line_end],
        "page": chunk.page,
        "score": passage.score,
        "similarity": passage.similarity,
        "rank": passage.rank,
    }
