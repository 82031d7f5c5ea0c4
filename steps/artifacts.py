"""Folders as ZenML artifacts: stored file by file, hashed by content, never packed up."""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from zenml.enums import ArtifactType
from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer

from lifecycle.atomic import TEMPORARY, sweep
from lifecycle.bundle import hash_files, link_or_copy
from lifecycle.state import State

_FILES = "files.json"


@dataclass(frozen=True)
class Folder:
    """A folder that a step hands to the next. It must not change once it is handed on."""

    path: Path


class FolderMaterializer(BaseMaterializer):
    """Keeps a ``Folder`` in the artifact store.

    On a local store files are hard-linked in and read in place, so that an index of gigabytes
    costs nothing to pass on; on a remote one they are copied. The content hash covers names and
    bytes, so a step that makes the same folder again leaves the steps behind it cached.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (Folder,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def save(self, data: Folder) -> None:
        names = sorted(hash_files(data.path, skip=()))
        for name in names:
            self._put(data.path / name, f"{self.uri}/data/{name}")
        with self.artifact_store.open(f"{self.uri}/{_FILES}", "w") as file:
            file.write(json.dumps(names))

    def load(self, data_type: type[Any]) -> Folder:
        local = Path(self.uri) / "data"
        if local.is_dir():
            return Folder(local)
        folder = Path(tempfile.mkdtemp(prefix="mlops-artifact-"))
        with self.artifact_store.open(f"{self.uri}/{_FILES}", "r") as file:
            names = json.loads(file.read())
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            fileio.copy(f"{self.uri}/data/{name}", str(folder / name))
        return Folder(folder)

    def compute_content_hash(self, data: Folder) -> str:
        return hashlib.sha256(
            json.dumps(hash_files(data.path, skip=()), sort_keys=True).encode()
        ).hexdigest()

    def _put(self, source: Path, dest: str) -> None:
        if Path(self.uri).is_absolute():
            link_or_copy(source, Path(dest))
        else:
            fileio.makedirs(dest.rpartition("/")[0])
            fileio.copy(str(source), dest)


def new_folder(step: str) -> Path:
    """An empty folder for a step's output, on the file system of the state folder."""
    work = _work()
    work.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=work, prefix=f"{step}-"))


def clear_work() -> None:
    """Drop what this process's steps wrote (finished artifacts are linked from the artifact store
    by now), and what killed processes left a day ago."""
    shutil.rmtree(_work(), ignore_errors=True)
    sweep(State.from_env().work)


def _work() -> Path:
    return State.from_env().work / f"{TEMPORARY}{os.getpid()}"
