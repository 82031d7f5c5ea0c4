"""The classic pipeline on films, end to end: rules and learned models, windows, the registry."""

import json
import os
import re
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from cli.main import main
from lifecycle.bundle import open_bundle
from lifecycle.data import DataStore
from lifecycle.predictors import load
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State
from lifecycle.tracking import Tracker

SMALL = "{users: 400, films: 150, events: 12000, months: 4, start: 2024-09}"
WORDS = ["--pipeline", "classic", "--name", "films", "--set", f"source.simulation={SMALL}"]


def run(*more: str) -> int:
    return main([*WORDS, *more])


def tracker() -> Tracker:
    state = State.from_env()
    return tracker_of(load_stack("local", state), state)


def tags(number: int) -> dict[str, str]:
    return dict(tracker().version("films", number).tags)


# The tests of this module tell one story, in order.


def test_a_rule_is_trained_gated_and_champion(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("--set", "model=popular") == 0
    out, err = capfd.readouterr()
    assert "films version 1 passed its gate and is the champion now." in out
    assert "Next: python run.py serve films" in out
    for step in "load warehouse split train evaluate gate register".split():
        assert f"✓ {step}" in err
    assert tags(1)["algorithm"] == "popular"


def test_a_learned_model_has_to_beat_the_rules_and_takes_the_place(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("--set", "model=ease") == 0
    out, _ = capfd.readouterr()
    assert re.search(r"ndcg@10 is \S+ against \S+ of popular.ndcg@10: a gain of \+", out)
    assert "from cache, nothing changed: load, warehouse, split" in out
    assert "films version 2 passed its gate and is the champion now." in out


def test_a_worse_rule_is_kept_and_not_served(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--set", "model=good_by_title", "--require-promotion") == 3
    out, _ = capfd.readouterr()
    assert "films version 3 was rejected by its gate; it is kept, the champion is version 2" in out


def test_the_same_again_changes_nothing(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--set", "model=ease") == 0
    out, _ = capfd.readouterr()
    assert "Nothing changed: films version 2 is this same model" in out


def test_a_window_of_months_is_a_data_version_of_its_own(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gate = "gate.rules=[]"
    assert run("--set", "model=ease", "--set", "data.window=2024-10", "--set", gate) == 0
    assert run("--set", "model=ease", "--set", "data.window=2024-12", "--set", gate) == 0
    october, december = tags(4)["data_version"], tags(5)["data_version"]
    assert len({october, december, tags(2)["data_version"]}) == 3
    store = DataStore(State.from_env().data)
    months = {one.key.partition("/")[0] for one in store.open("films", october).partitions}
    assert months == {"2024-10"}
    # Windows share what they have in common with the whole.
    whole = {one.sha256 for one in store.open("films", tags(2)["data_version"]).partitions}
    assert {one.sha256 for one in store.open("films", december).partitions} <= whole


def test_a_window_without_events_names_the_months_there_are(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("--set", "data.window=2023-01") == 4
    assert "There are 2024-09 to 2024-12." in capfd.readouterr().err


def test_compare_shows_every_run_the_best_of_a_holdout_first(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--use-case", "movies"]) == 0
    out, _ = capfd.readouterr()
    rows = [line.split() for line in out.splitlines() if line.startswith("films")]
    assert len(rows) == 5
    of_all = [row for row in rows if row[1] in "123"]
    assert [row[3] for row in of_all] == ["ease", "popular", "good_by_title"]
    assert main(["compare", "--use-case", "movies", "--metric", "recal@20"]) == 2
    assert "'recall_at_20'" in capfd.readouterr().err


def test_the_bundle_answers_users_histories_and_strangers(home: Path) -> None:
    version = tracker().version("films", 2)
    predictor = load(tracker().bundle_path(version))
    known, history, stranger = predictor.predict(
        [
            "u0000001",
            {"history": ["f000003", "f000004"], "k": 3, "exclude": ["f000000"]},
            {"user_id": "nobody", "genres": ["Drama"], "k": 4},
        ]
    )
    assert len(known["items"]) == 10
    assert len(history["items"]) == 3
    assert not {"f000000", "f000003", "f000004"} & {one["film_id"] for one in history["items"]}
    assert all("Drama" in one["genres"] for one in stranger["items"])
    assert {"film_id", "title", "year", "genres", "score"} <= set(known["items"][0])


def test_mlflow_serves_the_same_model(home: Path) -> None:
    state = State.from_env()
    mlflow.set_tracking_uri(f"sqlite:///{state.mlflow_db}")
    model = mlflow.pyfunc.load_model("models:/films/2")
    there = model.predict(pd.DataFrame({"user_id": ["u0000001", "u0000002"]}))
    ours = load(tracker().bundle_path(tracker().version("films", 2))).predict(["u0000001"])
    assert there[0] == ours[0]


def test_the_report_shows_rules_segments_people_and_data(home: Path) -> None:
    page = Path(tags(2)["report"]).read_text("utf-8")
    for words in ("Ranking", "By activity", "By region", "What some users are shown", "Set aside"):
        assert words in page
    assert "good_by_title" in page


def test_the_manifest_says_what_it_was_made_of(home: Path) -> None:
    bundle = open_bundle(tracker().bundle_path(tracker().version("films", 2)))
    assert bundle.manifest.settings["contender"]["kind"] == "ease"
    assert (
        bundle.manifest.metrics["ndcg@10"]["value"]
        > bundle.manifest.metrics["popular.ndcg@10"]["value"]
    )
    assert json.dumps(bundle.manifest.gate)


def test_words_that_do_not_fit_are_refused_by_name(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for setting, said in (
        ("model=populer", "Did you mean 'popular'?"),
        ("cold=ease", "'ease' is no rule"),
        ("source.path=/nowhere", "path names the folder of kind movielens or service"),
        ("split.bye=time", "Did you mean 'split.by'?"),
    ):
        assert run("--set", setting) == 2
        assert said in capfd.readouterr().err
    words = ["--set", "source.kind=movielens", "--set", "source.path=nowhere"]
    assert run(*words) == 4
    assert "source.path='nowhere' is no folder" in capfd.readouterr().err
    assert not [name for name in os.listdir(home / "state") if name.startswith("Trace")]
