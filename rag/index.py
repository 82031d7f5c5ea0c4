"""The index of a corpus: chunks, BM25 over their words, and their vectors, in one folder.

::

    chunks.arrow        one row a chunk; its row number is its position everywhere
    dense/              the chunks' vectors
    leads.npy           the first chunk of each chunk's document, and how many the document has
    lexical/            BM25 over the chunks
    documents.arrow     the texts that chunks were cut from, to open citations
    settings.json       which embedder made the vectors, and with what settings

Everything large is mapped from disk: an index of a million chunks opens in a fraction of a second,
and takes the memory of what is searched. Equal chunks, vectors and settings give equal bytes. No
file is a pickle.
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
from rag import arrow_files
from rag.arrow_files import REBUILD
from rag.config import RetrievalConfig
from rag.dense import Dense, DenseIndex, Moments, build_dense, load_dense
from rag.filters import Filters
from rag.lexical import Lexical, lexical_of, load_lexical, save_lexical
from rag.prepared import Prepared
from rag.tables import chunk_from, chunks_from, documents_from, documents_table
from rag.types import Chunk, Document, Vectors

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 2
CHUNKS, DOCUMENTS = "chunks.arrow", "documents.arrow"
DENSE, LEXICAL, SETTINGS = "dense", "lexical", "settings.json"
LEADS = "leads.npy"

Leads = NDArray[np.int32]
"""Shape (n, 2): position of the first chunk of the chunk's document, and the document's chunks."""


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
        vectors: DenseIndex,
        settings: IndexSettings,
        documents: "pa.Table | arrow_files.DocumentFile",
        leads: Leads,
    ) -> None:
        self.table = table
        self.lexical = lexical
        self.settings = settings
        self.leads = leads
        self._vectors = vectors
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

        Raises InvalidDataError where the counts differ or two chunks share an id.
        """
        prepared = Prepared.of(chunks, vectors)
        settings = IndexSettings(embedder, retrieval)
        return cls.assemble(prepared, documents_table(documents), settings)

    @classmethod
    def assemble(
        cls, prepared: Prepared, documents: "pa.Table", settings: IndexSettings
    ) -> "RagIndex":
        """The index of ``prepared`` chunks, cut from ``documents``.

        No chunks at all make an index that finds nothing: the gate is where that is refused.
        Raises InvalidDataError where two chunks share an id.
        """
        import pyarrow.compute as pc

        if pc.count_distinct(prepared.table["chunk_id"]).as_py() != len(prepared):
            raise InvalidDataError("two chunks have the same id.")
        retrieval = settings.retrieval
        lexical = lexical_of(
            prepared.counts,
            k1=retrieval.bm25_k1,
            b=retrieval.bm25_b,
            engine=retrieval.lexical_engine,
        )
        vectors = build_dense(prepared.vectors, retrieval.dense_engine, retrieval.whitening)
        table = prepared.table
        return cls(table, lexical, vectors, settings, documents, leads_of(table))

    @property
    def dense(self) -> Dense:
        return self._vectors.engine

    @property
    def moments(self) -> Moments:
        """Of the similarities between a question and all chunks."""
        return self._vectors.moments

    def save(self, folder: Path) -> None:
        """Write the index's files into ``folder``, which the caller commits as a whole.

        Raises StorageError where the disk refuses.
        """
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            arrow_files.write_table(self.table, folder / CHUNKS)
            arrow_files.write_documents(self._document_table, folder / DOCUMENTS)
            save_lexical(self.lexical, folder / LEXICAL)
            np.save(folder / LEADS, self.leads, allow_pickle=False)
            (folder / SETTINGS).write_text(json.dumps(self._stored(), indent=1), encoding="utf-8")
        self._vectors.save(folder / DENSE)

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
        """The index in ``folder``, mapped from disk.

        Raises BundleError where a part is missing or damaged, or the parts differ in length.
        """
        settings, count = _read_settings(folder / SETTINGS)
        table = arrow_files.map_table(folder / CHUNKS)
        lexical = load_lexical(folder / LEXICAL)
        vectors = load_dense(folder / DENSE)
        leads = _read_leads(folder / LEADS)
        if not count == len(table) == len(lexical) == len(vectors.engine) == len(leads):
            raise BundleError(
                f"the index in {folder} should hold {count} chunks: it has {len(table)} passages, "
                f"{len(lexical)} texts in BM25 and {len(vectors.engine)} vectors.",
                REBUILD,
            )
        documents = arrow_files.DocumentFile(folder / DOCUMENTS)
        return cls(table, lexical, vectors, settings, documents, leads)

    def __len__(self) -> int:
        return len(self.table)

    def take(self, positions: NDArray[np.int64]) -> list[Chunk]:
        """The chunks at ``positions``, in that order: no others are made out of the table."""
        return [chunk_from(self._rows[at]) for at in positions.tolist()]

    def chunks(self) -> list[Chunk]:
        """All chunks in order of position."""
        return chunks_from(self.table)

    def document(self, doc_id: str) -> Document:
        """The document a chunk was cut from. Raises BundleError where the index has none."""
        import pyarrow.compute as pc

        if isinstance(self._documents, arrow_files.DocumentFile):
            found = self._documents.find(doc_id)
        else:
            found = self._documents.filter(pc.equal(self._documents["doc_id"], doc_id))
        if not len(found):
            raise BundleError(f"the index holds no document {doc_id!r}.", REBUILD)
        return documents_from(found)[0]

    @cached_property
    def filters(self) -> Filters:
        return Filters(self.table)

    @cached_property
    def _rows(self) -> arrow_files.Rows:
        return arrow_files.Rows(self.table)

    @property
    def _document_table(self) -> "pa.Table":
        documents = self._documents
        if isinstance(documents, arrow_files.DocumentFile):
            return arrow_files.map_table(documents.path)
        return documents


def leads_of(table: "pa.Table") -> Leads:
    """The leads of chunks whose rows follow one another document by document."""
    documents = table["doc_id"].combine_chunks().dictionary_encode()
    codes = (
        documents.indices.to_numpy(zero_copy_only=False) if len(table) else np.zeros(0, np.int32)
    )
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    sizes = np.diff(first, append=len(codes))
    return np.repeat(np.column_stack([first, sizes]), sizes, axis=0).astype(np.int32)


def _read_leads(path: Path) -> Leads:
    try:
        leads: Leads = np.load(path, "r", allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise BundleError(f"{path} cannot be read: {error}.", REBUILD) from error
    return leads


def _read_settings(path: Path) -> tuple[IndexSettings, int]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["format"] != FORMAT:
            raise BundleError(
                f"the index has format {stored['format']}, this version reads {FORMAT}.", REBUILD
            )
        retrieval = RetrievalConfig.model_validate(stored["retrieval"])
        return IndexSettings(stored["embedder"], retrieval), int(stored["chunks"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} cannot be read: {error}.", REBUILD) from error
