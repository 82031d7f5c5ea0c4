"""Which embedders `rag.onnx_export` can export, told by their configuration alone."""

import json
from pathlib import Path
from typing import Any

_CHAINS = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
_ARCHITECTURES = {"bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"}
_POOLINGS = {"mean", "cls"}
_TOKENIZER = "tokenizer.json"
_LARGEST = 1_900_000_000  # bytes of weights; protobuf ends at 2 GiB


def unsupported(model: Path) -> str:
    """Why the sentence-transformers folder ``model`` cannot be exported; empty where it can.

    Torch is not asked, so that the engine, and with it the embedder's name, is known at once.
    """
    try:
        reason = _unfit(_modules(model)) or _strange(_read(model / "config.json"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"its configuration cannot be read ({error!r})"
    if reason:
        return reason
    if not (model / _TOKENIZER).is_file():
        return f"it has no {_TOKENIZER}"
    weights = sum(path.stat().st_size for path in model.glob("*.safetensors"))
    return "its weights are too large for one ONNX file" if weights > _LARGEST else ""


def _unfit(modules: list[tuple[str, Path]]) -> str:
    kinds = [kind for kind, _ in modules]
    if kinds not in _CHAINS:
        return f"it is made of {', '.join(kinds)}, not of Transformer, Pooling, Normalize"
    config = _read(modules[1][1] / "config.json")
    if not config.get("include_prompt", True):
        return "it leaves the prompt out when it pools"
    pooling = _pooling(config)
    return "" if pooling in _POOLINGS else f"it pools by {pooling!r}, none of {sorted(_POOLINGS)}"


def _strange(config: dict[str, Any]) -> str:
    kind = config.get("model_type")
    return "" if kind in _ARCHITECTURES else f"it is a {kind!r}, none of {sorted(_ARCHITECTURES)}"


def _modules(model: Path) -> list[tuple[str, Path]]:
    """Kind and folder of each module; sentence-transformers pools a bare transformer by mean."""
    if not (model / "modules.json").is_file():
        return [("Transformer", model), ("Pooling", model / "1_Pooling")]
    listed = json.loads((model / "modules.json").read_text("utf-8"))
    return [(one["type"].rpartition(".")[2], model / one["path"]) for one in listed]


def _pooling(config: dict[str, Any]) -> str:
    """The pooling mode, as sentence-transformers writes it now or did before its version 6."""
    if "pooling_mode" in config:
        return str(config["pooling_mode"])
    modes = [key for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
    names = [key.removeprefix("pooling_mode_").removesuffix("_tokens") for key in modes]
    return " and ".join(names).replace("cls_token", "cls") or "mean"


def _read(path: Path) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return stored
