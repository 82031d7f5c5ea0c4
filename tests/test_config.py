"""Configuration: overrides, and errors that name the nearest key."""

from pathlib import Path

import pytest

from lifecycle.config import known_keys, load_config, parse_override
from lifecycle.errors import ConfigError
from lifecycle.usecases import FOLDER
from rag.config import RagConfig


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    path = tmp_path / "rag.yaml"
    path.write_text("source: {paths: [docs]}\nretrieval: {k: 5}\n")
    return path


def test_overrides_are_read_as_yaml_and_win(yaml: Path) -> None:
    config = load_config(RagConfig, yaml, ["retrieval.k=9", 'source.paths=["a b", c]'])
    assert config.retrieval.k == 9
    assert config.source.paths == ["a b", "c"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("retreival.k=8", "unknown key 'retreival.k'. Did you mean 'retrieval.k'?"),
        ("retrieval.kk=8", "unknown key 'retrieval.kk'. Did you mean 'retrieval.k'?"),
        ("k=8", "unknown key 'k'. Did you mean 'retrieval.k'?"),
        ("retrieval.k=many", "retrieval.k='many' does not fit"),
        ("retrieval.k", "--set 'retrieval.k' is no key=value."),
        ("retrieval.k.x=1", "unknown key|holds no keys"),
        ("source.paths=[", "the value is no YAML"),
        ("resources.gpus=some", "does not fit"),
    ],
)
def test_a_wrong_override_names_value_and_way_out(yaml: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(RagConfig, yaml, [override])
    assert any(part in str(caught.value) for part in message.split("|"))
    assert "\n" not in str(caught.value)


def test_an_unknown_key_in_the_file_is_refused(yaml: Path) -> None:
    yaml.write_text("retrieval: {kay: 5}\n")
    with pytest.raises(ConfigError, match=r"unknown key 'retrieval\.kay'"):
        load_config(RagConfig, yaml)


@pytest.mark.parametrize("text", ["a: [", "- 1", "\0"])
def test_a_broken_file_is_named(yaml: Path, text: str) -> None:
    yaml.write_text(text)
    with pytest.raises(ConfigError, match=r"rag\.yaml"):
        load_config(RagConfig, yaml)


def test_a_missing_file_names_its_neighbour(yaml: Path) -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'rag\.yaml'"):
        load_config(RagConfig, yaml.with_name("rga.yaml"))


def test_every_shipped_configuration_loads() -> None:
    paths = sorted(FOLDER.glob("*/rag.yaml"))
    assert paths
    for path in paths:
        assert load_config(RagConfig, path).gate.rules


def test_keys_are_listed_with_their_blocks() -> None:
    assert {"retrieval", "retrieval.k", "resources.gpus"} <= set(known_keys(RagConfig))


def test_the_tree_is_frozen(yaml: Path) -> None:
    config = load_config(RagConfig, yaml)
    with pytest.raises(ValueError, match="frozen"):
        config.retrieval.k = 1  # type: ignore[misc]


def test_a_value_may_hold_an_equals_sign() -> None:
    assert parse_override("generation.base_url=http://x/?a=b") == (
        "generation.base_url",
        "http://x/?a=b",
    )
