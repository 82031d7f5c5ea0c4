"""Bundles: what a pipeline produces and everything else consumes.

A bundle is a folder of weights in safe formats with a ``manifest.json`` that names where they came
from and the SHA-256 of every file. It is written whole or not at all, never changed, and refused
on load where a file does not match.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lifecycle.atomic import directory, write_text
from lifecycle.config import Frozen
from lifecycle.errors import BundleError
from lifecycle.hashing import REBUILD, digests

MANIFEST = "manifest.json"
FORMAT = 1
Kind = Literal["rag", "classic", "deep"]


class Manifest(Frozen):
    """What a bundle says of itself.

    ``kind`` names the method package whose ``predictor`` module loads it. ``metrics`` and ``gate``
    are empty until the bundle is sealed, after evaluation.
    """

    format: int = FORMAT
    name: str
    kind: Kind
    use_case: str
    bundle_id: str = ""
    data_version: str
    code_version: dict[str, str | bool]
    libraries: dict[str, str] = {}
    inputs: dict[str, str] = {}
    outputs: dict[str, str] = {}
    settings: dict[str, Any] = {}
    resources: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    gate: dict[str, Any] = {}
    files: dict[str, str] = {}


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its folder and its manifest."""

    path: Path
    manifest: Manifest


def write(dest: Path, manifest: Manifest, fill: Callable[[Path], None]) -> Bundle:
    """Make the bundle at ``dest`` from what ``fill`` writes into the folder it is given.

    Sets the manifest's ``files`` and ``bundle_id``; the id covers the files, the settings, the
    data version and the code fingerprint, so an equal build has an equal id.
    """
    with directory(dest) as folder:
        fill(folder)
        files = hash_files(folder)
        sealed = manifest.model_copy(update={"files": files})
        sealed = sealed.model_copy(update={"bundle_id": _identity(sealed)})
        (folder / MANIFEST).write_text(_dump(sealed), encoding="utf-8")
    return Bundle(dest, sealed)


def seal(bundle: Bundle, dest: Path, metrics: Mapping[str, Any], gate: Mapping[str, Any]) -> Bundle:
    """A copy of ``bundle`` at ``dest`` whose manifest holds its metrics and the gate's decision.

    Files are hard-linked where the file system allows.
    """
    manifest = bundle.manifest.model_copy(update={"metrics": dict(metrics), "gate": dict(gate)})
    with directory(dest) as folder:
        for name in manifest.files:
            link_or_copy(bundle.path / name, folder / name)
        write_text(folder / MANIFEST, _dump(manifest))
    return Bundle(dest, manifest)


def open_bundle(path: Path, receipts: Path | None = None, *, renew: bool = False) -> Bundle:
    """The bundle at ``path``. Raises BundleError naming the file that is missing or altered.

    Every file is hashed; with ``receipts``, a folder, only those that changed since they were
    hashed last, unless ``renew``.
    """
    bundle = Bundle(path, read_manifest(path))
    check(bundle, receipts, renew=renew)
    return bundle


def read_manifest(path: Path) -> Manifest:
    """The manifest alone, nothing verified but its form. Raises BundleError."""
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
        tree = json.loads(text)
        manifest = Manifest.model_validate({k: v for k, v in tree.items() if k != "checksum"})
    except FileNotFoundError as error:
        raise BundleError(f"{path} is no bundle: it has no {MANIFEST}.", REBUILD) from error
    except (OSError, ValueError, AttributeError) as error:
        raise BundleError(f"{path / MANIFEST} cannot be read: {_line(error)}.", REBUILD) from error
    if manifest.format != FORMAT:
        raise BundleError(
            f"bundle {path} has format {manifest.format}, this version reads {FORMAT}.", REBUILD
        )
    if text != _dump(manifest):
        raise BundleError(f"{path / MANIFEST} was altered (its checksum does not match).", REBUILD)
    return manifest


def check(bundle: Bundle, receipts: Path | None = None, *, renew: bool = False) -> None:
    """Compare every file with its SHA-256. Raises BundleError for the first that differs.

    ``receipts``, ``renew``: as for ``lifecycle.hashing.digests``.
    """
    expected = bundle.manifest.files
    there = {name for name in _names(bundle.path) if name != MANIFEST}
    for name in expected:
        if name not in there:
            raise BundleError(f"bundle {bundle.path} lacks its file {name}.", REBUILD)
    for name, found in digests(bundle.path, expected, receipts, renew=renew).items():
        if found != expected[name]:
            raise BundleError(
                f"bundle {bundle.path}: {name} was altered (SHA-256 does not match).", REBUILD
            )
    extra = sorted(there - set(expected))
    if extra:
        raise BundleError(f"bundle {bundle.path} holds {extra[0]}, not in its manifest.", REBUILD)


def hash_files(folder: Path, skip: Collection[str] = (MANIFEST,)) -> dict[str, str]:
    """SHA-256 of every file below ``folder`` by relative name, those in ``skip`` left out."""
    return digests(folder, [name for name in _names(folder) if name not in skip])


def link_or_copy(source: Path, dest: Path) -> None:
    """Hard-link a file that never changes, or copy it where links are not possible."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, dest)
    except OSError:
        shutil.copyfile(source, dest)


def _identity(manifest: Manifest) -> str:
    parts = {
        "kind": manifest.kind,
        "files": manifest.files,
        "settings": manifest.settings,
        "data": manifest.data_version,
        "code": manifest.code_version.get("fingerprint", ""),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _dump(manifest: Manifest) -> str:
    """The one text of a manifest: sorted keys, and a checksum over everything else."""
    body = manifest.model_dump()
    checksum = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps(body | {"checksum": checksum}, indent=2, sort_keys=True) + "\n"


def _names(folder: Path) -> Iterable[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
