"""From documents to chunks, their vectors and the counts of their terms."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lifecycle.atomic import write_text
from lifecycle.errors import BundleError
from lifecycle.fingerprint import fingerprint
from lifecycle.stages import TABLE
from rag import kept
from rag.arrow_files import rows
from rag.config import ChunkingConfig, EmbeddingConfig
from rag.embedding_cache import CachedEmbedder
from rag.prepared import CHUNKS, TERMS, VECTORS, Prepared, runs
from rag.stages.files import EMBEDDER, ORIGINS
from rag.types import Chunk

if TYPE_CHECKING:
    import pyarrow as pa

PLACES = "places.json"
_log = logging.getLogger(__name__)
_Span = tuple[int, int]
_Origin = tuple[str, str]


def prepare(
    data: Path,
    chunking: ChunkingConfig,
    embedding: EmbeddingConfig,
    cache: Path,
    device: str,
    out: Path,
) -> str:
    """Cut the documents in ``data`` into chunks, embed these and count their terms, into ``out``.

    Documents that have not changed since they were prepared last are taken over as they were, and
    vectors known to ``cache`` are not made again.
    """
    import pyarrow.parquet as pq

    from rag.engines import add_to_bundle, open_embedder

    engine = open_embedder(embedding, device, cache)
    embedder = CachedEmbedder(engine, cache / "embeddings")
    table = pq.read_table(data / TABLE)
    source, origins = _origins(data, table)
    code = fingerprint(["rag.chunking", "rag.prepared"])
    key = kept.key(source, chunking.model_dump(), embedder.name, code)
    before = _Before.find(cache, key)
    prepared, sizes = _prepared(table, origins, before, chunking, embedding.model, embedder)
    prepared.save(out)
    places = [(*origin, *span) for origin, span in _spans(origins, sizes, 0).items()]
    write_text(out / EMBEDDER, json.dumps({"name": embedder.name}))
    write_text(out / PLACES, json.dumps(places))
    kept.keep(cache, key, out, [CHUNKS, VECTORS, TERMS, PLACES])
    add_to_bundle(engine, out)
    known = len(prepared) - embedder.misses
    return f"{len(prepared)} chunks, {embedder.misses} embedded, {known} known already"


@dataclass(frozen=True)
class _Before:
    """What an earlier run prepared, and which of its rows belong to which file."""

    prepared: Prepared | None
    places: dict[_Origin, _Span]

    @classmethod
    def find(cls, cache: Path, key: str) -> "_Before":
        folder = kept.find(cache, key)
        try:
            if folder is not None:
                stored = json.loads((folder / PLACES).read_text("utf-8"))
                places = {(uri, digest): (start, end) for uri, digest, start, end in stored}
                return cls(Prepared.load(folder), places)
        except (OSError, ValueError, TypeError, BundleError) as error:
            _log.warning("what was kept in %s cannot be used (%s): all is made anew", key, error)
        return cls(None, {})


def _origins(data: Path, table: "pa.Table") -> tuple[str, list[_Origin]]:
    """The source that the documents are from, and the file and digest of each."""
    stored = json.loads((data / ORIGINS).read_text("utf-8"))
    return stored["source"], [(uri, stored["files"][uri]) for uri in table["uri"].to_pylist()]


def _prepared(
    table: "pa.Table",
    origins: list[_Origin],
    before: _Before,
    chunking: ChunkingConfig,
    model: str,
    embedder: CachedEmbedder,
) -> tuple[Prepared, list[int]]:
    """All chunks in the order of their documents, and how many each document has."""
    fresh = [row for row, origin in enumerate(origins) if origin not in before.places]
    chunks = _chunks(rows(table, runs(np.array(fresh, dtype=np.int64))), chunking, model)
    flat = [chunk for of_document in chunks for chunk in of_document]
    made = Prepared.of(flat, embedder.encode([chunk.embedded_text for chunk in flat]))
    sizes = [len(of_document) for of_document in chunks]
    if before.prepared is None:
        return made, sizes
    spans = before.places | _spans([origins[row] for row in fresh], sizes, len(before.prepared))
    found = [spans[origin] for origin in origins]
    order = np.concatenate([np.zeros(0, np.int64), *(np.arange(*span) for span in found)])
    return before.prepared.followed_by(made, order), [end - start for start, end in found]


def _spans(origins: Sequence[_Origin], sizes: Sequence[int], first: int) -> dict[_Origin, _Span]:
    """The rows of each document, where they follow one another from row ``first``."""
    ends = accumulate(sizes, initial=first)
    return dict(zip(origins, pairwise(ends), strict=True))


def _chunks(table: "pa.Table", chunking: ChunkingConfig, model: str) -> list[list[Chunk]]:
    """The chunks of each document in ``table``."""
    from rag.chunking import chunk
    from rag.embedder import load_token_counter
    from rag.tables import documents_from

    counter = load_token_counter(model)
    limits = chunking.max_tokens, chunking.overlap_sentences, chunking.heading_trail
    return [chunk(document, counter, *limits) for document in documents_from(table)]
