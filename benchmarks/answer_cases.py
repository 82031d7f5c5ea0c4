"""Questions with gold spans, the passages found for them, and what answering them needs."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lifecycle.sources import RawFile
from rag.chunking import chunk
from rag.config import RetrievalConfig, SourceConfig
from rag.documents import load_documents
from rag.embedder import Embedder
from rag.index import RagIndex
from rag.questions import Question, load_questions
from rag.relevance import locate
from rag.retriever import Retriever
from rag.sentences import sentence_spans
from rag.sources import collect
from rag.tokens import PACKAGED, TokenCounter
from rag.types import Chunk, Document, Passage, Vectors

ROOT = Path(__file__).resolve().parent.parent
ENCYCLOPAEDIA = ROOT / "benchmarks" / "data" / "encyclopaedia.txt"
HANDBOOK = ROOT / "usecases" / "handbook"


@dataclass(frozen=True)
class Case:
    """A question and what a search gave for it.

    ``removed``: as if the ``relevant`` chunks, which hold one of ``spans``, were not indexed;
    ``answered``: whether one of them is among ``passages``.
    """

    question: str
    spans: tuple[str, ...]
    relevant: frozenset[str]
    passages: list[Passage]
    removed: bool = False

    @property
    def answered(self) -> bool:
        return any(passage.chunk.chunk_id in self.relevant for passage in self.passages)

    def quotes_span(self, text: str) -> bool:
        """Whether ``text`` holds a span; case and white space apart."""
        return any(folded(span) in folded(text) for span in self.spans if span)


class Remembering:
    """An embedder that embeds no text twice."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._known: dict[str, Vectors] = {}

    def encode(self, texts: Sequence[str]) -> Vectors:
        unknown = [text for text in dict.fromkeys(texts) if text not in self._known]
        if unknown:
            self._known |= zip(unknown, self.embedder.encode(unknown), strict=True)
        return np.stack([self._known[text] for text in texts])

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self.encode(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.embedder.count_tokens(texts)

    @property
    def name(self) -> str:
        return self.embedder.name

    @property
    def dimension(self) -> int:
        return self.embedder.dimension

    @property
    def max_tokens(self) -> int:
        return self.embedder.max_tokens


@dataclass(frozen=True)
class Collection:
    """Documents as the pipeline indexes them, with questions whose quotes are in them."""

    documents: Sequence[Document]
    questions: Sequence[Question]
    embedder: Embedder

    @cached_property
    def chunks(self) -> list[Chunk]:
        counter = TokenCounter.load(PACKAGED)
        return [one for document in self.documents for one in chunk(document, counter, 240)]

    @cached_property
    def retriever(self) -> Retriever:
        vectors = self.embedder.encode([one.embedded_text for one in self.chunks])
        config, name = RetrievalConfig(), self.embedder.name
        index = RagIndex.build(self.chunks, vectors, self.documents, config, name)
        return Retriever(index, self.embedder, config)

    def cases(self, k: int = 8, removed: bool = True) -> Iterator[Case]:
        """Each question with its ``k`` passages; with ``removed``, each answerable one once more
        as if its relevant chunks had never been indexed."""
        relevant = locate(self.questions, self.chunks).relevant
        for question in self.questions:
            known = relevant.get(question.id, frozenset())
            if question.answerable and not known:
                continue
            found = self.retriever.search(question.question, k + len(known))
            spans = (question.answer,)
            yield Case(question.question, spans, known, found[:k])
            if removed and question.answerable:
                rest = [one for one in found if one.chunk.chunk_id not in known][:k]
                yield Case(question.question, spans, known, rest, removed=True)


def encyclopaedia(embedder: Embedder) -> Collection:
    """36 paragraphs on 12 subjects with questions about each, written for this project.

    Each paragraph is a document under the name of its subject, so that others on the same subject
    remain where one is removed.
    """
    paragraphs: list[RawFile] = []
    questions: list[Question] = []
    subject = text = ""
    for line in ENCYCLOPAEDIA.read_text("utf-8").splitlines():
        if line.startswith("# "):
            subject = line
        elif line.startswith("? "):
            questions.append(_asked(line, text, paragraphs[-1].uri, len(questions)))
        elif line:
            text = line
            paragraphs.append(RawFile(f"{len(paragraphs)}.md", f"{subject}\n\n{text}\n".encode()))
    return Collection(load_documents(paragraphs, 0.0).documents, questions, embedder)


def _asked(line: str, text: str, uri: str, number: int) -> Question:
    """``? question | answer`` about ``text``; the quote is the sentence with the answer."""
    question, _, answer = line[2:].rpartition(" | ")
    sentences = [text[start:end] for start, end in sentence_spans(text)]
    quote = next((one for one in sentences if answer in one), text)
    return Question(id=f"e{number}", question=question, source=uri, quote=quote, answer=answer)


def handbook(embedder: Embedder, split: str) -> Collection:
    """The handbook's golden questions of one split."""
    source = SourceConfig(paths=["docs", "README.md"], python_topics=True)
    files = collect(source.paths, source.python_topics, ROOT, source.max_file_mb)
    questions = [q for q in load_questions(HANDBOOK / "questions.jsonl") if q.split == split]
    return Collection(load_documents(files, 0.2).documents, questions, embedder)


def beir(folder: Path, embedder: Embedder) -> Collection:
    """A collection in BEIR layout whose queries have ``answers``; one document a passage."""
    documents = [
        RawFile(f"{one['_id']}.md", f"# {one['title']}\n\n{one['text']}\n".encode())
        for one in _jsonl(folder / "corpus.jsonl")
    ]
    home = dict(
        line.split("\t")[:2] for line in (folder / "qrels/test.tsv").read_text().splitlines()[1:]
    )
    questions = [
        Question(
            id=one["_id"],
            question=one["text"],
            source=f"{home[one['_id']]}.md",
            quote=one["answers"][0],
            answer=one["answers"][0],
        )
        for one in _jsonl(folder / "queries.jsonl")
    ]
    return Collection(load_documents(documents, 0.0).documents, questions, embedder)


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, path.read_text("utf-8").splitlines())


def folded(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()
