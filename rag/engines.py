"""Which engine runs an embedder: ONNX Runtime on a CPU, torch on a GPU and for what ONNX cannot.

An index takes its ONNX export along, so that a bundle answers questions with the very graph that
made its vectors, wherever it is opened, without torch.
"""

from pathlib import Path

from lifecycle.bundle import link_or_copy
from lifecycle.errors import ConfigError
from rag.config import EmbeddingConfig
from rag.embedder import Embedder, is_export, load_embedder, model_folder
from rag.onnx_embedder import MANIFEST, MODEL, TOKENIZER, Export, OnnxEmbedder
from rag.onnx_export import load_onnx_embedder
from rag.onnx_support import unsupported

EXPORT = "embedder"
TRAINED = "model"


def open_embedder(config: EmbeddingConfig, device: str, cache: Path) -> Embedder:
    """The embedder that ``config`` names, on the engine that it names or that suits ``device``.

    Exports are kept in ``cache``; a folder that is one already is taken as it is. Raises
    ConfigError or BundleError as ``load_embedder`` does.
    """
    if is_export(config.model):
        opened = Export.open(Path(config.model))
        return OnnxEmbedder(opened.name, lambda: opened)
    plain = load_embedder(config.model, device, config.batch_size)
    if not _by_onnx(config, device):
        return plain
    return load_onnx_embedder(model_folder(config.model), plain.name, cache / "onnx")


def add_to_bundle(embedder: Embedder, folder: Path) -> None:
    """Put the embedder's export, if it has one, into the bundle being made in ``folder``."""
    if isinstance(embedder, OnnxEmbedder):
        source = embedder.export.folder
        for name in (MODEL, TOKENIZER, MANIFEST):
            link_or_copy(source / name, folder / EXPORT / name)


def take_along(source: Path, folder: Path) -> None:
    """Hand the export on from one folder to another, if there is one."""
    for path in (source / EXPORT).glob("*"):
        link_or_copy(path, folder / EXPORT / path.name)


def from_bundle(folder: Path, config: EmbeddingConfig, device: str) -> Embedder:
    """The embedder that made the vectors of the opened bundle in ``folder``."""
    export = folder / EXPORT
    if not export.is_dir():
        return load_embedder(config.model, device, config.batch_size)
    opened = Export.of_checked(export)
    return OnnxEmbedder(opened.name, lambda: opened)


def embedder_in(bundle: Path) -> Path:
    """The folder of the embedder in a bundle: the one that an index took along, or a trained
    sentence-transformers model under ``model``.

    Raises ConfigError where the bundle has none.
    """
    for folder, mark in ((bundle / EXPORT, MANIFEST), (bundle / TRAINED, "modules.json")):
        if (folder / mark).is_file():
            return folder
    raise ConfigError(
        f"the bundle {bundle} holds no embedder.",
        "Name the address of an index or of a trained embedder as embedding.model.",
    )


def _by_onnx(config: EmbeddingConfig, device: str) -> bool:
    if config.engine != "auto":
        return config.engine == "onnx"
    return device == "cpu" and not unsupported(model_folder(config.model))
