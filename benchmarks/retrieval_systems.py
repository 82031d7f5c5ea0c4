"""The systems that `benchmarks/retrieval.py` measures: each indexes a collection, then searches.

Where a system needs vectors it gets the same ones: those of our embedder (MiniLM, int8, ONNX
Runtime), of whole documents for the peers, which read the first 256 tokens, and of chunks for
ours. Questions are embedded by that embedder too, anew for each system.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.sources import RawFile
from rag.chunking import chunk
from rag.config import ChunkingConfig, RetrievalConfig
from rag.dense.flat import FlatIndex
from rag.embedder import Embedder
from rag.index import RagIndex
from rag.lexical.tokenize import STOPWORDS
from rag.parsers import parse
from rag.ranking import top
from rag.retriever import Retriever
from rag.tokens import PACKAGED, TokenCounter
from rag.types import Chunk, Document, Vectors

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

DEPTH = 100
"""Documents that a search gives, as far as its system's settings let it."""

RRF_CONSTANT = 60
_LIBRARIES = (
    "bm25s",
    "faiss",
    "langchain_classic.retrievers",
    "langchain_community.retrievers.bm25",
    "langchain_community.vectorstores.faiss",
    "numba",
    "rank_bm25",
    "Stemmer",
)
_WORD = re.compile(r"\w+")

Search = Callable[[str], list[str]]
"""From a question to the ids of documents, best first, no id twice."""


@dataclass(frozen=True)
class Collection:
    """A folder in BEIR layout. ``relevant``: ids of documents for each judged query; a grade
    above 0 is relevant, however high."""

    name: str
    corpus: dict[str, dict[str, Any]]
    queries: dict[str, str]
    relevant: dict[str, set[str]]

    @classmethod
    def read(cls, folder: Path, split: str = "test") -> "Collection":
        corpus = {str(one["_id"]): one for one in _lines(folder / "corpus.jsonl")}
        queries = {str(one["_id"]): one["text"] for one in _lines(folder / "queries.jsonl")}
        relevant: dict[str, set[str]] = {}
        for line in (folder / "qrels" / f"{split}.tsv").read_text("utf-8").splitlines()[1:]:
            query, document, grade = line.split("\t")
            if float(grade) > 0:
                relevant.setdefault(query, set()).add(document)
        return cls(folder.resolve().name, corpus, {q: queries[q] for q in relevant}, relevant)

    @cached_property
    def ids(self) -> list[str]:
        return list(self.corpus)

    @cached_property
    def texts(self) -> list[str]:
        """Title and text of each document, which is what every peer indexes."""
        return [f"{one.get('title') or ''} {one['text']}".strip() for one in self.corpus.values()]


@dataclass(frozen=True)
class Material:
    """A collection and what is embedded once for all systems, outside of their build times."""

    collection: Collection
    embedder: Embedder
    document_vectors: Vectors
    chunk_vectors: Vectors

    @classmethod
    def make(cls, collection: Collection, embedder: Embedder) -> "Material":
        chunks = [one.embedded_text for one in chunked(collection)[1]]
        documents = embedder.encode(collection.texts)
        return cls(collection, embedder, documents, embedder.encode(chunks))


def ours(material: Material) -> Search:
    """As `run.py ask` searches: the pipeline's chunks, index and retriever with their defaults.

    A document stands where its best chunk does.
    """
    documents, chunks = chunked(material.collection)
    config = RetrievalConfig()
    name = material.embedder.name
    index = RagIndex.build(chunks, material.chunk_vectors, documents, config, name)
    retriever = Retriever(index, material.embedder, config)
    ids = {_uri(place, one): key for place, (key, one) in enumerate(_items(material.collection))}
    enough = -(-DEPTH * len(chunks) // max(len(documents), 1))

    def search(question: str) -> list[str]:
        k = enough
        while True:
            found = retriever.search(question, k)
            ranked = list(dict.fromkeys(ids[passage.chunk.uri] for passage in found))
            if len(ranked) >= DEPTH or len(found) < k:
                return ranked[:DEPTH]
            k *= 2

    return search


def chunked(collection: Collection) -> tuple[list[Document], list[Chunk]]:
    """The collection as the pipeline reads files: a document with a title is Markdown under that
    heading, one without is plain text. Documents without any text are left out."""
    counter, settings = TokenCounter.load(PACKAGED), ChunkingConfig()
    documents = [
        parse(RawFile(_uri(place, one), _file(one).encode("utf-8", "replace")))
        for place, (_, one) in enumerate(_items(collection))
        if _file(one).strip()
    ]
    chunks: list[Chunk] = []
    for document in documents:
        chunks += chunk(
            document,
            counter,
            settings.max_tokens,
            settings.overlap_sentences,
            settings.heading_trail,
        )
    return documents, chunks


def rank_bm25(tokenize: Callable[[str], list[str]]) -> Callable[[Material], Search]:
    """`rank_bm25.BM25Okapi` with its defaults over the terms that ``tokenize`` gives."""

    def build(material: Material) -> Search:
        from rank_bm25 import BM25Okapi

        index = BM25Okapi([tokenize(text) for text in material.collection.texts])
        return lambda question: _best(material, index.get_scores(tokenize(question)))

    return build


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def stemmed_bm25(material: Material) -> Search:
    """`rank_bm25` over lowercased words without English stopwords, stemmed by Snowball."""
    import Stemmer

    stemmer = Stemmer.Stemmer("english")

    def stems(text: str) -> list[str]:
        stemmed: list[str] = stemmer.stemWords([w for w in words(text) if w not in STOPWORDS])
        return stemmed

    return rank_bm25(stems)(material)


def bm25s(material: Material) -> Search:
    """`bm25s` with its defaults, its English stopwords and a Snowball stemmer."""
    import bm25s as library
    import Stemmer

    stemmer = Stemmer.Stemmer("english")

    def tokenize(texts: Sequence[str]) -> Any:
        return library.tokenize(
            list(texts), stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False
        )

    index = library.BM25()
    index.index(tokenize(material.collection.texts), show_progress=False)

    def search(question: str) -> list[str]:
        (terms,) = tokenize([question])
        return _best(material, index.get_scores(terms)) if terms else []

    return search


def dense(material: Material) -> Search:
    """Cosines of whole documents, exact."""
    index = FlatIndex.build(material.document_vectors)

    def search(question: str) -> list[str]:
        (vector,) = material.embedder.encode_queries([question])
        found, _ = index.search(vector, DEPTH)
        return [material.collection.ids[at] for at in found]

    return search


def reciprocal_ranks(material: Material) -> Search:
    """RRF(60), Cormack et al. 2009, of the first 100 of `bm25s` and of `dense`, alike in weight."""
    parts = bm25s(material), dense(material)

    def search(question: str) -> list[str]:
        sums: dict[str, float] = {}
        for part in parts:
            for rank, one in enumerate(part(question), 1):
                sums[one] = sums.get(one, 0.0) + 1 / (RRF_CONSTANT + rank)
        return sorted(sums, key=lambda one: -sums[one])[:DEPTH]

    return search


def langchain(k: int | None) -> Callable[[Material], Search]:
    """`EnsembleRetriever` over `BM25Retriever` and `FAISS`; ``k`` of each, None for its default."""

    def build(material: Material) -> Search:
        from langchain_classic.retrievers import EnsembleRetriever
        from langchain_community.retrievers import BM25Retriever
        from langchain_community.vectorstores import FAISS

        texts, ids = material.collection.texts, material.collection.ids
        metadatas = [{"id": one} for one in ids]
        pairs = list(zip(texts, material.document_vectors.tolist(), strict=True))
        store = FAISS.from_embeddings(pairs, _as_langchain(material.embedder), metadatas)
        found = {} if k is None else {"k": k}
        bm25 = BM25Retriever.from_texts(texts, metadatas, **found)
        retrievers = [bm25, store.as_retriever(search_kwargs=found)]
        ensemble = EnsembleRetriever(retrievers=retrievers)

        def search(question: str) -> list[str]:
            ranked = [str(one.metadata["id"]) for one in ensemble.invoke(question)]
            return list(dict.fromkeys(ranked))[:DEPTH]

        return search

    return build


SYSTEMS: dict[str, Callable[[Material], Search]] = {
    "rank-bm25 words": rank_bm25(words),
    "rank-bm25 stemmed": stemmed_bm25,
    "bm25s": bm25s,
    "dense MiniLM": dense,
    "LangChain": langchain(None),
    "LangChain k=100": langchain(DEPTH),
    "RRF(60)": reciprocal_ranks,
    "ours": ours,
}


def import_libraries() -> None:
    """What the systems import, so that no build time holds it."""
    for name in _LIBRARIES:
        import_module(name)


def _best(material: Material, scores: NDArray[Any]) -> list[str]:
    """Documents with a term of the question, best first."""
    found = top(np.asarray(scores, dtype=np.float32), DEPTH)
    return [material.collection.ids[at] for at in found if scores[at] != 0]


def _as_langchain(embedder: Embedder) -> "Embeddings":
    from langchain_core.embeddings import Embeddings

    class Shared(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            vectors: list[list[float]] = embedder.encode(texts).tolist()
            return vectors

        def embed_query(self, text: str) -> list[float]:
            vector: list[float] = embedder.encode_queries([text])[0].tolist()
            return vector

    return Shared()


def _items(collection: Collection) -> Iterator[tuple[str, dict[str, Any]]]:
    return iter(collection.corpus.items())


def _uri(place: int, one: dict[str, Any]) -> str:
    """Not the document's id, which may hold anything."""
    return f"{place}.md" if one.get("title") else f"{place}.txt"


def _file(one: dict[str, Any]) -> str:
    title = " ".join(str(one.get("title") or "").split())
    return f"# {title}\n\n{one['text']}\n" if title else str(one["text"])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())
