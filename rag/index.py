"""The index of a corpus: chunks, BM25 over their words, and their vectors, in one folder.

::

    chunks.parquet      one row a chunk; its row number is its position everywhere
    dense.faiss         one vector a chunk
    lexical/            BM25 over the chunks
    documents.parquet   the texts that chunks were cut from, to open citations
    settings.json       which embedder made the vectors, and with what settings

Equal chunks, vectors and settings give equal bytes. No file is a pickle.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.atomic import storage_errors
from lifecycle.errors import BundleError, InvalidDataError
from rag.config import RetrievalConfig
from rag.dense import Dense, FlatIndex
from rag.filters import Filters
from rag.lexical import Lexical, build_lexical, load_lexical, save_lexical
from rag.tables import chunks_from, chunks_table, documents_from, documents_table
from rag.types import Chunk, Document, Vectors

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
CHUNKS, DOCUMENTS = "chunks.parquet", "documents.parquet"
DENSE, LEXICAL, SETTINGS = "dense.faiss", "lexical", "settings.json"
_REBUILD = "Run the pipeline again to rebuild the index."


@dataclass(frozen=True)
class IndexSettings:
    """``embedder``: the name of what made the vectors; ``retrieval``: settings at build."""

    embedder: str
    retrieval: RetrievalConfig


class RagIndex:
    """Immutable; safe to read from several threads. ``len`` counts chunks."""

    def __init__(
        self,
        table: "pa.Table",
        lexical: Lexical,
        dense: Dense,
        settings: IndexSettings,
        documents: "pa.Table | Path",
    ) -> None:
        self.table = table
        self.lexical = lexical
        self.dense = dense
        self.settings = settings
        self._documents = documents

    @classmethod
    def build(
        cls,
        chunks: Sequence[Chunk],
        vectors: Vectors,
        documents: Sequence[Document],
        retrieval: RetrievalConfig,
        embedder: str,
    ) -> "RagIndex":
        """Index ``chunks``, whose ``vectors`` (n, d) were made by the embedder of that name.

        Raises InvalidDataError where the counts differ or two chunks share an id. No chunks at
        all make an index that finds nothing: the gate is where that is refused.
        """
        if len(chunks) != len(vectors):
            raise InvalidDataError(f"{len(chunks)} chunks do not match {len(vectors)} vectors.")
        if len({chunk.chunk_id for chunk in chunks}) != len(chunks):
            raise InvalidDataError("two chunks have the same id.")
        lexical = build_lexical(
            [chunk.embedded_text for chunk in chunks],
            k1=retrieval.bm25_k1,
            b=retrieval.bm25_b,
            engine=retrieval.lexical_engine,
        )
        settings = IndexSettings(embedder, retrieval)
        dense = FlatIndex.build(vectors)
        return cls(chunks_table(chunks), lexical, dense, settings, documents_table(documents))

    def save(self, folder: Path) -> None:
        """Write the index's files into ``folder``, which the caller commits as a whole.

        Raises StorageError where the disk refuses.
        """
        import pyarrow.parquet as pq

        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(self.table, folder / CHUNKS, compression="zstd")
            pq.write_table(self._document_table, folder / DOCUMENTS, compression="zstd")
            save_lexical(self.lexical, folder / LEXICAL)
            (folder / SETTINGS).write_text(json.dumps(self._stored(), indent=1), encoding="utf-8")
        self.dense.save(folder / DENSE)

    def _stored(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "chunks": len(self),
            "dimension": self.dense.dimension,
            "embedder": self.settings.embedder,
            "retrieval": self.settings.retrieval.model_dump(mode="json"),
        }

    @classmethod
    def load(cls, folder: Path) -> "RagIndex":
        """The index in ``folder``, its parts memory-mapped where they can be.

        Raises BundleError where a part is missing or damaged, or the parts differ in length.
        """
        settings, count = _read_settings(folder / SETTINGS)
        table = _read_table(folder / CHUNKS).combine_chunks()
        lexical = load_lexical(folder / LEXICAL)
        dense = FlatIndex.load(folder / DENSE)
        if not count == len(table) == len(lexical) == len(dense):
            raise BundleError(
                f"the index in {folder} should hold {count} chunks: it has {len(table)} passages, "
                f"{len(lexical)} texts in BM25 and {len(dense)} vectors.",
                _REBUILD,
            )
        return cls(table, lexical, dense, settings, folder / DOCUMENTS)

    def __len__(self) -> int:
        return len(self.table)

    def take(self, positions: NDArray[np.int64]) -> list[Chunk]:
        """The chunks at ``positions``, in that order: no others are made out of the table."""
        import pyarrow as pa

        # From the buffer: pyarrow would import pandas to look at a NumPy array.
        rows = pa.py_buffer(np.ascontiguousarray(positions, dtype=np.int64))
        wanted = pa.Array.from_buffers(pa.int64(), len(positions), [None, rows])
        return chunks_from(self.table.take(wanted))

    def chunks(self) -> list[Chunk]:
        """All chunks in order of position."""
        return chunks_from(self.table)

    def document(self, doc_id: str) -> Document:
        """The document a chunk was cut from. Raises BundleError where the index has none."""
        import pyarrow.compute as pc

        table = self._document_table
        found = documents_from(table.filter(pc.equal(table["doc_id"], doc_id)))
        if not found:
            raise BundleError(f"the index holds no document {doc_id!r}.", _REBUILD)
        return found[0]

    @cached_property
    def filters(self) -> Filters:
        return Filters(self.table)

    @cached_property
    def _document_table(self) -> "pa.Table":
        return (
            _read_table(self._documents) if isinstance(self._documents, Path) else self._documents
        )


def _read_table(path: Path) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not read_table, which imports pyarrow.dataset and with it pandas.
        with pq.ParquetFile(path, memory_map=True) as file:
            return file.read()
    except (OSError, pa.ArrowException) as error:
        raise BundleError(f"{path} cannot be read: {error}.", _REBUILD) from error


def _read_settings(path: Path) -> tuple[IndexSettings, int]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["format"] != FORMAT:
            raise BundleError(
                f"the index has format {stored['format']}, this version reads {FORMAT}.", _REBUILD
            )
        retrieval = RetrievalConfig.model_validate(stored["retrieval"])
        return IndexSettings(stored["embedder"], retrieval), int(stored["chunks"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} cannot be read: {error}.", _REBUILD) from error
