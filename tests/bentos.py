"""Bentos in tests, served where this project cannot be read."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from classic.tabular.config import Training
from classic.tabular.settings import Kind, Learning, Problem, Tuning
from classic.tabular.stages.split import TRAIN
from classic.tabular.stages.tables import write
from classic.tabular.stages.train import train
from lifecycle.atomic import write_text
from lifecycle.fingerprint import ROOT
from lifecycle.resources import Resources
from lifecycle.stages import VERSION
from services.bento import Bento, store
from tests.serving import Running, free_port, started
from tests.tabular_contract import schema, table

KEY = "k" * 40
WITH_KEY = {"authorization": f"Bearer {KEY}"}

# Run by Python before anything else: files of the project cannot be opened, and packages that the
# Bento does not name cannot be imported.
_HIDDEN = """\
import os, sys
ROOT, KEPT, BARRED = {root!r}, {kept!r}, frozenset({barred!r})

class Missing:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in BARRED:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

def hide(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        path = os.path.abspath(arguments[0])
        if path.startswith(ROOT) and not path.startswith(KEPT):
            raise PermissionError(f"{{path}} is hidden")

sys.meta_path.insert(0, Missing)
sys.addaudithook(hide)
"""


def rows_bundle(folder: Path, problem: Problem, kind: Kind) -> Path:
    """A model of rows, exported: see ``tests.tabular_contract``."""
    for name in ("version", "parts", "work"):
        (folder / name).mkdir(parents=True)
    write_text(folder / "version" / VERSION, json.dumps({"id": "rows-1"}))
    write(table(problem, 400, 1), schema(problem), folder / "parts" / TRAIN)
    learning = Learning(candidates=(kind,), tuning=Tuning(trials=1, folds=2))
    chosen = Training(
        name="rows",
        use_case="rows",
        problem=problem,
        learning=learning,
        export=True,
        resources=Resources(),
    )
    parts = folder / "parts", folder / "version"
    train(*parts, schema(problem), chosen, folder / "bundle", folder / "work")
    return folder / "bundle"


def hide(folder: Path, bento: Bento) -> dict[str, str]:
    """Variables under which Python sees nothing but the Bento and the packages that it names."""
    names = packages_distributions()
    pinned = set(bento.requirements)
    barred = sorted(
        module
        for module, by in names.items()
        if not {canonicalize_name(one) for one in by} & pinned
    )
    kept = tuple({sys.prefix, sys.base_prefix, str(folder), str(store())})
    script = _HIDDEN.format(root=str(ROOT), kept=kept, barred=barred)
    write_text(folder / "site" / "sitecustomize.py", script)
    return {"PYTHONPATH": str(folder / "site")}


def hidden_python(code: str, environment: dict[str, str], folder: Path) -> str:
    """What Python writes to standard error when it runs ``code`` so."""
    command = [sys.executable, "-c", code]
    found = {**environment, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, env=found, cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stderr


@contextmanager
def bento_running(
    bento: Bento, folder: Path, given: dict[str, str], python: Path = Path(sys.executable)
) -> Iterator[Running]:
    """The Bento served from ``folder`` by ``python``, with these variables and hardly others."""
    port = free_port()
    command = [str(python), "-m", "bentoml", "serve", "--do-not-track", str(bento.path)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "MLOPS_HOME": str(folder / "state"),
        "BENTOML_HOME": str(folder / "bentoml"),
        "MLOPS_API_KEYS": f"app:predict+feedback:{KEY}",
        **given,
    }
    with started(command, port, environment, folder / "log", folder) as found:
        yield found
