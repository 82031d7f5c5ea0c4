"""From documents to chunks and their vectors."""

import json
from pathlib import Path

import numpy as np

from lifecycle.atomic import write_text
from lifecycle.stages import TABLE
from rag.config import ChunkingConfig, EmbeddingConfig
from rag.stages.files import CHUNKS, EMBEDDER, VECTORS
from rag.types import Chunk


def prepare(
    data: Path,
    chunking: ChunkingConfig,
    embedding: EmbeddingConfig,
    cache: Path,
    device: str,
    out: Path,
) -> str:
    """Chunk the documents in ``data`` and embed the chunks; vectors known to ``cache`` are kept."""
    import pyarrow.parquet as pq

    from rag.chunking import chunk
    from rag.embedder import load_token_counter
    from rag.embedding_cache import CachedEmbedder
    from rag.engines import add_to_bundle, open_embedder
    from rag.tables import chunks_table, documents_from

    counter = load_token_counter(embedding.model)
    chunks: list[Chunk] = []
    for document in documents_from(pq.read_table(data / TABLE)):
        chunks += chunk(
            document,
            counter,
            chunking.max_tokens,
            chunking.overlap_sentences,
            chunking.heading_trail,
        )
    engine = open_embedder(embedding, device, cache)
    embedder = CachedEmbedder(engine, cache / "embeddings")
    vectors = embedder.encode([c.embedded_text for c in chunks])
    pq.write_table(chunks_table(chunks), out / CHUNKS, compression="zstd")
    np.save(out / VECTORS, vectors, allow_pickle=False)
    write_text(out / EMBEDDER, json.dumps({"name": embedder.name}))
    add_to_bundle(engine, out)
    return f"{len(chunks)} chunks, {embedder.misses} embedded, {embedder.hits} known already"
