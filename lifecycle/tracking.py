"""MLflow: runs, the model registry and its aliases.

The registry is the single truth about what is served: alias ``champion`` names the served version,
``challenger`` one that passed its gate and waits. Where each version came from stands in its tags.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from lifecycle import registry, usecases
from lifecycle.errors import BundleError, RegistryError, StorageError, did_you_mean
from lifecycle.fingerprint import PACKAGES, ROOT
from lifecycle.registry import CHAMPION, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion


@dataclass(frozen=True)
class Run:
    """What one run leaves in MLflow. ``files`` maps artifact folders to the files put there."""

    experiment: str
    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    files: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """A run as MLflow keeps it; ``started_ms`` since 1970 UTC."""

    id: str
    name: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    started_ms: int


class Tracker:
    """MLflow at ``uri``. ``artifacts`` is where a store without a server keeps its files."""

    def __init__(self, uri: str, artifacts: Path) -> None:
        self.uri = uri
        self.artifacts = artifacts
        self._database = _sqlite_file(uri)

    @cached_property
    def _client(self) -> "MlflowClient":
        import mlflow

        if self._database is not None:
            self._database.parent.mkdir(parents=True, exist_ok=True)
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        with mlflow_errors():
            return mlflow.MlflowClient(self.uri, self.uri)

    def log_run(self, run: Run) -> str:
        """Write a finished MLflow run; returns its id."""
        from mlflow.entities import Metric, Param, RunTag

        with mlflow_errors():
            experiment = self.experiment(run.experiment)
            created = self._client.create_run(experiment, run_name=run.name)
            run_id = str(created.info.run_id)
            self._client.log_batch(
                run_id,
                metrics=[Metric(metric_name(k), v, _now_ms(), 0) for k, v in run.metrics.items()],
                params=[Param(k, str(v)[:6000]) for k, v in run.params.items()],
                tags=[RunTag(k, v) for k, v in run.tags.items()],
            )
            for path, folder in run.files.items():
                self._client.log_artifact(run_id, str(path), folder or None)
            self._client.set_terminated(run_id)
        return run_id

    def experiment(self, name: str) -> str:
        """The id of experiment ``name``, which is made where there is none."""
        with mlflow_errors():
            found = self._client.get_experiment_by_name(name)
            if found is not None:
                return str(found.experiment_id)
            location = (self.artifacts / name).as_uri() if _sqlite_file(self.uri) else None
            return str(self._client.create_experiment(name, artifact_location=location))

    def log_table(self, run_id: str, frame: Any, name: str) -> None:
        """Log a DataFrame as a table that the MLflow UI shows and compares."""
        with mlflow_errors():
            self._client.log_table(run_id, frame, name)

    def register(
        self, name: str, bundle: Path, run_id: str, tags: Mapping[str, str], requirements: list[str]
    ) -> Version:
        """Log the bundle at ``bundle`` as an MLflow model of run ``run_id`` and register it.

        The version appears only once all of the bundle's files are stored.
        """
        import mlflow

        with mlflow_errors(), _quiet():
            # A run is only gone on with in its own experiment, and another may have been set.
            run = self._client.get_run(run_id)
            mlflow.set_experiment(experiment_id=run.info.experiment_id)
            with mlflow.start_run(run_id=run_id):
                info = mlflow.pyfunc.log_model(
                    name=name,
                    python_model=str(ROOT / "lifecycle" / "pyfunc_model.py"),
                    artifacts={"bundle": str(bundle)},
                    code_paths=[str(ROOT / p) for p in PACKAGES if (ROOT / p).is_dir()],
                    pip_requirements=requirements,
                )
            self._ensure_model(name)
            made = self._client.create_model_version(
                name, info.model_uri, run_id, tags=dict(tags), model_id=info.model_id
            )
        return self.version(name, int(made.version))

    def names(self) -> list[str]:
        """Every registered model, sorted."""
        known = registry.names(self._database)
        if known is not None:
            return known
        found: list[str] = []
        token = None
        with mlflow_errors():
            while token is None or token:
                page = self._client.search_registered_models(page_token=token)
                found += [model.name for model in page]
                token = page.token or ""
        return sorted(found)

    def versions(self, name: str) -> list[Version]:
        """Versions of ``name``, oldest first. Raises RegistryError for an unknown name."""
        known = self.names()
        if name not in known:
            remedy = _training(name) or did_you_mean(name, known) or _training("handbook")
            raise RegistryError(f"no model named {name!r} is registered.", remedy)
        read = registry.versions(self._database, name)
        if read is not None:
            return read
        with mlflow_errors():
            found = self._client.search_model_versions(f"name='{name}'")
            aliases = self._client.get_registered_model(name).aliases
        return sorted((_version(v, aliases) for v in found), key=lambda v: v.number)

    def version(self, name: str, number: int) -> Version:
        """One version. Raises RegistryError naming the versions there are."""
        versions = {version.number: version for version in self.versions(name)}
        if number not in versions:
            there = ", ".join(map(str, versions)) or "none"
            raise RegistryError(f"{name} has no version {number}.", f"Versions: {there}.")
        return versions[number]

    def champion(self, name: str) -> Version | None:
        """The served version, or None where there is none (or no such model)."""
        return self.aliased(name, CHAMPION)

    def aliased(self, name: str, alias: str) -> Version | None:
        if name not in self.names():
            return None
        return next((v for v in self.versions(name) if alias in v.aliases), None)

    def set_alias(self, name: str, alias: str, number: int) -> None:
        with mlflow_errors():
            self._client.set_registered_model_alias(name, alias, str(number))

    def delete_alias(self, name: str, alias: str) -> None:
        with mlflow_errors():
            self._client.delete_registered_model_alias(name, alias)

    def tag_version(self, name: str, number: int, key: str, value: str) -> None:
        with mlflow_errors():
            self._client.set_model_version_tag(name, str(number), key, value)

    def model_tags(self, name: str) -> dict[str, str]:
        """Tags of the registered model itself."""
        with mlflow_errors():
            return dict(self._client.get_registered_model(name).tags)

    def tag_model(self, name: str, key: str, value: str) -> None:
        with mlflow_errors():
            self._client.set_registered_model_tag(name, key, value)

    def bundle_path(self, version: Version) -> Path:
        """The version's bundle as a local folder, downloaded where the store is remote."""
        source = self._location(version)
        parsed = urlparse(source)
        local = parsed.scheme in ("", "file")
        folder = Path(unquote(parsed.path)) if local else self._download(source)
        stored = [path for path in (folder / "artifacts").glob("*") if path.is_dir()]
        if len(stored) != 1:
            raise BundleError(
                f"{version.name} version {version.number} has no bundle in {folder}.",
                "Its files were removed; promote another version or run the pipeline again.",
            )
        return stored[0]

    def _location(self, version: Version) -> str:
        found = registry.location(self._database, version)
        if found is not None:
            return found
        with mlflow_errors():
            name, number = version.name, str(version.number)
            return str(self._client.get_model_version_download_uri(name, number))

    def _download(self, source: str) -> Path:
        import mlflow

        with mlflow_errors(), _quiet():
            return Path(mlflow.artifacts.download_artifacts(source))

    def runs(self, experiment: str) -> list[RunRecord]:
        """Every finished run of an experiment, the newest first; none for one that is unknown."""
        from mlflow.entities import ViewType

        found: list[RunRecord] = []
        token: str | None = None
        with mlflow_errors():
            known = self._client.get_experiment_by_name(experiment)
            while known is not None and token != "":
                page = self._client.search_runs(
                    [known.experiment_id], "", ViewType.ACTIVE_ONLY, page_token=token
                )
                found += [
                    RunRecord(
                        run.info.run_id,
                        run.info.run_name or "",
                        dict(run.data.tags),
                        dict(run.data.metrics),
                        int(run.info.start_time),
                    )
                    for run in page
                ]
                token = page.token or ""
        return found

    def run_metrics(self, run_id: str) -> dict[str, float]:
        with mlflow_errors():
            return dict(self._client.get_run(run_id).data.metrics)

    def _ensure_model(self, name: str) -> None:
        if name not in self.names():
            self._client.create_registered_model(name)


def _training(name: str) -> str:
    """How a model of the use case ``name`` is trained; empty where there is no such use case."""
    if name not in usecases.known():
        return ""
    pipeline = min(path.stem for path in usecases.find(name).pipelines())
    return f"Train one: python run.py --pipeline {pipeline} --use-case {name}."


def metric_name(name: str) -> str:
    """``hybrid.ndcg@10`` as MLflow takes it (no ``@`` in names): ``hybrid.ndcg_at_10``."""
    return name.replace("@", "_at_")


def _version(found: "MlflowVersion", aliases: Mapping[str, str]) -> Version:
    return Version(
        name=found.name,
        number=int(found.version),
        run_id=found.run_id or "",
        tags=dict(found.tags),
        aliases=tuple(
            sorted(a for a, number in aliases.items() if str(number) == str(found.version))
        ),
        created_ms=int(found.creation_timestamp),
    )


def _sqlite_file(uri: str) -> Path | None:
    path = uri.partition("?")[0]
    return Path(path.removeprefix("sqlite:///")) if path.startswith("sqlite:///") else None


def _now_ms() -> int:
    import time

    return int(time.time() * 1000)


@contextlib.contextmanager
def mlflow_errors() -> Iterator[None]:
    """Translate MLflow's and its database's errors into ours."""
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise RegistryError(f"MLflow: {error.message}.") from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise StorageError(f"MLflow's database failed: {error.__cause__ or error}.") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's advice for notebooks off the screen while a model is logged or loaded."""
    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
