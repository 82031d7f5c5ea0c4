"""Sensitive columns: what the key opens, what nobody else reads, and where the key lies."""

import base64
import copy
import stat
import subprocess
import sys
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle import data_keys, privacy
from lifecycle.data_keys import PSEUDONYM, Keys
from lifecycle.errors import ConfigError, DataError
from lifecycle.privacy import TOKEN, protect, pseudonym, reveal
from lifecycle.state import State
from lifecycle.tables import Column, TableSchema
from tests import planted

KEYS, OTHERS = Keys(b"k" * 32), Keys(b"o" * 32)
SCHEMA = TableSchema(
    columns={
        "patient": Column(type="text", role="id", sensitive=True),
        "secret": Column(type="text", role="ignored", sensitive=True),
        "label": Column(type="integer", role="target"),
    }
)
TYPES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): st.text(),
    pa.binary(): st.binary(),
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.float32(): st.floats(allow_nan=False, width=32),
    pa.date32(): st.dates(),
    pa.time64("us"): st.times(),
    pa.duration("ms"): st.integers(-(10**9), 10**9).map(lambda ms: timedelta(milliseconds=ms)),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("us", "UTC"): st.datetimes().map(lambda moment: moment.replace(tzinfo=UTC)),
    pa.decimal128(9, 2): st.decimals(-1000, 1000, places=2),
}


def table(secret: "pa.Array | list[Any]", patient: list[Any] | None = None) -> pa.Table:
    size = len(secret)
    return pa.table(
        {"patient": patient or [f"PN-{row}" for row in range(size)], "secret": secret,
         "label": [1] * size}
    )  # fmt: skip


def tokens(of: pa.Table) -> list[Any]:
    return of["secret"].to_pylist()  # type: ignore[no-any-return]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_what_is_encrypted_comes_back_as_it_was(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(TYPES)))
    values = data.draw(st.lists(st.none() | TYPES[kind], min_size=1, max_size=6))
    plain = table(pa.array(values, kind))
    hidden = protect(plain, SCHEMA, KEYS)
    assert [token is None for token in tokens(hidden)] == [value is None for value in values]
    assert all(TOKEN.fullmatch(token) for token in tokens(hidden) if token is not None)
    shown = reveal(hidden, SCHEMA, KEYS)["secret"]
    assert shown.to_pylist() == values
    assert shown.type == (kind if any(value is not None for value in values) else pa.string())


@given(values=st.lists(st.none() | st.text(), min_size=1, max_size=6))
def test_the_same_content_gives_the_same_table_and_protecting_twice_changes_nothing(
    values: list[str | None],
) -> None:
    plain = table(pa.array(values, pa.string()))
    once = protect(plain, SCHEMA, KEYS)
    assert protect(plain, SCHEMA, Keys(b"k" * 32)).equals(once)
    assert protect(once, SCHEMA, KEYS).equals(once)
    as_large = plain.set_column(1, "secret", plain["secret"].cast(pa.large_string()))
    as_codes = plain.set_column(1, "secret", plain["secret"].dictionary_encode())
    assert protect(as_large, SCHEMA, KEYS).equals(once)
    assert protect(as_codes, SCHEMA, KEYS).equals(once)


@given(value=st.text(min_size=1))
def test_other_keys_and_other_columns_give_other_words(value: str) -> None:
    names = {keys.pseudonym(value, column) for keys in (KEYS, OTHERS) for column in ("a", "b")}
    assert len(names) == 4
    assert all(PSEUDONYM.fullmatch(name) and 26 <= len(name) <= 32 for name in names)
    sealed = {KEYS.encrypt(value.encode("utf-8"), "a"), KEYS.encrypt(value.encode("utf-8"), "b"),
              OTHERS.encrypt(value.encode("utf-8"), "a")}  # fmt: skip
    assert len(sealed) == 3


@settings(deadline=None)
@given(value=st.binary(max_size=40), place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_one_altered_bit_is_noticed(value: bytes, place: int, bit: int) -> None:
    sealed = bytearray(base64.urlsafe_b64decode(KEYS.encrypt(value, "secret")[5:] + "=="))
    sealed[place % len(sealed)] ^= 1 << bit
    token = f"enc1.{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"
    with pytest.raises(DataError, match="column 'secret' cannot be decrypted"):
        KEYS.decrypt(token, "secret")


def test_another_key_is_refused_with_the_way_out() -> None:
    hidden = protect(table(["Roberta"]), SCHEMA, KEYS)
    with pytest.raises(DataError, match=r"MLOPS_DATA_KEY is not the key.*--no-cache") as raised:
        reveal(hidden, SCHEMA, OTHERS)
    assert tokens(hidden)[0] not in str(raised.value)
    with pytest.raises(DataError, match="pseudonyms of another key"):
        protect(hidden, SCHEMA, OTHERS)


def test_a_value_moved_to_another_column_is_noticed() -> None:
    with pytest.raises(DataError, match="cannot be decrypted"):
        KEYS.decrypt(KEYS.encrypt(b"string\0x", "name"), "secret")


def test_pseudonyms_join_tables_whatever_the_type_and_never_come_back() -> None:
    text = pseudonym(pa.chunked_array([["7", None, "7", "8"]]), "patient", KEYS).to_pylist()
    numbers = pseudonym(pa.chunked_array([[7, None], [7, 8]]), "patient", KEYS).to_pylist()
    assert text == numbers
    assert text[0] == text[2] != text[3]
    assert text[1] is None
    hidden = protect(table(["x"], ["PN-1"]), SCHEMA, KEYS)
    assert reveal(hidden, SCHEMA, KEYS)["patient"].equals(hidden["patient"])


def test_equal_numbers_have_equal_tokens() -> None:
    zero, minus = tokens(protect(table(pa.array([0.0, -0.0])), SCHEMA, KEYS))
    assert zero == minus


def test_revealing_what_was_never_protected_changes_nothing() -> None:
    plain = table(["Roberta", None])
    assert reveal(plain, SCHEMA, KEYS).equals(plain)


def test_a_half_protected_column_is_refused_and_lists_are_named() -> None:
    mixed = [*tokens(protect(table(["x"]), SCHEMA, KEYS)), "plain"]
    with pytest.raises(DataError, match="'secret' is encrypted in part only"):
        reveal(table(mixed), SCHEMA, KEYS)
    with pytest.raises(DataError, match=r"'secret' has type list<.*cannot be encrypted"):
        protect(table([["x"]]), SCHEMA, KEYS)


def test_no_plain_value_reaches_the_file(state: State, tmp_path: Path) -> None:
    names = [f"Quillfeather-{row}" for row in range(3000)]
    plain = table(names, [f"PN-99{row:05d}" for row in range(3000)])
    assert planted.find(tmp_path, [names[0]]) == []
    pq.write_table(plain, tmp_path / "plain.parquet")
    assert planted.find(tmp_path, [names[0], "PN-9900007"]) != []
    (tmp_path / "plain.parquet").unlink()
    file = tmp_path / "table.parquet"
    privacy.write_protected(plain, SCHEMA, file)
    assert planted.find(tmp_path, [names[0], names[-1], "PN-9900007", "Quillfeather"]) == []
    assert privacy.read_revealed(file, SCHEMA)["secret"].to_pylist() == names


def test_batches_give_the_same_file_as_the_whole(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = table(pa.array([None, None, 5, 7]))
    privacy.write_protected(plain, SCHEMA, tmp_path / "whole")
    monkeypatch.setattr(privacy, "BATCH_ROWS", 1)
    privacy.write_protected(plain.to_reader(1), SCHEMA, tmp_path / "pieces")
    whole, pieces = (pq.read_table(tmp_path / name) for name in ("whole", "pieces"))
    assert pieces.equals(whole)
    assert privacy.read_revealed(tmp_path / "pieces", SCHEMA)["secret"].equals(plain["secret"])
    privacy.write_protected(plain.slice(0, 0), SCHEMA, tmp_path / "empty")
    assert privacy.read_revealed(tmp_path / "empty", SCHEMA).num_rows == 0


def test_a_table_without_sensitive_columns_needs_no_key(state: State, tmp_path: Path) -> None:
    open_schema = TableSchema(columns={"label": Column(type="integer", role="target")})
    privacy.write_protected(pa.table({"label": [1]}), open_schema, tmp_path / "file")
    assert privacy.read_revealed(tmp_path / "file", open_schema).num_rows == 1
    assert not data_keys.key_file(state).exists()


def test_the_key_file_is_made_once_for_its_owner_only(state: State) -> None:
    made = Keys.from_env().pseudonym("x", "id")
    file = data_keys.key_file(state)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(base64.b64decode(file.read_bytes())) == 32
    assert Keys.from_env().pseudonym("x", "id") == made


def test_processes_that_start_together_get_one_key(state: State) -> None:
    code = "from lifecycle.data_keys import Keys; print(Keys.from_env().pseudonym('x', 'id'))"
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({run.communicate()[0] for run in runs}) == 1
    assert all(run.returncode == 0 for run in runs)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("not base64!", "is no base64"), ("c2hvcnQ=", "holds 5 bytes; a data key has 32")],
)
def test_a_bad_key_is_refused_and_not_shown(
    state: State, monkeypatch: pytest.MonkeyPatch, text: str, problem: str
) -> None:
    monkeypatch.setenv("MLOPS_DATA_KEY", text)
    with pytest.raises(ConfigError, match=rf"MLOPS_DATA_KEY {problem}.*Make a key") as raised:
        Keys.from_env()
    assert text not in str(raised.value)
    monkeypatch.delenv("MLOPS_DATA_KEY")
    data_keys.key_file(state).parent.mkdir(parents=True)
    data_keys.key_file(state).write_text(text)
    with pytest.raises(ConfigError, match=rf"data\.key {problem}"):
        Keys.from_env()


def test_the_variable_goes_before_the_file(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (base64.b64encode(b"k" * 32), base64.urlsafe_b64encode(b"k" * 32)):
        monkeypatch.setenv("MLOPS_DATA_KEY", text.decode())
        assert Keys.from_env().pseudonym("x", "id") == KEYS.pseudonym("x", "id")
    assert not data_keys.key_file(state).exists()


def test_keys_show_and_pickle_nothing() -> None:
    assert repr(KEYS) == "Keys(hidden)"
    with pytest.raises(TypeError, match="never stored"):
        copy.copy(KEYS)
