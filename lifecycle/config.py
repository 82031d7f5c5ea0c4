"""Configuration: YAML read once into a frozen tree, overridden by ``path.to.key=value``.

A pipeline's tree is a pydantic model that forbids unknown keys. This module reads, merges and
reports; it does not know what any key means.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from lifecycle.errors import ConfigError, did_you_mean


class Frozen(BaseModel):
    """Base of every configuration block: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


C = TypeVar("C", bound=BaseModel)


def load_config(model: type[C], path: Path, overrides: Sequence[str] = ()) -> C:
    """The tree of ``model`` from the YAML file at ``path`` with ``overrides`` on top.

    Raises ConfigError for a missing or malformed file, an unknown key (with the nearest known
    one) or a value of the wrong type.
    """
    tree = read_yaml(path)
    for override in overrides:
        key, value = parse_override(override)
        set_path(tree, model, key, value)
    return build(model, tree, str(path))


def build(model: type[C], tree: Mapping[str, Any], origin: str) -> C:
    """Validate ``tree`` as ``model``; ``origin`` names where it came from in errors."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(*_explain(model, error, origin)) from error


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError where there is no file or no mapping."""
    import yaml

    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError as error:
        raise ConfigError(f"there is no configuration file {path}.", _siblings(path)) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        detail = " ".join(str(error).split())
        raise ConfigError(f"{path} is no readable YAML: {detail}.") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold a mapping of keys, not {type(tree).__name__}.")
    return tree


def parse_override(text: str) -> tuple[str, Any]:
    """``retrieval.k=8`` as ``("retrieval.k", 8)``; values are read as YAML."""
    import yaml

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text!r} is no key=value.", "Example: --set retrieval.k=8")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"--set {text!r}: the value is no YAML.",
            "Quote it for the shell, e.g. --set source.paths='[\"docs\"]'.",
        ) from error


def set_path(tree: dict[str, Any], model: type[BaseModel], key: str, value: Any) -> None:
    """Set dotted ``key`` in ``tree`` in place; ConfigError where ``model`` has no such key."""
    node, parts = tree, key.split(".")
    block: type[BaseModel] | None = model
    for depth, part in enumerate(parts):
        if block is not None and part not in block.model_fields:
            raise ConfigError(f"unknown key {key!r}.", _nearest_key(model, key))
        block = _block(block, part) if block is not None else None
        if depth == len(parts) - 1:
            node[part] = value
            return
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise ConfigError(f"key {key!r}: {'.'.join(parts[: depth + 1])!r} holds no keys.")


def known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Every dotted key of the tree, blocks included."""
    keys: list[str] = []
    for name in model.model_fields:
        keys.append(prefix + name)
        block = _block(model, name)
        if block is not None:
            keys += known_keys(block, f"{prefix}{name}.")
    return keys


def _block(model: type[BaseModel], field: str) -> type[BaseModel] | None:
    annotation = model.model_fields[field].annotation
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate if candidate is annotation else None
    return None


def _nearest_key(model: type[BaseModel], key: str) -> str:
    known = known_keys(model)
    by_leaf = [k for k in known if k.split(".")[-1] == key.rsplit(".", maxsplit=1)[-1]]
    if by_leaf:
        return f"Did you mean {by_leaf[0]!r}?"
    return did_you_mean(key, known)


def _explain(model: type[BaseModel], error: ValidationError, origin: str) -> tuple[str, str]:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{origin}: unknown key {key!r}.", _nearest_key(model, key)
    if first["type"] == "missing":
        return f"{origin}: key {key!r} is missing.", ""
    words = first["msg"].removeprefix("Value error, ").rstrip(".")
    if isinstance(first["input"], Mapping):  # a check of a whole block, which says what it is about
        return f"{origin}: {f'{key}: ' if key else ''}{words}.", ""
    return f"{origin}: {key}={first['input']!r} does not fit: {words}.", ""


def _siblings(path: Path) -> str:
    names = [p.name for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    return did_you_mean(path.name, names) if names else ""
