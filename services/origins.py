"""Where a service gets its model: the registry, or a folder."""

from pathlib import Path
from typing import Any

from lifecycle.bundle import read_manifest
from lifecycle.predictors import load
from lifecycle.registry import Version
from lifecycle.tracking import Tracker
from services.served import Model, Origin
from services.settings import ServiceSettings


class Registered:
    """The champion of a registered model, or one of its versions; see ``services.served.Origin``.

    ``receipts``: as for ``lifecycle.bundle.open_bundle``.
    """

    def __init__(
        self, tracker: Tracker, name: str, version: int | None, device: str, receipts: Path
    ) -> None:
        self.tracker, self.name, self.version = tracker, name, version
        self.device, self.receipts = device, receipts

    def wanted(self) -> Model | None:
        if self.version is not None:
            return model_of(self.tracker.version(self.name, self.version))
        champion = self.tracker.champion(self.name)
        return model_of(champion) if champion else None

    def load(self, model: Model) -> Any:
        version = self.tracker.version(self.name, model.version)
        return load(self.tracker.bundle_path(version), self.device, self.receipts)


class Folder:
    """A bundle in a folder, which never changes."""

    def __init__(self, path: Path, device: str) -> None:
        self.path, self.device = path, device

    def wanted(self) -> Model | None:
        manifest = read_manifest(self.path)
        return Model(manifest.name, 0, manifest.data_version)

    def load(self, model: Model) -> Any:
        return load(self.path, self.device)


def model_of(version: Version) -> Model:
    return Model(version.name, version.number, version.tags.get("data_version", ""))


def origin_of(settings: ServiceSettings, device: str) -> Origin:
    if settings.bundle:
        return Folder(Path(settings.bundle), device)
    state = settings.folders()
    tracker = Tracker(settings.tracking_uri, state.mlflow_artifacts)
    return Registered(tracker, settings.name, settings.version, device, state.receipts)
