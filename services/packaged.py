"""A service in a Bento: it lies beside its bundle, and knows no registry.

``service.json`` says which model it is; ``MLOPS_SERVICE`` may say more, or otherwise:
``{"insecure": true, "limits": {"rows": 10}}``. Workers, threads and device are those of the machine
that it runs on. It cannot know which address BentoML listens on, so it asks for API keys unless
``insecure`` is set.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lifecycle.bundle import Bundle, open_bundle, read_manifest
from lifecycle.config import build
from lifecycle.errors import ConfigError, MLOpsError, StorageError, UsageError
from lifecycle.keys import VARIABLE as KEYS
from lifecycle.keys import key_ring
from services.guard.headers import LOOPBACK
from services.settings import VARIABLE, ServiceSettings
from services.start import LOCAL, planned
from services.workers import thread_environment

FILE, BUNDLE = "service.json", "bundle"
STATE = "~/.mlops"
PLANNED = frozenset({"workers", "threads", "waiting", "device", "gpus"})
# Libraries that would send something, or talk, if nobody told them.
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "LANGSMITH_TRACING": "false",
    "ORT_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}


def told(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for the processes of the Bento whose files lie in ``folder``.

    Raises ConfigError for settings that do not fit, and where GPUs are demanded and missing.
    """
    given = _given(environment)
    own: dict[str, Any] = json.loads((folder / FILE).read_text("utf-8"))
    home = environment.get("MLOPS_HOME") or f"{STATE}/{own['name']}"
    tree = own | {"bundle": str(folder / BUNDLE), "state": _absolute(home)} | given
    settings = build(ServiceSettings, tree, VARIABLE)
    if not given.keys() >= PLANNED:  # else a process before this one has planned
        settings = _planned(settings, given)
    if settings.insecure and settings.host in LOCAL and not settings.hosts:
        settings = settings.model_copy(update={"hosts": LOOPBACK})
    quiet = {name: environment.get(name, value) for name, value in QUIET.items()}
    return {**quiet, **thread_environment(settings.threads), **settings.in_environment()}


def admit(settings: ServiceSettings) -> None:
    """Raises what keeps the Bento from serving: a damaged bundle (BundleError), no API keys
    (UsageError), a state folder that cannot be written (StorageError)."""
    open_bundle(Path(settings.bundle))
    state = settings.folders()
    if settings.keys and not settings.insecure and not len(key_ring(state)):
        raise UsageError(
            f"there are no API keys: neither in {KEYS} nor in {state.keys}.",
            f"Make one: python run.py keys add NAME. Or let everybody in: "
            f"{VARIABLE}='{{\"insecure\": true}}'.",
        )
    try:
        state.root.mkdir(parents=True, exist_ok=True)
        writable = os.access(state.root, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise StorageError(f"cannot write to {state.root}.", "Choose another with MLOPS_HOME.")


@contextmanager
def translated() -> Iterator[None]:
    """Errors as BentoML prints them: one line, and it ends."""
    from bentoml.exceptions import BentoMLException

    try:
        yield
    except MLOpsError as error:
        raise BentoMLException(str(error)) from error


def _planned(settings: ServiceSettings, given: Mapping[str, Any]) -> ServiceSettings:
    path = Path(settings.bundle)
    gpus = "0" if given.get("device") == "cpu" else None
    workers = settings.workers if "workers" in given else 0
    plan = planned(Bundle(path, read_manifest(path)), gpus, workers)
    found = {name: getattr(plan, name) for name in PLANNED - given.keys()}
    return settings.model_copy(update=found)


def _given(environment: Mapping[str, str]) -> dict[str, Any]:
    try:
        given = json.loads(environment.get(VARIABLE) or "{}")
    except ValueError as error:
        raise ConfigError(f"{VARIABLE} is no JSON: {error}.") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{VARIABLE} is no JSON object.")
    return given


def _absolute(home: str) -> str:
    path = Path(home).expanduser()
    if not path.is_absolute():
        raise ConfigError(
            f"MLOPS_HOME={home} is not absolute.", "BentoML changes folders: write the whole path."
        )
    return str(path)
