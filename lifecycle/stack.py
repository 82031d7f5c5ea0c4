"""Stack files (``stacks/<name>.yaml``): what runs where, read without ZenML."""

from pathlib import Path
from typing import Any

from lifecycle.config import Frozen, build, read_yaml
from lifecycle.errors import StackError, UsageError, did_you_mean
from lifecycle.fingerprint import ROOT
from lifecycle.state import State
from lifecycle.tracking import Tracker

FOLDER = ROOT / "stacks"


class Component(Frozen):
    """One stack component: a ZenML flavour and its configuration."""

    flavor: str
    config: dict[str, Any] = {}


class Stack(Frozen):
    """``components`` by ZenML component type, e.g. ``orchestrator``."""

    name: str
    components: dict[str, Component]


def load_stack(name: str, state: State) -> Stack:
    """The stack ``name`` with ``{state}`` filled in. Raises UsageError for an unknown name."""
    known = [path.stem for path in FOLDER.glob("*.yaml")]
    if name not in known:
        raise UsageError(f"there is no stack {name!r}.", did_you_mean(name, known))
    path = FOLDER / f"{name}.yaml"
    return build(Stack, _fill(read_yaml(path), state.root), str(path))


def tracker_of(stack: Stack, state: State) -> Tracker:
    """The MLflow tracker that the stack's experiment tracker names."""
    component = stack.components.get("experiment_tracker")
    uri = component.config.get("tracking_uri") if component else None
    if not uri:
        raise StackError(
            f"stack {stack.name!r} names no MLflow tracking_uri.",
            f"Add an experiment_tracker of flavour mlflow to stacks/{stack.name}.yaml.",
        )
    return Tracker(str(uri), state.mlflow_artifacts)


def _fill(node: Any, root: Path) -> Any:
    if isinstance(node, dict):
        return {key: _fill(value, root) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, root) for value in node]
    return node.replace("{state}", str(root)) if isinstance(node, str) else node
