"""The clinic's source: joins two files, and writes nobody's name."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lifecycle import usecases
from lifecycle.data_keys import PSEUDONYM
from lifecycle.errors import ConfigError, InvalidDataError, MLOpsError, SourceError
from lifecycle.privacy import read_revealed
from lifecycle.state import State
from tests import planted
from usecases.healthcare import patients, source

SCHEMA = usecases.find("healthcare").table_schema()
NUMBER, NAME, BORN = "PN-77310042", "Zenobia Quillfeather", "1931-02-27"
PLANTED = (NUMBER, NAME, "Quillfeather", BORN)


def person(number: str | None = NUMBER, **changed: Any) -> dict[str, Any]:
    record = {"patient_number": number, "name": NAME, "date_of_birth": BORN, "clinic": "north"}
    return record | {"diagnosis": "benign"} | changed


def files(folder: Path, records: list[dict[str, Any]], numbers: list[str]) -> dict[str, str]:
    """Options that name two files: these records, and the same measurements for each number."""
    lines = [",".join(["patient_number", *SCHEMA.features])]
    lines += [",".join([number, *["0.5"] * len(SCHEMA.features)]) for number in numbers]
    folder.mkdir(exist_ok=True)
    (folder / "lab.csv").write_text("\n".join(lines) + "\n")
    (folder / "records.json").write_text(json.dumps({"records": records}))
    return {"measurements": "lab.csv", "records": "records.json"}


@pytest.fixture
def out(state: State) -> Path:
    folder = state.work / "load"
    folder.mkdir(parents=True)
    return folder


def test_the_packaged_data_become_a_protected_table_that_fits_the_schema(
    state: State, out: Path
) -> None:
    assert source.load({}, Path(), out) == ("569 invented patients with the packaged measurements")
    frame = read_revealed(out / "table.parquet", SCHEMA).to_pandas()
    fits = SCHEMA.pandera().validate(frame)
    assert list(fits.columns) == list(SCHEMA.columns)
    assert fits["diagnosis"].value_counts().to_dict() == {"benign": 357, "malignant": 212}
    assert fits["patient_id"].str.fullmatch(PSEUDONYM.pattern).all()
    assert fits["clinic"].nunique() == len(patients.CLINICS)
    export = json.loads(patients.exports(0)[1])["records"]
    words = {str(record[key]) for record in export for key in ("patient_number", "name")}
    assert planted.find(state.root, words) == []


def test_the_same_seed_gives_the_same_table_and_another_other_patients(
    state: State, out: Path
) -> None:
    tables = []
    for seed in (1, 1, 2):
        source.load({"seed": seed}, Path(), out)
        tables.append(pq.read_table(out / "table.parquet"))
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    assert source.digest({}, Path()) == ""


def test_planted_patients_stand_nowhere_in_the_state_folder(
    state: State, out: Path, tmp_path: Path
) -> None:
    options = files(tmp_path / "in", [person()], [NUMBER])
    assert planted.find(tmp_path / "in", PLANTED) != []
    said = source.load(options, tmp_path / "in", out)
    assert said == "1 patients"
    assert planted.find(state.root, PLANTED) == []
    (row,) = read_revealed(out / "table.parquet", SCHEMA).to_pylist()
    assert (row["name"], row["date_of_birth"], row["clinic"]) == (NAME, BORN, "north")
    assert row["mean_radius"] == "0.5"


def test_rows_without_a_partner_are_left_out_and_counted(out: Path, tmp_path: Path) -> None:
    records = [person(), person("PN-1"), person(None), person("  ")]
    options = files(tmp_path, records, [f" {NUMBER} ", "PN-2", "PN-3"])
    said = source.load(options, tmp_path, out)
    assert "left out: 2 measurements without a record and 1 records without meas" in said
    assert pq.read_table(out / "table.parquet").num_rows == 1
    with pytest.raises(InvalidDataError, match="none of 1 measurements has a record"):
        source.load(files(tmp_path, [person()], ["PN-2"]), tmp_path, out)


@pytest.mark.parametrize("side", ["measurements", "records"])
def test_a_patient_that_is_there_twice_is_refused_without_saying_who(
    out: Path, tmp_path: Path, side: str
) -> None:
    twice = {"measurements": 1, "records": 1} | {side: 2}
    options = files(tmp_path, [person()] * twice["records"], [NUMBER] * twice["measurements"])
    with pytest.raises(InvalidDataError, match=rf"{side}: 1 patient numbers.*rows 1, 2") as raised:
        source.load(options, tmp_path, out)
    assert_silent(raised.value)
    assert list(out.iterdir()) == []


BROKEN = {
    "no header": ("lab.csv", f"{NUMBER},{NAME},{BORN}\n"),
    "another separator": ("lab.csv", f"patient_number;mean_radius\n{NUMBER};{NAME}\n"),
    "no CSV": ("lab.csv", f'a,b\n"{NAME}'),
    "empty": ("lab.csv", ""),
    "no JSON": ("records.json", f'{{"records": [{{"{NAME}": "{NUMBER}"'),
    "other JSON": ("records.json", f'["{NAME}"]'),
    "list of words": ("records.json", f'{{"records": ["{NAME}"]}}'),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_without_quoting_it(out: Path, tmp_path: Path, kind: str) -> None:
    options = files(tmp_path, [person()], [NUMBER])
    name, text = BROKEN[kind]
    (tmp_path / name).write_text(text)
    with pytest.raises((SourceError, InvalidDataError)) as raised:
        source.load(options, tmp_path, out)
    assert_silent(raised.value)


def test_options_that_do_not_fit_are_refused(out: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one of measurements and records"):
        source.load({"records": "records.json"}, tmp_path, out)
    with pytest.raises(ConfigError, match="Did you mean 'records'"):
        source.load({"record": "x"}, tmp_path, out)
    with pytest.raises(SourceError, match=r"nowhere\.csv cannot be read: No such file"):
        source.load({"measurements": "nowhere.csv", "records": "x.json"}, tmp_path, out)


def test_the_digest_follows_the_files(tmp_path: Path) -> None:
    options = files(tmp_path, [person()], [NUMBER])
    first = source.digest(options, tmp_path)
    assert first == source.digest(options, tmp_path)
    files(tmp_path, [person(clinic="south")], [NUMBER])
    assert source.digest(options, tmp_path) not in ("", first)


def assert_silent(error: MLOpsError) -> None:
    """Neither the message nor what a traceback would show with it names the patient."""
    shown = [str(error), repr(error.__cause__)]
    if not error.__suppress_context__:
        shown.append(repr(error.__context__))
    assert not any(word in text for word in PLANTED for text in shown)
