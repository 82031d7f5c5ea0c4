"""Fixtures: a state folder of its own for each test, and an MLflow database made once."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from cli.environment import DEFAULTS
from lifecycle.fingerprint import ROOT
from lifecycle.state import State
from lifecycle.tracking import Tracker

os.environ.update(DEFAULTS)
# ZenML reads it when it is imported, which some tests do before a pipeline is started.
os.environ["ZENML_CUSTOM_SOURCE_ROOT"] = str(ROOT)
# Threads that wait for each other leave the processor to others: on a busy machine LightGBM and
# torch are tens of times slower without.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# How long an example takes tells how busy the machine is; the limit on a test's time is pytest's.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """An empty state folder; MLOPS_HOME points at it."""
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "state"))
    return State.from_env()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for a module whose tests tell one story; the state folder in it is MLOPS_HOME.

    ZenML reads where its files are once a process, so what it read for another module goes.
    """
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_HOME", str(folder / "state"))
        _forget_zenml()
        yield folder
        _forget_zenml()


def _forget_zenml() -> None:
    if "zenml" in sys.modules:
        from zenml.client import Client
        from zenml.config.global_config import GlobalConfiguration

        Client._reset_instance()
        GlobalConfiguration._reset_instance()


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised, empty MLflow database: making one takes seconds."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("mlflow")
    MlflowClient(f"sqlite:///{folder}/mlflow.db").search_registered_models()
    return folder / "mlflow.db"


@pytest.fixture
def tracker(state: State, mlflow_template: Path) -> Iterator[Tracker]:
    """MLflow in the test's state folder."""
    state.mlflow_db.parent.mkdir(parents=True)
    shutil.copyfile(mlflow_template, state.mlflow_db)
    yield Tracker(f"sqlite:///{state.mlflow_db}", state.mlflow_artifacts)


@pytest.fixture(scope="session")
def tiny_chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny chat model; see tests/tiny_chat.py."""
    from tests import tiny_chat

    folder = tmp_path_factory.mktemp("chat")
    tiny_chat.make(folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; see tests/browser.py."""
    from tests.browser import chromium

    with chromium() as found:
        yield found


@pytest.fixture
def watched() -> Any:
    """What ``page`` does that nobody sees."""
    from tests.browser import Watched

    return Watched()


@pytest.fixture
def page(browser: Any, watched: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """An empty page, in the end without an error and without a request to anybody but the first
    that it asked. Its parameter: options of the browser's context."""
    context = browser.new_context(**{"color_scheme": "light", **getattr(request, "param", {})})
    opened = context.new_page()
    opened.set_default_timeout(10_000)
    watched.watch(opened)
    yield opened
    context.close()
    assert not watched.errors
    assert len({url.split("/")[2] for url in watched.asked}) == 1
