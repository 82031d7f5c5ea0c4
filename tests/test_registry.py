"""The registry read by SQL says what MLflow says, whoever changed it last."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from lifecycle import registry
from lifecycle.promotion import promote, rollback
from lifecycle.registry import CHALLENGER, CHAMPION, Version
from lifecycle.state import State
from lifecycle.tracking import Tracker
from tests.test_promotion import add_version


@pytest.fixture
def client(tracker: Tracker) -> MlflowClient:
    return MlflowClient(tracker.uri, tracker.uri)


def by_mlflow(tracker: Tracker) -> Tracker:
    """The same registry, asked through MLflow alone."""
    asked = Tracker(tracker.uri, tracker.artifacts)
    asked._database = None
    return asked


def assert_same(tracker: Tracker) -> list[Version]:
    mlflow = by_mlflow(tracker)
    assert registry.names(tracker._database) == tracker.names() == mlflow.names()
    found = registry.versions(tracker._database, "toy")
    assert found == tracker.versions("toy") == mlflow.versions("toy")
    for version in found:
        assert registry.location(tracker._database, version) == mlflow._location(version)
        assert tracker.bundle_path(version) == mlflow.bundle_path(version)
    return found


def test_it_says_what_mlflow_says_after_every_kind_of_change(
    tracker: Tracker, state: State, client: MlflowClient, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        add_version(tracker, tmp_path / f"b{number}", text=str(number))
        assert [version.number for version in assert_same(tracker)][-1] == number
    promote(tracker, state, "toy", 1, "")
    promote(tracker, state, "toy", 2, "")
    assert [version.aliases for version in assert_same(tracker)] == [(), (CHAMPION,), ()]
    rollback(tracker, state, "toy", "")
    assert [version.aliases for version in assert_same(tracker)] == [(CHAMPION,), (), ()]
    client.set_registered_model_alias("toy", CHALLENGER, "1")
    tracker.tag_version("toy", 3, "odd: key", 'a "value" — with\nlines')
    assert assert_same(tracker)[0].aliases == (CHALLENGER, CHAMPION)
    client.delete_registered_model_alias("toy", CHAMPION)
    assert assert_same(tracker)[0].aliases == (CHALLENGER,)
    client.delete_model_version("toy", "2")
    assert [version.number for version in assert_same(tracker)] == [1, 3]


def test_prompts_and_models_that_were_renamed_or_deleted_are_no_models(
    tracker: Tracker, client: MlflowClient, tmp_path: Path
) -> None:
    add_version(tracker, tmp_path / "b")
    client.create_registered_model("gone")
    client.create_registered_model("old")
    client.register_prompt("prompt", "Say {{what}}.")
    client.delete_registered_model("gone")
    client.rename_registered_model("old", "new")
    assert_same(tracker)
    assert tracker.names() == ["new", "toy"]


def test_an_alias_moved_by_another_process_counts_at_once(tracker: Tracker, tmp_path: Path) -> None:
    for number in (1, 2):
        add_version(tracker, tmp_path / f"b{number}")
    tracker.set_alias("toy", CHAMPION, 1)
    assert (found := tracker.champion("toy")) is not None and found.number == 1
    code = (
        "import sys; from mlflow import MlflowClient; client = MlflowClient(sys.argv[1])\n"
        "client.set_registered_model_alias('toy', 'champion', '2')"
    )
    subprocess.run([sys.executable, "-c", code, tracker.uri], check=True, capture_output=True)
    assert (found := tracker.champion("toy")) is not None and found.number == 2
    tracker.delete_alias("toy", CHAMPION)
    assert tracker.champion("toy") is None


def test_a_writer_at_work_does_not_show_until_it_is_done(tracker: Tracker, tmp_path: Path) -> None:
    for number in (1, 2):
        add_version(tracker, tmp_path / f"b{number}")
    tracker.set_alias("toy", CHAMPION, 1)
    with closing(sqlite3.connect(str(tracker._database))) as writer:
        writer.execute("UPDATE registered_model_aliases SET version = 2")
        assert (found := tracker.champion("toy")) is not None and found.number == 1
        writer.commit()
    assert (found := tracker.champion("toy")) is not None and found.number == 2


def test_the_schema_is_that_of_the_installed_mlflow(tracker: Tracker) -> None:
    assert registry.names(tracker._database) == []


def test_where_there_is_no_database_nothing_is_registered_and_none_is_made(state: State) -> None:
    tracker = Tracker(f"sqlite:///{state.mlflow_db}", state.mlflow_artifacts)
    assert tracker.names() == []
    assert tracker.champion("toy") is None
    assert not state.root.exists()


@pytest.mark.parametrize("change", ["UPDATE alembic_version SET version_num = 'f00'", "locked", ""])
def test_of_what_it_does_not_know_it_says_nothing(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    database = tracker._database
    assert database is not None
    monkeypatch.setattr(registry, "_WAIT_S", 0.01)
    with closing(sqlite3.connect(database)) as writer:
        if change == "locked":
            writer.execute("BEGIN EXCLUSIVE")
        elif change:
            writer.execute(change)
            writer.commit()
        else:
            database.write_bytes(b"no database" * 100)
        assert registry.names(database) is None
        assert registry.versions(database, "toy") is None
        assert registry.location(database, Version("toy", 1, "", {}, (), 0)) is None
    assert registry.names(None) is None
