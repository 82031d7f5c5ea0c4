"""`run.py serve`: the champion over HTTP."""

import argparse
from pathlib import Path
from typing import Any

from cli.output import say
from lifecycle.bundle import Bundle, open_bundle
from lifecycle.config import build, parse_override, set_path
from lifecycle.errors import RegistryError
from lifecycle.registry import Version
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State
from lifecycle.tracking import Tracker
from services.settings import ServiceSettings
from services.start import admitted, planned, replace_process
from services.workers import Plan


def main(options: argparse.Namespace) -> int:
    state = State.from_env()
    tracker = tracker_of(load_stack(options.stack, state), state)
    version = version_of(tracker, options)
    bundle = open_bundle(Path(tracker.bundle_path(version)), state.receipts)
    found = planned(bundle, options.gpus, options.workers)
    settings = admitted(_settings(options, state, tracker, found))
    _announce(settings, version, bundle, found)
    replace_process(settings)


def version_of(tracker: Tracker, options: argparse.Namespace) -> Version:
    if options.version is not None:
        return tracker.version(options.name, options.version)
    tracker.versions(options.name)  # an unknown name gets its own error
    champion = tracker.champion(options.name)
    if champion is None:
        raise RegistryError(
            f"{options.name} has no champion.",
            f"Promote a version: python run.py models {options.name}.",
        )
    return champion


def _settings(
    options: argparse.Namespace, state: State, tracker: Tracker, found: Plan
) -> ServiceSettings:
    tree: dict[str, Any] = {
        "name": options.name,
        "version": options.version,
        "tracking_uri": tracker.uri,
        "state": str(state.root),
        "host": options.host,
        "port": options.port,
        "insecure": options.insecure,
        "workers": found.workers,
        "threads": found.threads,
        "waiting": found.waiting,
        "device": found.device,
        "gpus": found.gpus,
    }
    for override in options.set:
        key, value = parse_override(override)
        set_path(tree, ServiceSettings, key, value)
    return build(ServiceSettings, tree, "serve")


def _announce(settings: ServiceSettings, version: Version, bundle: Bundle, found: Plan) -> None:
    follows = "" if settings.version else ", and whichever is the champion after it"
    say(f"{version.name} version {version.number}{follows}")
    say(f"  address       {settings.address} (page at /, API at /docs)")
    say(f"  data version  {bundle.manifest.data_version}")
    say(f"  device        {found.said}")
    say(f"  workers       {settings.workers}, {settings.threads} threads each")
    say(f"  requests      {settings.folders().requests}")
    say("Ctrl+C lets running requests finish and stops it.")
