"""From raw files to a table of documents."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lifecycle.addresses import SCHEME
from lifecycle.atomic import write_text
from lifecycle.errors import SourceError
from lifecycle.fingerprint import ROOT, fingerprint
from lifecycle.sources import RawFile, digest
from lifecycle.stages import TABLE
from rag import kept
from rag.arrow_files import rows
from rag.config import RagConfig, SourceConfig
from rag.prepared import runs
from rag.sources import collect
from rag.stages.files import ORIGINS, SKIPPED
from rag.tables import documents_table
from rag.types import Document

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger(__name__)


def inputs(config: RagConfig, use_case: Path) -> dict[str, str]:
    """Digests of what a run reads from outside: the source's files and the golden questions.

    Raises SourceError where a path does not exist or nothing is named.
    """
    path = config.questions.path
    questions = hashlib.sha256((use_case / path).read_bytes()).hexdigest() if path else ""
    return {"content": digest(source_files(config.source, ROOT)), "questions": questions}


def resolved(config: RagConfig, bundle_at: Callable[[str], Path]) -> RagConfig:
    """``config`` with folders for addresses of registered models; ``bundle_at`` finds a bundle."""
    from rag.engines import embedder_in

    model = config.embedding.model
    if not model.startswith(SCHEME):
        return config
    folder = str(embedder_in(bundle_at(model)))
    embedding = config.embedding.model_copy(update={"model": folder})
    return config.model_copy(update={"embedding": embedding})


def needs_hub(config: RagConfig) -> bool:
    """Whether the configuration names a model that only the Hugging Face hub can give."""
    from rag.hub import is_hub_id

    models = [config.embedding.model, config.retrieval.rerank.model]
    if config.generation.provider == "huggingface":
        models.append(config.generation.model)
    return any(map(is_hub_id, models))


def source_files(source: SourceConfig, root: Path) -> Iterator[RawFile]:
    """The raw files that ``source`` names; relative paths count from ``root``."""
    if not (source.paths or source.python_topics or source.packages):
        raise SourceError(
            "source.paths is empty: there is nothing to index.",
            "Name folders or files: --set source.paths='[\"~/notes\"]'.",
        )
    return collect(source.paths, source.python_topics, root, source.max_file_mb, source.packages)


def load(source: SourceConfig, root: Path, cache: Path, out: Path) -> str:
    """Parse the source's files into ``out``; a sentence about what was read and what was not.

    Files that have not changed since they were read last are not parsed again.
    """
    import pyarrow.parquet as pq

    from rag.documents import load_documents

    key = kept.key(source.model_dump(), fingerprint(["rag.documents"]))
    reader = _Reader(_Before.find(cache, key))
    files = source_files(source, root)
    loaded = load_documents(files, source.max_unreadable_share, reader.read)
    pq.write_table(reader.table(loaded.documents), out / TABLE, compression="zstd")
    origins = {document.uri: reader.digests[document.uri] for document in loaded.documents}
    write_text(out / ORIGINS, json.dumps({"source": key, "files": origins}))
    kept.keep(cache, key, out, [TABLE, ORIGINS])
    skipped = [{"uri": s.uri, "reason": s.reason} for s in loaded.skipped]
    write_text(out / SKIPPED, json.dumps(skipped, indent=1))
    text = f"{len(loaded.documents)} documents"
    if not skipped:
        return text
    shown = "; ".join(f"{s.uri}: {s.reason}" for s in loaded.skipped[:3])
    return f"{text}, {len(skipped)} skipped ({shown}{'; …' if len(skipped) > 3 else ''})"


@dataclass(frozen=True)
class _Before:
    """Documents of an earlier run: a row of ``table`` for each uri and digest."""

    table: "pa.Table"
    rows: dict[tuple[str, str], int]

    @classmethod
    def find(cls, cache: Path, key: str) -> "_Before":
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder = kept.find(cache, key)
        try:
            if folder is not None:
                origins = json.loads((folder / ORIGINS).read_text("utf-8"))["files"]
                table = pq.read_table(folder / TABLE)
                uris = table["uri"].to_pylist()
                return cls(table, {(uri, origins[uri]): row for row, uri in enumerate(uris)})
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            _log.warning("what was kept in %s cannot be used (%s): files are read anew", key, error)
        return cls(documents_table([]), {})


@dataclass
class _Reader:
    """Parses files, but for those that ``before`` holds: of these it gives name and id alone."""

    before: _Before
    digests: dict[str, str] = field(default_factory=dict)

    def read(self, raw: RawFile) -> Document:
        from rag.parsers import parse

        digest = hashlib.sha256(raw.data or b"").hexdigest()
        row = self.before.rows.get((raw.uri, digest))
        document = parse(raw) if row is None else self._known(row)
        self.digests[raw.uri] = digest
        return document

    def _known(self, row: int) -> Document:
        names = "doc_id", "uri", "title", "media"
        doc_id, uri, title, media = (self.before.table[name][row].as_py() for name in names)
        return Document(doc_id, uri, title, "", media, ())

    def table(self, documents: Sequence[Document]) -> "pa.Table":
        """The documents in full, in their order."""
        import pyarrow as pa

        fresh: list[Document] = []
        order: list[int] = []
        for document in documents:
            row = self.before.rows.get((document.uri, self.digests[document.uri]))
            order.append(len(self.before.table) + len(fresh) if row is None else row)
            fresh += [document] if row is None else []
        both = pa.concat_tables([self.before.table, documents_table(fresh)])
        return rows(both, runs(np.array(order, dtype=np.int64)))
