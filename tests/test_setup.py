"""The set-up itself: requirements and their pins, `make` from nothing, and what CI is told."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Set
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
OURS = ("classic", "cli", "lifecycle", "pipelines", "rag", "services", "steps", "usecases")
CARD = (
    "zenml langchain sentence-transformers faiss-cpu rank-bm25 transformers torch mlflow bentoml"
).split()
PLATFORMS = [
    {"python_version": python, "python_full_version": f"{python}.9", **machine}
    for python in ("3.11", "3.12", "3.13")
    for machine in (
        {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
        {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
        {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
    )
]


def test_the_libraries_that_the_project_is_made_of_are_direct_requirements() -> None:
    assert set(CARD) <= {canonicalize_name(found.name) for found in _requirements(dev=False)}


@pytest.mark.parametrize("environment", PLATFORMS, ids=lambda e: "-".join(list(e.values())[1:3]))
def test_one_pin_fits_each_direct_requirement_on_every_platform(
    environment: dict[str, str],
) -> None:
    pins = _pins(environment)

    for requirement in _requirements(dev=True, environment=environment):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier


def test_everything_that_the_requirements_bring_is_pinned_and_installed_so() -> None:
    pins = _pins({})
    needed = _closure(_requirements(dev=True))

    assert len(needed) > 200
    assert not needed.keys() - pins.keys()
    assert [name for name in needed if needed[name] not in SpecifierSet(f"=={pins[name]}")] == []


def test_pins_leave_the_build_of_torch_and_the_index_to_the_user() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "constraints.txt", "Makefile"):
        assert "://" not in (ROOT / name).read_text()
    assert not any(version.local for version in _pins({}).values())


def test_every_imported_library_is_a_direct_requirement() -> None:
    runtime = {canonicalize_name(found.name) for found in _requirements(dev=False)}
    dev = {canonicalize_name(found.name) for found in _requirements(dev=True)}

    assert _undeclared([ROOT / "run.py", *_sources(*OURS)], runtime) == {}
    assert _undeclared(_sources("tests", "benchmarks"), dev) == {}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Makefile in a project that requires nothing, so that an install takes seconds."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "constraints.txt").write_text("")
    (folder / "requirements.txt").write_text("-c constraints.txt\n")
    (folder / "run.py").write_text("import sys\nprint('ran', *sys.argv[1:])\n")
    return folder


def test_make_installs_once_and_again_when_a_pin_changes(project: Path) -> None:
    first, second = _make(project, "rag"), _make(project, "rag")
    later = (project / ".venv/.requirements.txt").stat().st_mtime + 5
    os.utime(project / "constraints.txt", (later, later))
    third = _make(project, "rag", "ARGS=--set retrieval.k=8")
    os.utime(project / "constraints.txt")

    assert "pip install" in first.stdout
    assert "pip install" not in second.stdout
    assert "pip install" in third.stdout
    assert third.stdout.endswith("ran --pipeline rag --set retrieval.k=8\n")


def test_make_starts_from_nothing_after_an_install_that_was_cut_short(project: Path) -> None:
    _make(project, "rag")
    half_written = project / ".venv/lib/half_written.py"
    half_written.touch()
    (project / ".venv/.unfinished").touch()
    (project / ".venv/.requirements.txt").unlink()

    done = _make(project, "rag")

    assert done.returncode == 0
    assert not half_written.exists()
    assert not (project / ".venv/.unfinished").exists()


def test_make_leaves_an_install_alone_that_is_under_way(project: Path) -> None:
    _make(project, "rag")
    unfinished = project / ".venv/.unfinished"
    unfinished.write_text(f"{os.getpid()}\n")
    (project / ".venv/.requirements.txt").unlink()

    done = _make(project, "rag")
    unfinished.unlink()

    assert done.returncode != 0
    assert f"Process {os.getpid()} is installing into .venv" in done.stderr
    assert (project / ".venv/bin/python").exists()


def test_make_asks_for_a_newer_python_by_name(project: Path) -> None:
    old = project / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)

    done = _make(project, "rag", f"PYTHON={old}", "VENV=.venv-old")

    assert done.returncode != 0
    assert "Python 3.11 or newer is needed, as in: make rag PYTHON=python3.12" in done.stderr
    assert not (project / ".venv-old").exists()


@pytest.mark.parametrize(("lint", "test", "green"), [(0, 0, True), (1, 0, False), (0, 1, False)])
def test_ci_is_red_when_anything_fails_and_runs_the_rest(
    tmp_path: Path, lint: int, test: int, green: bool
) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    rules = f"lint:\n\t@echo linted; exit {lint}\ntest:\n\t@echo tested; exit {test}\n"
    (tmp_path / "Makefile").write_text(rules)

    done = _run([".ci/run"], tmp_path)

    assert (done.returncode == 0) is green
    assert [line for line in done.stdout.splitlines() if line.endswith("ed")] == [
        "linted",
        "tested",
    ]


def _requirements(dev: bool, environment: dict[str, str] | None = None) -> list[Requirement]:
    """Those that count on this machine, or where ``environment`` says of it otherwise."""
    names = ["requirements.txt", "requirements-dev.txt"][: 1 + dev]
    found = [line for name in names for line in _lines(name)]
    return [line for line in found if line.marker is None or line.marker.evaluate(environment)]


def _lines(name: str) -> Iterator[Requirement]:
    for line in (ROOT / name).read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text and not text.startswith("-"):
            yield Requirement(text)


def _pins(environment: dict[str, str]) -> dict[str, Version]:
    """Pinned versions where ``environment`` replaces what markers see of this machine."""
    pins: dict[str, Version] = {}
    for line in _lines("constraints.txt"):
        if line.marker is None or line.marker.evaluate(environment):
            (pin,) = line.specifier
            assert pin.operator == "=="
            assert line.name not in pins, f"two pins for {line.name}"
            pins[canonicalize_name(line.name)] = Version(pin.version)
    return pins


def _closure(requirements: list[Requirement]) -> dict[str, str]:
    """Installed version of every distribution that ``requirements`` lead to on this machine."""
    seen: dict[tuple[str, str], str] = {}
    waiting = [(found.name, extra) for found in requirements for extra in ("", *found.extras)]
    while waiting:
        name, extra = waiting.pop()
        if (canonicalize_name(name), extra) not in seen:
            found = distribution(name)
            seen[canonicalize_name(name), extra] = found.version
            for needed in map(Requirement, found.requires or ()):
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    waiting += [(needed.name, inner) for inner in ("", *needed.extras)]
    return {name: version for (name, _), version in seen.items()}


def _sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py")]


def _undeclared(files: list[Path], declared: Set[str]) -> dict[str, set[str]]:
    """Imported libraries that come with no declared distribution, and who imports them."""
    own = {path.stem for path in ROOT.iterdir()}
    givers = packages_distributions()
    found: dict[str, set[str]] = {}
    for path in files:
        for name in _imported(path) - own - sys.stdlib_module_names:
            if not declared & {canonicalize_name(giver) for giver in givers.get(name, ())}:
                found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return found


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def _make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return _run(["make", f"PYTHON={sys.executable}", *words], folder)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs ``command`` as if from a terminal, not from the `make test` around this suite."""
    ours = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "ARGS", "PYTHON", "VENV")
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, check=False
    )
