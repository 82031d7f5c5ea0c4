"""The state folder: everything the project keeps, under one root.

``.state`` in the working folder by default, ``MLOPS_HOME`` to move it. Deleting it is a full
reset. Asking for a path creates nothing; whoever writes creates what it needs.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class State:
    """Where each kind of state lies below ``root`` (an absolute path)."""

    root: Path

    @classmethod
    def from_env(cls) -> "State":
        return cls(Path(os.environ.get("MLOPS_HOME") or ".state").expanduser().resolve())

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def receipts(self) -> Path:
        """Which files of bundles were hashed already; see ``lifecycle.hashing``."""
        return self.cache / "verified"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def mlflow_db(self) -> Path:
        return self.root / "mlflow" / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.root / "mlflow" / "artifacts"

    @property
    def zenml(self) -> Path:
        return self.root / "zenml"

    @property
    def keys(self) -> Path:
        """API keys of services, hashed; see ``lifecycle.keys``."""
        return self.root / "keys.json"

    @property
    def requests(self) -> Path:
        """What services were asked; see ``lifecycle.requests``."""
        return self.root / "requests"

    @property
    def log(self) -> Path:
        return self.root / "run.log"
