"""Vectors kept on disk, so that a text is embedded once and never again by the same model."""

import hashlib
import logging
import re
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from lifecycle.atomic import storage_errors
from lifecycle.errors import StorageError
from lifecycle.progress import track
from rag.embedder import Embedder
from rag.types import Vectors
from rag.wrapped import Wrapped

LARGEST = 2_000_000
"""Vectors kept for a model; beyond, the oldest go. 3 GB at 384 dimensions."""

_log = logging.getLogger(__name__)
_BLOCK = 512
_WAIT_S = 120.0
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_TABLE = """CREATE TABLE IF NOT EXISTS vectors
    (key BLOB PRIMARY KEY, vector BLOB NOT NULL, checksum INTEGER NOT NULL)"""

Key = bytes


class CachedEmbedder(Wrapped):
    """An `Embedder` that looks up passages before it embeds them; questions pass through.

    One SQLite file in ``folder`` for each embedder name, keyed by the SHA-256 of the text. Several
    threads and processes may share it. What was embedded is committed every 512 texts, so a
    killed run starts where it stopped. A damaged file is dropped, a damaged vector ignored, each
    with a warning, and embedded again.

    ``hits`` and ``misses``: texts of the last `encode` that were known, and that were embedded
    (a repeated text once).
    """

    def __init__(self, embedder: Embedder, folder: Path) -> None:
        super().__init__(embedder)
        self.path = folder / f"{re.sub(r'[^A-Za-z0-9@.-]+', '-', embedder.name)}.sqlite"
        self.hits = 0
        self.misses = 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        """As the embedder itself. Raises StorageError where the cache cannot be written."""
        keys = [_key(text) for text in texts]
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        rows: dict[Key, list[int]] = {}
        for row, key in enumerate(keys):
            rows.setdefault(key, []).append(row)
        missing = dict(zip(keys, texts, strict=True))
        for key, vector in self._known(list(rows)):
            vectors[rows[key]] = vector
            del missing[key]
        for key, vector in self._embedded(missing):
            vectors[rows[key]] = vector
        self.misses = len(missing)
        self.hits = len(texts) - self.misses
        return vectors

    def _known(self, keys: Sequence[Key]) -> Iterator[tuple[Key, Vectors]]:
        if not self.path.exists():
            return
        for block in _blocks(keys):
            marks = ",".join("?" * len(block))
            query = f"SELECT key, vector, checksum FROM vectors WHERE key IN ({marks})"
            try:
                with self._database() as database:
                    found = database.execute(query, block).fetchall()
            except _DamagedError:
                return
            for key, data, checksum in found:
                if zlib.crc32(data) == checksum and len(data) == 4 * self.dimension:
                    yield key, np.frombuffer(data, dtype="<f4")
                else:
                    _log.warning("a damaged vector in %s is ignored and embedded again", self.path)

    def _embedded(self, texts: dict[Key, str]) -> Iterator[tuple[Key, Vectors]]:
        blocks = list(_blocks(list(texts)))
        for block in track(blocks, "embedding"):
            vectors = self.embedder.encode([texts[key] for key in block])
            self._store(block, vectors)
            yield from zip(block, vectors, strict=True)

    def _store(self, keys: Sequence[Key], vectors: Vectors) -> None:
        data = [vector.astype("<f4").tobytes() for vector in vectors]
        rows = [(key, d, zlib.crc32(d)) for key, d in zip(keys, data, strict=True)]
        try:
            self._insert(rows)
        except _DamagedError:
            self._insert(rows)

    def _insert(self, rows: list[tuple[Key, bytes, int]]) -> None:
        with self._database() as database, database:
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
            database.execute(
                "DELETE FROM vectors WHERE rowid <= (SELECT max(rowid) FROM vectors) - ?",
                [LARGEST],
            )

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for each use: they must not pass between threads."""
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as database:
                database.execute(_TABLE)
                yield database
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
                self._drop()
                raise _DamagedError from error
            raise StorageError(
                f"the embedding cache {self.path} cannot be used: {error}.",
                "Free space or mend the permissions, or delete the file.",
            ) from error

    def _drop(self) -> None:
        _log.warning("the embedding cache %s is damaged; its vectors are made anew", self.path)
        for suffix in ("", "-journal", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


class _DamagedError(Exception):
    """The file was no database, or a damaged one, and is gone now."""


def _key(text: str) -> Key:
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).digest()


def _blocks(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    return (keys[start : start + _BLOCK] for start in range(0, len(keys), _BLOCK))
