"""Promotion, rollback and their audit trail, on a real MLflow registry."""

import json
from pathlib import Path

import pytest

from lifecycle import promotion
from lifecycle.errors import BundleError, RegistryError
from lifecycle.promotion import audit_trail, promote, rollback, served_before
from lifecycle.state import State
from lifecycle.tracking import Run, Tracker
from tests.toys import make


def add_version(tracker: Tracker, folder: Path, gate: str = "passed", text: str = "w") -> int:
    made = make(folder, text)
    run = tracker.log_run(Run("toy", "r", {"a": 1}, {"ndcg@10": 0.5}, {"t": "x"}))
    tags = {"gate": gate, "gate_reasons": "too low.", "bundle_id": made.manifest.bundle_id}
    return tracker.register("toy", made.path, run, tags, ["numpy"]).number


@pytest.fixture
def three(tracker: Tracker, tmp_path: Path) -> Tracker:
    """Versions 1 and 2 passed their gate, version 3 did not."""
    for number, gate in ((1, "passed"), (2, "passed"), (3, "rejected")):
        assert add_version(tracker, tmp_path / f"b{number}", gate, str(number)) == number
    return tracker


def test_a_champion_moves_forth_and_back_with_a_trail(three: Tracker, state: State) -> None:
    promote(three, state, "toy", 1, "first")
    promote(three, state, "toy", 2, "better")
    champion = three.champion("toy")
    assert champion is not None and champion.number == 2
    back = rollback(three, state, "toy", "worse after all")
    assert (back.before, back.after, back.outcome) == (2, 1, "done")
    champion = three.champion("toy")
    assert champion is not None and champion.number == 1
    trail = audit_trail(three, "toy")
    assert [(e.action, e.before, e.after, e.reason) for e in trail] == [
        ("promote", 0, 1, "first"),
        ("promote", 1, 2, "better"),
        ("rollback", 2, 1, "worse after all"),
    ]
    assert all("@" in e.who and e.at.endswith("Z") for e in trail)
    with pytest.raises(RegistryError, match="no earlier champion"):
        rollback(three, state, "toy", "again")


def test_a_rejected_version_is_never_served(three: Tracker, state: State) -> None:
    with pytest.raises(RegistryError, match=r"version 3 was rejected by its gate: too low\."):
        promote(three, state, "toy", 3, "please")
    assert three.champion("toy") is None


def test_unknown_names_and_versions_are_named(three: Tracker, state: State) -> None:
    with pytest.raises(RegistryError, match=r"no model named 'tyo' is registered\. Did you mean"):
        promote(three, state, "tyo", 1, "")
    with pytest.raises(RegistryError, match=r"toy has no version 9. Versions: 1, 2, 3\."):
        promote(three, state, "toy", 9, "")
    promote(three, state, "toy", 1, "")
    with pytest.raises(RegistryError, match="is the champion already"):
        promote(three, state, "toy", 1, "")


def test_an_altered_bundle_is_not_promoted(three: Tracker, state: State) -> None:
    path = three.bundle_path(three.version("toy", 2)) / "sub" / "weights.bin"
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(BundleError, match=r"weights\.bin was altered"):
        promote(three, state, "toy", 2, "")
    assert three.champion("toy") is None


@pytest.mark.parametrize(("stop", "outcome"), [("set_alias", "abandoned"), ("done", "done")])
def test_a_move_cut_short_is_settled_by_where_the_alias_stands(
    three: Tracker, state: State, monkeypatch: pytest.MonkeyPatch, stop: str, outcome: str
) -> None:
    promote(three, state, "toy", 1, "")

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    if stop == "set_alias":
        monkeypatch.setattr(three, "set_alias", die)
    else:
        monkeypatch.setattr(three, "delete_alias", die)
        three._client.set_registered_model_alias("toy", "challenger", "2")
    with pytest.raises(Killed):
        promote(three, state, "toy", 2, "cut short")
    monkeypatch.undo()
    monkeypatch.setenv("MLOPS_HOME", str(state.root))
    assert audit_trail(three, "toy")[-1].outcome == "intended"
    promotion.settle(three, "toy")
    assert audit_trail(three, "toy")[-1].outcome == outcome
    champion = three.champion("toy")
    assert champion is not None and champion.number == (2 if outcome == "done" else 1)


def test_rolling_back_twice_goes_back_two_champions() -> None:
    def entry(action: promotion.Action, before: int, after: int) -> promotion.AuditEntry:
        return promotion.AuditEntry("", "", action, "m", before, after, "", "done")

    trail = [entry("promote", 0, 1), entry("promote", 1, 2), entry("promote", 2, 3)]
    assert served_before(trail) == [1, 2]
    trail.append(entry("rollback", 3, 2))
    assert served_before(trail) == [1]
    trail.append(entry("rollback", 2, 1))
    assert served_before(trail) == []


def test_metric_names_reach_mlflow(tracker: Tracker) -> None:
    run = tracker.log_run(Run("toy", "r", {"p": [1]}, {"hybrid.ndcg@10": 0.5}, {"tag": "x"}))
    assert tracker.run_metrics(run) == {"hybrid.ndcg_at_10": 0.5}


def test_the_trail_is_readable_in_the_registry_itself(three: Tracker, state: State) -> None:
    promote(three, state, "toy", 1, "why")
    values = [v for k, v in three.model_tags("toy").items() if k.startswith("audit.")]
    assert [json.loads(v)["reason"] for v in values] == ["why"]
