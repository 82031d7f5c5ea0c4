"""A Bento of a bundle: the code that answers from it, its files, and pinned requirements.

BentoML builds it in a process of its own from a folder that holds nothing else, so a module that
was left out is missed now and not where the Bento runs.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lifecycle.atomic import write_text
from lifecycle.bundle import MANIFEST, Bundle, link_or_copy
from lifecycle.closure import closure
from lifecycle.errors import ConfigError, MLOpsError
from lifecycle.fingerprint import ROOT, dependencies
from lifecycle.predictors import method_module
from services.packaged import BUNDLE, FILE, QUIET
from services.settings import VARIABLE

ENTRY = "services.entry"
SERVICE_NEEDS = ["bentoml", "filelock", "numpy", "orjson", "prometheus-client", "pyarrow"]
SERVICE_NEEDS += ["pydantic", "PyYAML"]
# What the wheels of a package take from the system.
SYSTEM = {"lightgbm": "libgomp1"}
# Building imports the service, whatever GPUs it will ask for.
_BUILDING = {"device": "cpu"}


@dataclass(frozen=True)
class Bento:
    """A Bento in BentoML's store; ``requirements``: version by package."""

    tag: str
    path: Path
    requirements: dict[str, str]

    @property
    def dockerfile(self) -> Path:
        return self.path / "env" / "docker" / "Dockerfile"


def package(bundle: Bundle, version: int, work: Path) -> Bento:
    """Build the Bento of ``bundle``, which is ``version`` of its model, by way of the folder
    ``work``. Equal parts have an equal tag, and are built once.

    Raises MLOpsError where BentoML cannot, ConfigError where the bundle is not whole.
    """
    requirements = requirements_of(bundle)
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bento-", dir=work) as name:
        folder = Path(name)
        stage(bundle, version, requirements, folder)
        tag = f"{bundle.manifest.name.lower()}:{version}-{_digest(folder)}"
        bento = Bento(tag, store() / "bentos" / tag.replace(":", "/"), requirements)
        if not (bento.path / "bento.yaml").is_file():
            _build(folder, tag)
    return bento


def store() -> Path:
    """Where BentoML keeps Bentos."""
    return Path(os.environ.get("BENTOML_HOME") or "~/bentoml").expanduser().resolve()


def requirements_of(bundle: Bundle) -> dict[str, str]:
    """Everything that the service of ``bundle`` needs, pinned as it is installed here.

    Raises ConfigError for what is not installed.
    """
    needs = [*method_module(bundle.manifest.kind, "needs").needs(bundle), *SERVICE_NEEDS]
    missing = [name for name in needs if not closure([name])]
    if missing:
        raise ConfigError(
            f"{bundle.manifest.name} needs {missing[0]}, which is not installed here.",
            f"Install it: pip install {missing[0]}.",
        )
    return closure(needs)


def code_of(kind: str) -> list[str]:
    """The files of this project that a service of ``kind`` imports, and those that it sends."""
    modules = [ENTRY, f"{kind}.predictor"]
    page = (ROOT / "services" / "page").iterdir()
    files = [str(path.relative_to(ROOT)) for path in page if path.is_file()]
    return sorted([*dependencies(modules, {"lifecycle", "services", kind}), *files])


def stage(bundle: Bundle, version: int, requirements: dict[str, str], folder: Path) -> None:
    """Put all that the Bento is made of into ``folder``."""
    manifest = bundle.manifest
    for name in code_of(manifest.kind):
        link_or_copy(ROOT / name, folder / name)
    for name in (MANIFEST, *manifest.files):
        link_or_copy(bundle.path / name, folder / BUNDLE / name)
    write_text(folder / FILE, json.dumps({"name": manifest.name, "version": version}))
    recipe = _recipe(bundle, version, requirements)
    write_text(folder / "bentofile.yaml", yaml.safe_dump(recipe, sort_keys=False))


def _recipe(bundle: Bundle, version: int, requirements: dict[str, str]) -> dict[str, Any]:
    """``bentofile.yaml``. BentoML adds itself to the packages."""
    manifest = bundle.manifest
    pins = [f"{name}=={one}" for name, one in requirements.items() if name != "bentoml"]
    system = sorted({SYSTEM[name] for name in requirements if name in SYSTEM})
    return {
        "service": f"{ENTRY}:SERVICE",
        "name": manifest.name.lower(),
        "description": _about(bundle, version),
        "labels": _labels(bundle, version),
        "include": ["*"],
        "python": {"packages": pins, "lock_packages": False},
        "docker": {
            "python_version": f"{sys.version_info.major}.{sys.version_info.minor}",
            "system_packages": system,
        },
        "envs": [{"name": name, "value": value} for name, value in QUIET.items()],
    }


def _labels(bundle: Bundle, version: int) -> dict[str, str]:
    manifest = bundle.manifest
    return {
        "model": manifest.name,
        "model_version": str(version),
        "data_version": manifest.data_version,
        "bundle": manifest.bundle_id,
        "code_commit": str(manifest.code_version.get("commit", "")),
        "use_case": manifest.use_case,
    }


def _about(bundle: Bundle, version: int) -> str:
    rows = (f"- {name}: {value}" for name, value in _labels(bundle, version).items())
    return "\n".join([f"# {bundle.manifest.name} version {version}", "", *rows, ""])


def _digest(folder: Path) -> str:
    """Of everything but the bundle, which its id stands for."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] != BUNDLE:
            digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def _build(folder: Path, tag: str) -> None:
    command = [sys.executable, "-m", "bentoml", "build", str(folder)]
    command += ["--version", tag.partition(":")[2]]
    told = {VARIABLE: json.dumps(_BUILDING), "MLOPS_HOME": str(folder)}
    environment = {**os.environ, **QUIET, **told, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it did not say why."]
        raise MLOpsError(f"BentoML could not build {tag}: {lines[-1][:300]}")
