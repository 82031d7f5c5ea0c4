"""Models that a configuration names: a folder, or an id on the Hugging Face hub.

Nothing here reads weights. The hub is asked only where HF_HUB_OFFLINE allows it.
"""

import re
from pathlib import Path

from lifecycle.errors import ConfigError
from rag.tokens import PACKAGED

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
# Pickles, other frameworks' weights, and the same weights twice.
_UNUSED = ["*.bin", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.onnx", "*.ot", "*.gguf", "onnx/*"]
_UNUSED += ["openvino/*", "original/*", "consolidated*"]


def is_hub_id(model: str) -> bool:
    """Whether ``model`` can only mean a model on the Hugging Face hub."""
    named = model != PACKAGED and not Path(model).expanduser().exists()
    return named and _HUB_ID.fullmatch(model) is not None


def from_hub(model: str, key: str, instead: str) -> Path:
    """The files of the hub model ``model``, downloaded unless the hub's cache has them.

    ``key``: the setting that names it; ``instead``: what else it may be. Raises ConfigError.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, ignore_patterns=_UNUSED))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{key} {model!r} is neither a folder nor to be had from the Hugging Face "
            f"hub: {str(error).splitlines()[0]}",
            f"Use {instead}; with a network, set HF_HUB_OFFLINE=0.",
        ) from error


def check_device(device: str) -> None:
    """Raises ConfigError where ``device`` is a GPU and torch finds none."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device {device!r} was asked for, but torch finds no GPU.")
