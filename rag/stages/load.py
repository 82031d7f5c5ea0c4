"""From raw files to a table of documents."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from lifecycle.atomic import write_text
from lifecycle.errors import SourceError
from lifecycle.fingerprint import ROOT
from lifecycle.sources import RawFile, digest
from lifecycle.stages import TABLE
from rag.config import RagConfig, SourceConfig
from rag.sources import collect
from rag.stages.files import SKIPPED


def inputs(config: RagConfig, use_case: Path) -> dict[str, str]:
    """Digests of what a run reads from outside: the source's files and the golden questions.

    Raises SourceError where a path does not exist or nothing is named.
    """
    path = config.questions.path
    questions = hashlib.sha256((use_case / path).read_bytes()).hexdigest() if path else ""
    return {"content": digest(source_files(config.source, ROOT)), "questions": questions}


def needs_hub(config: RagConfig) -> bool:
    """Whether the configuration names a model that only the Hugging Face hub can give."""
    from rag.hub import is_hub_id

    local = config.generation.provider == "huggingface"
    return is_hub_id(config.embedding.model) or (local and is_hub_id(config.generation.model))


def source_files(source: SourceConfig, root: Path) -> Iterator[RawFile]:
    """The raw files that ``source`` names; relative paths count from ``root``."""
    if not (source.paths or source.python_topics or source.packages):
        raise SourceError(
            "source.paths is empty: there is nothing to index.",
            "Name folders or files: --set source.paths='[\"~/notes\"]'.",
        )
    return collect(source.paths, source.python_topics, root, source.max_file_mb, source.packages)


def load(source: SourceConfig, root: Path, out: Path) -> str:
    """Parse the source's files into ``out``; a sentence about what was read and what was not."""
    import pyarrow.parquet as pq

    from rag.documents import load_documents
    from rag.tables import documents_table

    loaded = load_documents(source_files(source, root), source.max_unreadable_share)
    pq.write_table(documents_table(loaded.documents), out / TABLE, compression="zstd")
    skipped = [{"uri": s.uri, "reason": s.reason} for s in loaded.skipped]
    write_text(out / SKIPPED, json.dumps(skipped, indent=1))
    text = f"{len(loaded.documents)} documents"
    if not skipped:
        return text
    shown = "; ".join(f"{s.uri}: {s.reason}" for s in loaded.skipped[:3])
    return f"{text}, {len(skipped)} skipped ({shown}{'; …' if len(skipped) > 3 else ''})"
