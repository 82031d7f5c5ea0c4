"""API keys: stored as hashes, found in constant time, and gone once revoked."""

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.main import main
from lifecycle import keys
from lifecycle.errors import ConfigError, UsageError
from lifecycle.keys import (
    LEAST_CHARACTERS,
    SCOPES,
    VARIABLE,
    KeyRing,
    add_key,
    key_ring,
    new_secret,
    read_keys,
    revoke_key,
)
from lifecycle.state import State


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "keys.json", tmp_path / "lock"


def test_a_key_is_stored_as_its_hash_alone(places: tuple[Path, Path]) -> None:
    secret = add_key(*places, "app", ["feedback", "predict", "predict"])
    assert len(secret) - len(keys.PREFIX) == 43
    stored = places[0].read_text()
    assert secret not in stored
    assert stat.S_IMODE(places[0].stat().st_mode) == 0o600
    found = KeyRing(path=places[0]).find(secret.encode())
    assert found is not None
    assert (found.name, found.scopes) == ("app", ("predict", "feedback"))


def test_several_keys_open_and_nothing_else_does(places: tuple[Path, Path]) -> None:
    secrets = {name: add_key(*places, name, ["predict"]) for name in ("one", "two", "three")}
    ring = KeyRing(path=places[0])
    assert len(ring) == 3
    for name, secret in secrets.items():
        found = ring.find(secret.encode())
        assert found is not None
        assert found.name == name
        stored = next(key.digest for key in read_keys(places[0]) if key.name == name)
        for other in (
            b"",
            secret[:-1].encode(),
            secret.encode() + b"x",
            stored.encode(),
            b"\0" * 32,
        ):
            assert ring.find(other) is None


@given(st.binary(max_size=80))
def test_what_is_no_key_opens_nothing(secret: bytes) -> None:
    assert (
        KeyRing([keys.Key("app", ("predict",), keys.digest_of(new_secret()))]).find(secret) is None
    )


def test_a_revoked_key_closes_in_a_running_service(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "CHECK_EVERY_S", 0.0)
    first, second = (add_key(*places, name, ["predict"]) for name in ("one", "two"))
    ring = KeyRing(path=places[0])
    revoke_key(*places, "one")
    assert ring.find(first.encode()) is None
    assert ring.find(second.encode()) is not None
    third = add_key(*places, "one", ["admin"])
    assert ring.find(third.encode()) is not None
    assert [bool(key.revoked) for key in read_keys(places[0])] == [True, False, False]
    places[0].unlink()
    assert ring.find(second.encode()) is None


def test_a_file_that_breaks_leaves_the_keys_as_they_were(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys, "CHECK_EVERY_S", 0.0)
    secret = add_key(*places, "one", ["predict"])
    ring = KeyRing(path=places[0])
    places[0].write_text('{"keys": [')
    assert ring.find(secret.encode()) is not None
    assert ring.find(secret.encode()) is not None
    assert len(caplog.records) == 1
    with pytest.raises(ConfigError, match="no file of API keys"):
        KeyRing(path=places[0])


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "a b", "scopes": ["predict"], "digest": "0" * 64},
        {"name": "a", "scopes": ["root"], "digest": "0" * 64},
        {"name": "a", "scopes": [], "digest": "0" * 64},
        {"name": "a", "scopes": ["predict"], "digest": "0" * 63},
        {"name": "a", "scopes": ["predict"]},
        {"name": "a", "scopes": ["predict"], "digest": "0" * 64, "extra": 1},
        "a",
    ],
)
def test_a_file_that_holds_something_else_is_refused(entry: object, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [entry]}))
    with pytest.raises(ConfigError, match="no file of API keys"):
        read_keys(path)


def test_keys_in_the_environment(state: State, tmp_path: Path) -> None:
    one, two = new_secret(), new_secret()
    ring = key_ring(state, {VARIABLE: f"app:predict+feedback:{one}, ops:admin:{two}"})
    found = [ring.find(secret.encode()) for secret in (one, two)]
    assert [key.scopes for key in found if key] == [("predict", "feedback"), ("admin",)]
    add_key(tmp_path / "file", state.locks / "keys.lock", "filed", ["predict"])
    assert len(key_ring(state, {VARIABLE: str(tmp_path / "file")})) == 1
    assert len(key_ring(state, {})) == 0
    add_key(state.keys, state.locks / "keys.lock", "stored", ["predict"])
    assert len(key_ring(state, {})) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nowhere.json", "which does not exist"),
        (f"app:predict:{'x' * (LEAST_CHARACTERS - 1)}", "shorter than 32 characters"),
        (f"app:rule:{'x' * 40}", "there is no scope 'rule'"),
        (f"a b:predict:{'x' * 40}", "cannot name a key"),
        (f"app:predict:{'x' * 40},{'y' * 40}", "no name:scopes:key"),
    ],
)
def test_keys_that_do_not_fit_are_refused_without_showing_them(
    given: str, message: str, state: State
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        key_ring(state, {VARIABLE: given})
    assert "xxxx" not in str(caught.value)
    assert "yyyy" not in str(caught.value)


def test_names_are_used_once_and_scopes_are_known(places: tuple[Path, Path]) -> None:
    add_key(*places, "app", SCOPES)
    with pytest.raises(UsageError, match="there is a key named 'app' already"):
        add_key(*places, "app", ["predict"])
    with pytest.raises(UsageError, match="Did you mean 'predict'"):
        add_key(*places, "other", ["predcit"])
    with pytest.raises(UsageError, match="Did you mean 'app'"):
        revoke_key(*places, "ap")


def test_the_command_adds_lists_and_revokes(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "add", "app", "--scopes", "predict"]) == 0
    secret = next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith(keys.PREFIX)
    )
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert "app" in listed
    assert secret not in listed
    assert main(["keys", "revoke", "app"]) == 0
    assert key_ring(state, {}).find(secret.encode()) is None
    assert main(["keys", "revoke", "app"]) == 2
    assert main(["keys", "add"]) == 2
    assert "needs a name" in capsys.readouterr().err
    assert not state.log.exists() or secret not in state.log.read_text()
