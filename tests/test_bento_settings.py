"""What a Bento is told by its own files, and by the machine that it runs on."""

from pathlib import Path

import pytest

from lifecycle import bundle as bundles
from lifecycle.errors import BundleError, ConfigError, StorageError, UsageError
from lifecycle.resources import Resources
from services.bento import stage
from services.kubernetes import Deployed, manifests
from services.packaged import BUNDLE, admit, told
from services.settings import VARIABLE, from_environment
from tests.toys import make


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """What a Bento is made of."""
    stage(make(tmp_path / "toy"), 3, {}, tmp_path / "src")
    return tmp_path / "src"


def test_a_bento_plans_for_the_machine_that_it_runs_on(staged: Path) -> None:
    found = told(staged, {"MLOPS_HOME": "/somewhere", VARIABLE: '{"limits": {"rows": 10}}'})
    settings = from_environment(found)
    assert (settings.name, settings.version) == ("toy", 3)
    assert settings.bundle == str(staged / BUNDLE) and settings.state == "/somewhere"
    assert settings.limits.rows == 10 and settings.limits.k == 100
    assert settings.workers >= 1 and found["OMP_NUM_THREADS"] == str(settings.threads)
    one = from_environment(told(staged, {VARIABLE: '{"device": "cpu", "workers": 3}'}))
    assert (one.workers, one.device, one.gpus) == (3, "cpu", ()) and one.threads >= 1
    assert told(staged, found) == found, "a worker reads what its parent has planned"


def test_a_bento_asks_for_keys_unless_it_is_told_otherwise(staged: Path) -> None:
    settings = from_environment(told(staged, {"MLOPS_HOME": "/somewhere"}))
    assert settings.keys and not settings.insecure
    with pytest.raises(UsageError, match="there are no API keys"):
        admit(settings)
    opened = from_environment(told(staged, {VARIABLE: '{"insecure": true}'}))
    assert opened.insecure and "localhost" in opened.hosts
    wide = from_environment(told(staged, {VARIABLE: '{"insecure": true, "host": "0.0.0.0"}'}))
    assert wide.hosts == ()


def test_a_demanded_gpu_is_missed_where_the_bento_runs_and_not_where_it_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    manifest = make(tmp_path / "toy").manifest.model_copy(update={"resources": {"gpus": 1}})
    stage(bundles.write(tmp_path / "gpu", manifest, lambda folder: None), 1, {}, tmp_path / "src")
    with pytest.raises(ConfigError, match=r"resources\.gpus=1, but this machine has 0"):
        told(tmp_path / "src", {})
    assert told(tmp_path / "src", {VARIABLE: '{"device": "cpu"}'})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({VARIABLE: "{"}, "MLOPS_SERVICE is no JSON"),
        ({VARIABLE: "[]"}, "MLOPS_SERVICE is no JSON object"),
        ({VARIABLE: '{"limit": {}}'}, "unknown key 'limit'"),
        ({VARIABLE: '{"workers": 0}'}, "workers=0 does not fit"),
        ({"MLOPS_HOME": "state"}, "MLOPS_HOME=state is not absolute"),
    ],
)
def test_settings_that_do_not_fit_are_named(
    variables: dict[str, str], message: str, staged: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        told(staged, variables)


def test_a_damaged_bundle_and_a_state_folder_that_cannot_be_are_refused(
    staged: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    settings = from_environment(told(staged, {VARIABLE: '{"insecure": true}'}))
    with pytest.raises(StorageError, match="cannot write to"):
        admit(settings.model_copy(update={"state": str(tmp_path / "file" / "state")}))
    (staged / BUNDLE / "more").write_text("")
    with pytest.raises(BundleError, match="holds more"):
        admit(settings)


def test_a_pod_gets_settings_that_the_bento_reads(staged: Path) -> None:
    resources = Resources(cpus=8, gpus=0)
    spec = manifests(Deployed("toy", "toy:1", resources))["deployment.yaml"]["spec"]
    container = spec["template"]["spec"]["containers"][0]
    variables = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    settings = from_environment(told(staged, variables))
    assert (settings.workers, settings.threads, settings.host) == (4, 2, "0.0.0.0")
    assert settings.state == "/state" and settings.keys and not settings.insecure
