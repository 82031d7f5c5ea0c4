"""A synthetic corpus of any size, out of the documentation that is installed on the machine.

A chunk is three sentences that follow one another in some documentation and three drawn from all of
it; its vector is the normalised sum of theirs, the last at less weight, with a little noise, as
embedding a million chunks would take hours. Questions are sentences of at most 80 characters that
are in no chunk.
"""

import json
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import SourceError
from lifecycle.progress import track
from rag.arrow_files import write_table
from rag.config import EmbeddingConfig
from rag.embedding_cache import CachedEmbedder
from rag.engines import open_embedder
from rag.parsers import parse
from rag.prepared import CHUNKS, VECTORS
from rag.sources import package_files, python_topics
from rag.tables import chunks_table
from rag.types import Chunk, Vectors

QUESTIONS = "questions.json"
_POOL = 60_000
_LONGEST_QUESTION = 80
_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_WEIGHTS = np.array([1, 1, 1, 1, 0.7, 0.7], dtype=np.float32)
_NOISE = 0.015
_BLOCK = 20_000


def make(folder: Path, count: int, questions: int, cache: Path, sentences_of: int = _POOL) -> None:
    """Write ``count`` chunks, made of so many sentences, their vectors and the questions into
    ``folder``."""
    import pyarrow as pa

    rng = np.random.default_rng(0)
    pool = sentences(sentences_of + questions)
    short = [at for at, text in enumerate(pool) if len(text) <= _LONGEST_QUESTION]
    asked = set(rng.choice(short, questions, replace=False).tolist())
    (folder / QUESTIONS).write_text(json.dumps([pool[at] for at in sorted(asked)]))
    pool = [text for at, text in enumerate(pool) if at not in asked]
    embedder = CachedEmbedder(open_embedder(EmbeddingConfig(), "cpu", cache), cache / "embeddings")
    vectors = embedder.encode(pool)
    (folder / "embedder.json").write_text(json.dumps({"name": embedder.name}))
    out = np.lib.format.open_memmap(folder / VECTORS, "w+", np.float32, (count, vectors.shape[1]))
    tables = []
    for start in track(range(0, count, _BLOCK), "chunks"):
        size = min(_BLOCK, count - start)
        drawn = _drawn(rng, len(pool), size)
        out[start : start + size] = _vectors(vectors, drawn, rng)
        tables.append(chunks_table(list(_chunks(pool, drawn, start))))
    out.flush()
    write_table(pa.concat_tables(tables), folder / CHUNKS)


def sentences(most: int) -> list[str]:
    """Distinct sentences of 30 to 400 characters from the documentation of what is installed."""
    found: dict[str, None] = {}
    names = sorted({str(one.metadata["Name"]) for one in metadata.distributions()})
    files = (file for name in names for file in package_files(name))
    for file in (*python_topics(), *files):
        try:
            text = parse(file).text
        except SourceError:
            continue
        lines = (" ".join(one.split()) for one in _SENTENCES.split(text))
        found |= dict.fromkeys(one for one in lines if 30 <= len(one) <= 400 and one.count(" ") > 3)
        if len(found) > 5 * most:
            break
    kept = list(found)
    # At even steps, in runs that belong together.
    step = max(1, len(kept) // most)
    return [one for at, one in enumerate(kept) if (at // 8) % step == 0][:most]


def _drawn(rng: np.random.Generator, pool: int, size: int) -> NDArray[np.int64]:
    first = rng.integers(0, pool - 3, (size, 1))
    return np.hstack([first, first + 1, first + 2, rng.integers(0, pool, (size, 3))])


def _vectors(pool: Vectors, drawn: NDArray[np.int64], rng: np.random.Generator) -> Vectors:
    sums = np.einsum("nsd,s->nd", pool[drawn], _WEIGHTS)
    sums /= np.linalg.norm(sums, axis=1, keepdims=True)
    sums += rng.standard_normal(sums.shape, dtype=np.float32) * _NOISE
    return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), dtype=np.float32)


def _chunks(pool: list[str], drawn: NDArray[np.int64], start: int) -> Iterator[Chunk]:
    for number, row in enumerate(drawn.tolist(), start):
        text = " ".join(pool[at] for at in row)
        yield Chunk(
            chunk_id=f"{number:016x}",
            doc_id=f"{number // 8:064x}",
            uri=f"made/{number // 8}.txt",
            title="",
            trail=(),
            text=text,
            start=0,
            end=len(text),
            line_start=1,
            line_end=1,
            page=None,
            tokens=len(text) // 4,
        )
