"""What is found before a service starts, and how the machine is divided among its workers."""

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.main import main
from lifecycle.bundle import open_bundle
from lifecycle.errors import ConfigError, UsageError
from lifecycle.keys import add_key
from lifecycle.registry import CHAMPION
from lifecycle.resources import Resources
from lifecycle.state import State
from lifecycle.tracking import Tracker
from services.settings import ServiceSettings, from_environment
from services.start import admitted, environment, planned
from services.workers import assign, gpu_names, gpu_of, plan, thread_environment
from tests.serving import free_port, notes_bundle, register
from tests.toys import make


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_settings_survive_the_way_through_the_environment() -> None:
    settings = ServiceSettings(name="notes", gpus=("0", "3"), hosts=("example.org",), rate=5)
    assert from_environment(settings.in_environment()) == settings
    assert from_environment({}) == ServiceSettings() and ServiceSettings().keys
    with pytest.raises(ConfigError, match="MLOPS_SERVICE holds no settings"):
        from_environment({"MLOPS_SERVICE": '{"nome": 1}'})


@given(
    gpus=st.lists(st.text("0123456789GPU-", min_size=1), max_size=8, unique=True),
    workers=st.integers(0, 16),
    cores=st.integers(1, 64),
)
def test_gpus_and_cores_are_divided_evenly(gpus: list[str], workers: int, cores: int) -> None:
    kind = "cuda" if gpus else "cpu"
    found = assign(kind, "", tuple(gpus), workers, cores)
    assert found.workers == (workers or len(gpus) or max(1, cores // 2))
    assert found.threads >= 1
    assert found.threads * found.workers <= max(cores, found.workers)
    assert len(found.gpus) == (found.workers if gpus else 0)
    counts = [found.gpus.count(name) for name in gpus]
    assert not counts or max(counts) - min(counts) <= 1


def test_several_gpus_give_one_worker_each() -> None:
    found = assign("cuda", "a GPU was found", gpu_names(3, None), 0, 8)
    assert (found.workers, found.threads, found.gpus) == (3, 2, ("0", "1", "2"))
    assert [gpu_of(found.gpus, worker) for worker in (1, 2, 3, 4)] == ["0", "1", "2", "0"]
    assert gpu_names(2, "5, 7,9") == ("5", "7")
    assert gpu_of((), 1) == ""


@pytest.mark.usefixtures("no_gpu")
def test_a_demanded_gpu_that_is_missing_is_refused_and_auto_says_so() -> None:
    assert plan(Resources(gpus="auto")).said == "cpu (no GPU was found)"
    with pytest.raises(ConfigError, match=r"resources\.gpus=1, but this machine has 0"):
        plan(Resources(gpus=1))


@pytest.mark.usefixtures("no_gpu")
def test_the_command_line_may_ask_for_other_gpus_than_the_bundle(tmp_path: Path) -> None:
    bundle = open_bundle(make(tmp_path / "b").path)
    assert planned(bundle, None, 3).workers == 3
    assert planned(bundle, "0", 0).device == "cpu"
    with pytest.raises(ConfigError, match="this machine has 0"):
        planned(bundle, "2", 0)
    with pytest.raises(UsageError, match="--gpus 'two' is no number"):
        planned(bundle, "two", 0)


def test_an_address_that_others_reach_needs_keys_or_a_word(state: State) -> None:
    settings = ServiceSettings(name="notes", state=str(state.root), port=free_port())
    local = admitted(settings)
    assert not local.keys and "localhost" in local.hosts
    wide = settings.model_copy(update={"host": "0.0.0.0"})
    with pytest.raises(UsageError, match="there are no API keys"):
        admitted(wide)
    open_to_all = admitted(wide.model_copy(update={"insecure": True}))
    assert not open_to_all.keys and open_to_all.hosts == ()
    add_key(state.keys, state.locks / "keys.lock", "app", ["predict"])
    assert admitted(wide).keys and admitted(settings).keys


def test_an_address_is_no_name(state: State) -> None:
    settings = ServiceSettings(state=str(state.root), port=free_port(), host="localhost")
    assert admitted(settings).host == "127.0.0.1"
    with pytest.raises(UsageError, match="is no IP address"):
        admitted(settings.model_copy(update={"host": "mine.example"}))


def test_a_port_that_is_taken_is_refused(state: State) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1, port {port}"):
            admitted(ServiceSettings(state=str(state.root), port=port))


def test_every_service_has_its_own_threads_settings_and_metrics(state: State) -> None:
    settings = ServiceSettings(state=str(state.root), threads=2, port=3001)
    found = environment(settings, {"OMP_NUM_THREADS": "9", "HOME": "/home"})
    assert found["OMP_NUM_THREADS"] == found["NUMBA_NUM_THREADS"] == "2"
    assert found["BENTOML_HOME"].endswith("3001") and found["HOME"] == "/home"
    assert from_environment(found) == settings
    assert set(thread_environment(1).values()) == {"1"}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nots"], 6, "no model named 'nots' is registered. Did you mean 'notes'?"),
        (["notes"], 6, "notes has no champion."),
        (["notes", "--version", "9"], 6, "notes has no version 9."),
        (["notes", "--version", "1", "--gpus", "1"], 2, "this machine has 0"),
        (["notes", "--version", "1", "--host", "0.0.0.0"], 2, "there are no API keys"),
        (["notes", "--version", "1", "--set", "limits.kk=1"], 2, "unknown key 'limits.kk'"),
        (["notes", "--version", "1", "--set", "limits.k=0"], 2, "limits.k=0 does not fit"),
        (["notes", "--version", "1", "--port", "99999"], 2, "port=99999 does not fit"),
        (["notes", "--version", "2"], 5, "weights.bin"),
    ],
)
@pytest.mark.usefixtures("no_gpu", "state")
def test_what_is_wrong_is_said_in_one_line(
    words: list[str],
    code: int,
    message: str,
    tracker: Tracker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    register(tracker, "notes", make(tmp_path / "one").path)
    if "2" in words:
        register(tracker, "notes", make(tmp_path / "two", "other").path)
        stored = tracker.bundle_path(tracker.version("notes", 2))
        (stored / "sub" / "weights.bin").write_text("altered")
    assert tracker.aliased("notes", CHAMPION) is None
    assert main(["serve", *words]) == code
    told = capsys.readouterr().err
    assert message in told and told.startswith("error: ") and told.count("\n") == 1


def test_requests_that_wait_for_a_language_model_take_no_core(tmp_path: Path) -> None:
    extractive = open_bundle(notes_bundle(tmp_path / "extractive"))
    remote = open_bundle(notes_bundle(tmp_path / "remote", chat="http://127.0.0.1:9/v1"))
    assert planned(extractive, None, 1).waiting == 0
    assert planned(remote, None, 1).waiting > planned(remote, None, 1).threads
