"""A Bento answers as its bundle does, with nothing but itself and the packages that it names."""

import json
import re
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.main import main
from lifecycle.bundle import Bundle, open_bundle
from lifecycle.config import load_config
from lifecycle.errors import MLOpsError
from lifecycle.fingerprint import ROOT
from lifecycle.predictors import load
from lifecycle.state import State
from lifecycle.tracking import Tracker
from rag.config import RagConfig
from services.bento import Bento, package
from services.kubernetes import Deployed, manifests
from services.packaged import BUNDLE, FILE
from tests.bentos import WITH_KEY, bento_running, hidden_python, hide, rows_bundle
from tests.serving import Running, films_bundle, notes_bundle, register
from tests.tabular_contract import table
from tests.toys import make

MAKE: dict[str, Callable[[Path], Path]] = {
    "films": films_bundle,
    "notes": notes_bundle,
    "rows": lambda folder: rows_bundle(folder, "regression", "lightgbm"),
    "linear": lambda folder: rows_bundle(folder, "binary", "linear"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A BentoML store of its own."""
    folder = tmp_path_factory.mktemp("bento")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(folder / "bentoml"))
        yield folder


@pytest.fixture(scope="module")
def made(home: Path) -> Callable[[str], Bundle]:
    """Each of ``MAKE``, made once."""

    def of(name: str) -> Bundle:
        folder = home / name
        path = folder / "bundle" if folder.exists() else MAKE[name](folder)
        return open_bundle(path)

    return of


@pytest.fixture(scope="module")
def films(made: Callable[[str], Bundle], home: Path) -> Bento:
    return package(made("films"), 3, home / "work")


def check_answers(name: str, running: Running, bundle: Bundle) -> None:
    """The service and the bundle's predictor here say the same."""
    predictor: Any = load(bundle.path, "cpu")
    if name == "films":
        history = predictor.recommender.item_ids[:2]
        found = running.post("/v1/recommend", {"history": history, "k": 5}, headers=WITH_KEY)
        assert found.json()["items"] == predictor.recommend(history=history, k=5)
    elif name == "notes":
        question = "How long should green tea steep?"
        found = running.post("/v1/ask", {"question": question}, headers=WITH_KEY)
        assert found.json()["answer"] == predictor.answer(question)["answer"]
        assert "three minutes" in found.json()["answer"]
    else:
        frame = table(bundle.manifest.settings["problem"], 5, 7)[predictor.model.schema.features]
        rows = json.loads(frame.to_json(orient="records", date_format="iso"))
        rows.append(rows[0] | {"size": "wide"})
        found = running.post("/v1/predict", {"rows": rows}, headers=WITH_KEY)
        assert found.json()["predictions"] == predictor.predict(rows)
    assert found.status_code == 200 and found.json()["version"] == 3


@pytest.mark.parametrize(
    "name",
    [
        "rows",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("films", "linear", "notes")),
    ],
)
def test_a_bento_serves_where_the_project_is_hidden(
    name: str, made: Callable[[str], Bundle], home: Path, tmp_path: Path
) -> None:
    bundle = made(name)
    bento = package(bundle, 3, home / "work")
    with bento_running(bento, tmp_path, hide(tmp_path, bento)) as running:
        assert running.get("/v1/info").status_code == 401
        info = running.get("/v1/info", headers=WITH_KEY).json()
        assert info["bundle"] == bundle.manifest.bundle_id and info["failure"] is None
        for page in ("/", "/page/style.css"):
            assert running.get(page).status_code == 200
        assert running.get("/openapi.json", headers=WITH_KEY).status_code == 200
        check_answers(name, running, bundle)
        assert running.stop() == 0
    assert list((tmp_path / "state" / "requests").glob("*.parquet"))
    assert not (tmp_path / ".cache").exists(), "ONNX Runtime keeps what it sends to Microsoft there"


def test_what_is_hidden_cannot_be_had(films: Bento, tmp_path: Path) -> None:
    environment = hide(tmp_path, films)
    for module in ("mlflow", "zenml", "torch", "pytest"):
        told_so = hidden_python(f"import {module}", environment, tmp_path)
        assert f"ModuleNotFoundError: No module named '{module}'" in told_so
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import lifecycle"
    assert "is hidden" in hidden_python(code, environment, tmp_path)
    assert hidden_python("import numpy, pandas, bentoml", environment, tmp_path) == ""


@pytest.mark.slow
@pytest.mark.minutes
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["films", "notes"])
def test_a_bento_serves_in_a_clean_environment(
    name: str, made: Callable[[str], Bundle], home: Path, tmp_path: Path
) -> None:
    bundle = made(name)
    bento = package(bundle, 3, home / "work")
    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean" / "bin" / "python"
    wanted = bento.path / "env" / "python" / "requirements.txt"
    subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(wanted)], check=True)
    subprocess.run([str(python), "-m", "pip", "check"], check=True)
    for module in ("mlflow", "zenml", "torch", "lifecycle"):
        command = [str(python), "-c", f"import {module}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert b"ModuleNotFoundError" in done.stderr
    with bento_running(bento, tmp_path, {}, python) as running:
        check_answers(name, running, bundle)
        assert running.stop() == 0


def test_a_bento_holds_its_code_and_its_bundle_and_says_what_it_is(
    films: Bento, made: Callable[[str], Bundle]
) -> None:
    manifest = made("films").manifest
    source = films.path / "src"
    assert open_bundle(source / BUNDLE).manifest == manifest
    assert json.loads((source / FILE).read_text()) == {"name": "films", "version": 3}
    found = {path.name for path in source.iterdir()}
    assert found == {"bentofile.yaml", BUNDLE, "classic", "lifecycle", "services", FILE}
    labels = yaml.safe_load((films.path / "bento.yaml").read_text())["labels"]
    assert labels["model_version"] == "3" and labels["data_version"] == manifest.data_version
    assert labels["code_commit"] == manifest.code_version["commit"]
    assert films.tag.startswith("films:3-")


def test_equal_parts_are_built_once(
    films: Bento, made: Callable[[str], Bundle], home: Path
) -> None:
    built = (films.path / "bento.yaml").stat().st_mtime_ns
    assert package(made("films"), 3, home / "work") == films
    assert (films.path / "bento.yaml").stat().st_mtime_ns == built
    assert not list((home / "work").iterdir())


def test_the_dockerfile_installs_the_pins_and_runs_without_root(
    films: Bento, made: Callable[[str], Bundle], home: Path
) -> None:
    lines = films.dockerfile.read_text().splitlines()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"FROM python:{python}-slim AS base-container" in lines
    assert any("pip install -r $BENTO_PATH/env/python/requirements.txt" in line for line in lines)
    assert lines.index("USER bentoml") > lines.index("COPY --chown=bentoml:bentoml . ./")
    assert lines[-1].startswith("ENTRYPOINT") or lines[-2].startswith("ENTRYPOINT")
    assert "ARG BENTOML_DO_NOT_TRACK=True" in lines and "ARG BENTO_USER_UID=1034" in lines
    assert (films.dockerfile.parent / "entrypoint.sh").is_file()
    pins = (films.path / "env" / "python" / "requirements.txt").read_text().splitlines()
    assert dict(pin.split("==") for pin in pins if pin) == films.requirements
    assert "libgomp1" not in films.dockerfile.read_text()
    rows = package(made("rows"), 1, home / "work")
    assert "libgomp1" in rows.dockerfile.read_text()


def test_the_example_in_deploy_is_what_package_writes(films: Bento) -> None:
    folder, image = ROOT / "deploy" / "handbook", "registry.example/handbook:1"
    config = load_config(RagConfig, ROOT / "usecases" / "handbook" / "rag.yaml")
    wanted = manifests(Deployed("handbook", image, config.resources))
    found = {path.name: path.read_text() for path in folder.iterdir()}
    dockerfile = found.pop("Dockerfile")
    assert {name: yaml.safe_load(text) for name, text in found.items()} == wanted
    # Neither films nor documents need a package of the system.
    assert _without_version(dockerfile) == _without_version(films.dockerfile.read_text())


def _without_version(dockerfile: str) -> str:
    return re.sub(r"(python:|--python )3\.\d+", r"\1", dockerfile)


def test_what_bentoml_refuses_is_told_in_one_line(made: Callable[[str], Bundle]) -> None:
    bundle = made("films")
    odd = Bundle(bundle.path, bundle.manifest.model_copy(update={"name": "films-"}))
    with pytest.raises(MLOpsError, match=r"BentoML could not build films-:1-\w+: .*name"):
        package(odd, 1, bundle.path.parent / "work")


def test_a_bento_that_cannot_serve_ends_with_one_line(films: Bento, tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="there are no API keys"),
        bento_running(films, tmp_path, {"MLOPS_API_KEYS": ""}),
    ):
        pass
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_package_makes_a_bento_of_the_champion(
    made: Callable[[str], Bundle],
    tracker: Tracker,
    state: State,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    number = register(tracker, "My_Films", made("films").path)
    tracker.set_alias("My_Films", "champion", number)
    folder = tmp_path / "out"
    assert main(["package", "My_Films", "--kubernetes", str(folder), "--image", "reg/f:1"]) == 0
    out = capsys.readouterr().out
    assert f"My_Films version 1 is packaged as films:{number}-" in out
    assert "bentoml serve --do-not-track films:1-" in out and "insecure" in out
    deployment = yaml.safe_load((folder / "deployment.yaml").read_text())
    assert deployment["metadata"]["name"] == "my-films"
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "reg/f:1"
    assert "ENTRYPOINT [" in (folder / "Dockerfile").read_text()
    assert not list(state.work.iterdir())


@pytest.mark.usefixtures("state")
def test_package_names_what_is_wrong(
    tracker: Tracker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(tracker, "toy", make(tmp_path / "toy").path)
    for words, code, message in (
        (["tay"], 6, "Did you mean 'toy'?"),
        (["toy"], 6, "toy has no champion."),
        (["toy", "--version", "2"], 6, "toy has no version 2."),
    ):
        assert main(["package", *words]) == code
        assert message in capsys.readouterr().err
