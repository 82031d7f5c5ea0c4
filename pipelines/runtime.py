"""ZenML as this project uses it: inside the state folder, without a server, trimmed and quiet.

``start`` must run before anything imports zenml: ZenML reads its environment when imported.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.errors import StackError
from lifecycle.fingerprint import ROOT
from lifecycle.stack import Stack
from lifecycle.state import State
from pipelines import trims

if TYPE_CHECKING:
    from zenml.client import Client
    from zenml.models import PipelineRunResponse


def environment(state: State) -> dict[str, str]:
    """What ZenML must find in the environment."""
    return {
        "ZENML_CONFIG_PATH": str(state.zenml),
        "ZENML_LOCAL_STORES_PATH": str(state.zenml / "local_stores"),
        "ZENML_CUSTOM_SOURCE_ROOT": str(ROOT),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_ENABLE_REPO_INIT_WARNINGS": "false",
        "ZENML_ENABLE_RICH_TRACEBACK": "false",
        "ZENML_DISABLE_STEP_LOGS_STORAGE": "true",
        "ZENML_DISABLE_PIPELINE_LOGS_STORAGE": "true",
        "AUTO_OPEN_DASHBOARD": "false",
    }


def start(state: State, stack: Stack) -> None:
    """Set ZenML up in the state folder, register ``stack`` if it changed, and make it active."""
    os.environ.update(environment(state))
    os.environ.setdefault("ZENML_LOGGING_VERBOSITY", "CRITICAL")
    state.zenml.mkdir(parents=True, exist_ok=True)
    trims.apply()
    from zenml.client import Client

    client = Client()
    if client.active_user.email_opted_in is None:
        # Otherwise the dashboard opens with a form that asks for name and e-mail address.
        client.update_user(client.active_user.id, updated_email_opt_in=False)
    register(client, stack)
    if client.active_stack_model.name != stack.name:
        client.activate_stack(stack.name)


def register(client: "Client", stack: Stack) -> None:
    """Create or update the stack's components and the stack; without effect where all is so.

    Raises StackError for a flavour or setting that ZenML does not know.
    """
    from pydantic import ValidationError
    from zenml.enums import StackComponentType
    from zenml.exceptions import ZenKeyError

    try:
        wanted: dict[Any, Any] = {}
        for kind, component in stack.components.items():
            component_type = StackComponentType(kind)
            wanted[component_type] = _component(
                client, component_type, stack.name, component.flavor, component.config
            )
        _stack(client, stack.name, wanted)
    except (KeyError, ValueError, ValidationError, ZenKeyError) as error:
        detail = " ".join(str(error).split())[:300]
        raise StackError(
            f"stack {stack.name!r} cannot be registered: {detail}.",
            f"Mend stacks/{stack.name}.yaml.",
        ) from error


def _component(client: "Client", kind: Any, name: str, flavor: str, config: dict[str, Any]) -> Any:
    found = client.list_stack_components(name=name, type=kind).items
    if not found:
        return client.create_stack_component(name, flavor, kind, config).id
    there = found[0]
    if there.flavor_name != flavor:
        raise ValueError(f"{kind.value} {name!r} has flavour {there.flavor_name!r}, not {flavor!r}")
    if any(there.configuration.get(key) != value for key, value in config.items()):
        client.update_stack_component(there.id, kind, configuration=config)
    return there.id


def _stack(client: "Client", name: str, components: dict[Any, Any]) -> None:
    found = client.list_stacks(name=name).items
    if not found:
        client.create_stack(name, components)
        return
    there = {kind: items[0].id for kind, items in found[0].components.items()}
    if there != components:
        client.update_stack(found[0].id, component_updates=components)


@contextmanager
def interruptions() -> Iterator[None]:
    """Turn ZenML's word for a signal that stopped a run back into Python's."""
    from zenml.exceptions import RunInterruptedException

    try:
        yield
    except RunInterruptedException as error:
        raise KeyboardInterrupt from error


@dataclass(frozen=True)
class Finished:
    """A finished pipeline run: its name, its last step's output, and steps taken from cache."""

    name: str
    output: dict[str, Any]
    cached: tuple[str, ...]
    ran: tuple[str, ...]


def finished(run: "PipelineRunResponse | None", last: str) -> Finished:
    """What came of ``run``, whose step ``last`` has one dict as its output.

    Raises StackError where the stack runs it elsewhere and does not wait for its end.
    """
    if run is None or not run.status.is_finished:
        raise StackError(
            "the run goes on elsewhere: its stack does not wait for the end.",
            "Follow it in ZenML's dashboard: python run.py ui --zenml.",
        )
    cached = tuple(name for name, step in run.steps.items() if step.status.value == "cached")
    ran = tuple(name for name in run.steps if name not in cached)
    output = run.steps[last].output.load()
    return Finished(run.name, output, cached, ran)
