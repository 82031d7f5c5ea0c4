"""Addresses of registered models, as MLflow writes them: ``models:/NAME@ALIAS`` and
``models:/NAME/VERSION``."""

import re
from pathlib import Path

from lifecycle.errors import ConfigError, RegistryError
from lifecycle.tracking import Tracker

SCHEME = "models:/"
_ADDRESS = re.compile(r"models:/(?P<name>[\w-]+)(?:@(?P<alias>[\w-]+)|/(?P<number>\d+))")


def bundle_at(address: str, tracker: Tracker) -> Path:
    """The bundle of the registered model at ``address``.

    Raises ConfigError where it is no address, and RegistryError where nothing is registered there.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ConfigError(
            f"{address!r} is no address of a registered model.",
            "Write models:/NAME@champion or models:/NAME/3.",
        )
    name, alias = found["name"], found["alias"]
    if found["number"]:
        return tracker.bundle_path(tracker.version(name, int(found["number"])))
    tracker.versions(name)  # an unknown name gets its own error
    version = tracker.aliased(name, alias)
    if version is None:
        raise RegistryError(
            f"no version of {name} is its {alias}.", f"See them: python run.py models {name}."
        )
    return tracker.bundle_path(version)
