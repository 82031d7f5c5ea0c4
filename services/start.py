"""From settings to running processes: everything that can be wrong is found before they start.

BentoML starts a worker that fails again and again, so a bundle, a port or a GPU that is not there
has to be refused here.
"""

import ipaddress
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from lifecycle.bundle import Bundle
from lifecycle.errors import UsageError
from lifecycle.fingerprint import ROOT
from lifecycle.keys import key_ring
from lifecycle.resources import Resources
from services.guard.headers import LOOPBACK
from services.settings import ServiceSettings
from services.workers import Plan, plan, thread_environment

WAITING = 32
IMPORT = "services.service:Models"
LOCAL = ("127.0.0.1", "::1")


def planned(bundle: Bundle, gpus: str | None, workers: int) -> Plan:
    """Processes for ``bundle``; ``gpus`` (auto or a number) instead of what it was made with.

    Raises ConfigError where GPUs are demanded and missing, UsageError for no number.
    """
    resources = Resources.model_validate(bundle.manifest.resources)
    if gpus is not None:
        if gpus != "auto" and not gpus.isdigit():
            raise UsageError(f"--gpus {gpus!r} is no number.", "Write auto, 0, 1, ….")
        wanted = gpus if gpus == "auto" else int(gpus)
        resources = resources.model_copy(update={"gpus": wanted})
    if bundle.manifest.kind == "classic" and resources.gpus == "auto":
        resources = resources.model_copy(update={"gpus": 0})  # these models use none
    generation = bundle.manifest.settings.get("generation", {})
    elsewhere = generation.get("provider") == "openai"
    return replace(plan(resources, workers), waiting=WAITING if elsewhere else 0)


def admitted(settings: ServiceSettings) -> ServiceSettings:
    """``settings`` that say whether keys are asked for, and the host names that it answers for.

    Raises UsageError for what is no address, for one that others can reach, without keys or
    ``insecure``, and for a port that is taken.
    """
    settings = settings.model_copy(update={"host": _address(settings.host)})
    asks = not settings.insecure and len(key_ring(settings.folders())) > 0
    local = settings.host in LOCAL
    if not (local or asks or settings.insecure):
        raise UsageError(
            f"others can reach {settings.host}, and there are no API keys.",
            "Make one: python run.py keys add NAME. Or let everybody in: --insecure.",
        )
    _check_port(settings.host, settings.port)
    hosts = LOOPBACK if local and not asks and not settings.hosts else settings.hosts
    return settings.model_copy(update={"keys": asks, "hosts": hosts})


def environment(settings: ServiceSettings, given: Mapping[str, str]) -> dict[str, str]:
    """The variables of the processes. BentoML empties the folder of its metrics when it starts, so
    every service has its own."""
    home = settings.folders().root / "serve" / str(settings.port)
    return {
        **given,
        **thread_environment(settings.threads),
        **settings.in_environment(),
        "BENTOML_HOME": str(home),
        "MLOPS_HOME": str(settings.folders().root),
    }


def replace_process(settings: ServiceSettings) -> NoReturn:
    """Become BentoML's server: signals reach it as they are."""
    words = ["-m", "bentoml", "serve", IMPORT, "--working-dir", str(ROOT)]
    words += ["--host", settings.host, "--port", str(settings.port)]
    given = environment(settings, os.environ)
    os.makedirs(given["BENTOML_HOME"], exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *words], given)


def _address(host: str) -> str:
    """``host`` as BentoML takes it: an address, no name."""
    if host == "localhost":
        return LOCAL[0]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError as error:
        raise UsageError(
            f"--host {host!r} is no IP address.", "Use 127.0.0.1, or 0.0.0.0 for all of them."
        ) from error


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"cannot listen on {host}, port {port}: {error.strerror}.", "Take another: --port."
            ) from error
