"""From a bundle to something that answers, whatever its kind."""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from lifecycle.bundle import Kind, read_manifest


class Predictor(Protocol):
    """What a method package's ``predictor.load(path, device, receipts)`` returns."""

    def predict(self, rows: list[Any]) -> list[dict[str, Any]]:
        """One JSON-ready answer for each row, in order. Raises InputError for a row it cannot."""


def load(path: Path, device: str = "", receipts: Path | None = None) -> Predictor:
    """Load the bundle at ``path``, checked as ``open_bundle`` does. Raises BundleError.

    Without a ``device`` the bundle's resources and the machine decide.
    """
    module = method_module(read_manifest(path).kind, "predictor")
    return cast(Predictor, module.load(path, device, receipts))


def method_module(kind: Kind, name: str) -> Any:
    """Module ``name`` of the method package ``kind``.

    By name, because this package knows that the three exist but imports none of them.
    """
    return import_module(f"{kind}.{name}")
