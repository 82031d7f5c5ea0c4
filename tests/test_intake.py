"""Files of a user's own: what is read, what is refused, what is set aside, and how much memory."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from classic.tabular.stages.version import version
from lifecycle import batches
from lifecycle.errors import DataError, InvalidDataError, MLOpsError
from lifecycle.fingerprint import ROOT
from lifecycle.intake import FilesConfig, digest_files, load_files
from lifecycle.stages import BROKEN_LINES, TABLE, ValidationSummary, validate_table
from lifecycle.tables import Column, TableSchema

SCHEMA = TableSchema(
    columns={
        "id": Column(type="integer", role="id", unique=True),
        "age": Column(type="integer", min=0, max=120),
        "at": Column(type="time", role="time", max="now"),
        "left": Column(type="boolean", role="target"),
    }
)
HEAD = "id,age,at,left\n"


def load(tmp_path: Path, data: bytes | str, name: str = "data.csv", **config: object) -> Path:
    """The folder that holds the table."""
    (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    out = tmp_path / "loaded"
    out.mkdir()
    load_files(FilesConfig.model_validate({"path": name} | config), tmp_path, out)
    return out


def records(folder: Path) -> list[dict[str, object]]:
    return pq.read_table(folder / TABLE).to_pylist()  # type: ignore[no-any-return]


def checked(
    tmp_path: Path, source: Path, allowed: float = 1.0, schema: TableSchema = SCHEMA
) -> tuple[ValidationSummary, Path]:
    out = tmp_path / "validated"
    out.mkdir(exist_ok=True)
    return validate_table(source, schema.pandera(), tmp_path / "q", allowed, out, schema), out


def problems(summary: ValidationSummary) -> list[str]:
    return pd.read_csv(summary.quarantine, dtype=str)["problem"].tolist()


@pytest.mark.parametrize(
    ("data", "config"),
    [
        ("a,b\n1, x \n2,NA\n", {}),
        ("\ufeffa,b\n1,x\n2,\n", {}),
        ("a;b\n1;x\n2;null\n", {}),
        ("a\tb\r\n1\tx\r\n2\tnan\r\n", {}),
        ('"a","b"\n"1","x"\n"2",None\n', {}),
        ("a~b\n1~x\n2~\n", {"separator": "~"}),
        ("a,b\n1,x\n2,-\n", {"missing": ["-"]}),
    ],
)
def test_text_is_read_whatever_separates_it(
    data: str, config: dict[str, object], tmp_path: Path
) -> None:
    found = load(tmp_path, data, **config)
    assert records(found) == [{"a": "1", "b": "x"}, {"a": "2", "b": None}]


def test_quoted_separators_breaks_and_letters_stay(tmp_path: Path) -> None:
    found = load(tmp_path, 'name,b\n"Ä, ""x""","one\ntwo"\n')
    assert records(found) == [{"name": 'Ä, "x"', "b": "one\ntwo"}]


def test_utf16_and_named_encodings_are_read(tmp_path: Path) -> None:
    for number, (encoding, named) in enumerate((("utf-16", ""), ("latin-1", "latin-1"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert records(load(folder, "a,b\nä,1\n".encode(encoding), encoding=named))[0]["a"] == "ä"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "is empty"),
        (HEAD, "holds no rows"),
        ("a\n1\n2\n", "has one column only: its first line is 'a', without a comma"),
        ("a,b,A\n1,2,3\n", "names column 'a' twice"),
        (",b\n1,2\n", "gives column 1 no name"),
        ("a,b\nä,1\n".encode("latin-1"), "is not UTF-8; it may be Latin-1 or Windows-1252"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    data: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as raised:
        load(tmp_path, data)
    assert message in str(raised.value)
    assert "data.csv" in str(raised.value)


def test_a_wrong_separator_is_answered_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="seem to be separated by a semicolon"):
        load(tmp_path, "a;b\n1;2\n", separator=",")


def test_a_missing_file_and_a_damaged_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"source\.path 'none\.csv' does not exist"):
        load_files(FilesConfig(path="none.csv"), tmp_path, tmp_path)
    with pytest.raises(DataError, match=r"data\.parquet is no readable Parquet file"):
        load(tmp_path, "no parquet", "data.parquet")


def test_files_of_a_folder_are_one_table_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder, out = tmp_path / "months", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    (folder / "b.csv").write_text("b,a\n4,3\n")
    (folder / "a.csv").write_text("a,b\n1,2\n")
    assert "from 2 files" in load_files(FilesConfig(path="months"), tmp_path, out)
    assert records(out) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    before = digest_files(FilesConfig(path="months"), tmp_path)
    (folder / "c.csv").write_text("a,c\n1,2\n")
    assert digest_files(FilesConfig(path="months"), tmp_path) != before
    with pytest.raises(DataError, match="lacks column"):
        load_files(FilesConfig(path="months"), tmp_path, out)


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, 2], "t": pd.to_datetime(["2024-01-01"] * 2), "s": [" x", "NA"]})
    frame.to_parquet(tmp_path / "data.parquet")
    found = load(tmp_path, (tmp_path / "data.parquet").read_bytes(), "data.parquet")
    assert str(pq.read_schema(found / TABLE).field(0).type) == "int64"
    assert [row["s"] for row in records(found)] == ["x", None]


def test_a_missing_target_is_named_with_the_nearest_column(tmp_path: Path) -> None:
    source = load(tmp_path, "id,age,at,lefd\n1,2,2024-01-01,1\n")
    with pytest.raises(InvalidDataError, match=r"lacks column 'left' .*'lefd'"):
        checked(tmp_path, source)


def test_each_kind_of_bad_row_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    lines = "1,30,2024-10-01,1\n1,31,2024-10-02,0\n2,130,2024-10-02,0\n3,30,2999-01-01,1\n4,30\n"
    summary, out = checked(tmp_path, load(tmp_path, HEAD + lines))
    assert (summary.good, summary.bad) == (1, 4)
    assert sorted(problems(summary)) == [
        "age 130 is above 120",
        "at 2999-01-01 00:00:00+00:00 is in the future",
        "id '1' is a duplicate",
        "line 6 of data.csv has too few columns",
    ]
    assert pq.read_schema(out / TABLE).equals(SCHEMA.arrow())
    assert not (out / BROKEN_LINES).exists()


def ten_in_a_hundred(rows: int) -> str:
    lines = (
        f"{n},{'old' if n % 10 == 0 else n % 90},2024-{n % 12 + 1:02}-01,{n % 2}\n"
        for n in range(rows)
    )
    return HEAD + "".join(lines) + "5,1,2024-01-01,1\n"


def test_one_row_in_ten_is_set_aside_and_reported(tmp_path: Path) -> None:
    source = load(tmp_path, ten_in_a_hundred(2_000))
    summary, _ = checked(tmp_path, source, 0.11)
    assert (summary.good, summary.bad) == (1_800, 201)
    with pytest.raises(InvalidDataError) as raised:
        checked(tmp_path, source, 0.1)
    message = str(raised.value)
    assert "age cannot be read as a whole number in 200 rows (such as 'old')" in message
    assert "id is a duplicate in 1 row (such as '5')" in message
    assert summary.quarantine in message


def test_how_many_rows_are_read_at_a_time_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = load(tmp_path, ten_in_a_hundred(1_000))
    summary, out = checked(tmp_path, source)
    table = pq.read_table(out / TABLE)
    monkeypatch.setattr(batches, "ROWS", 64)
    again, out = checked(tmp_path, source)
    assert again == summary
    assert pq.read_table(out / TABLE).equals(table)


def test_a_version_has_a_partition_for_each_month(tmp_path: Path) -> None:
    _, out = checked(tmp_path, load(tmp_path, ten_in_a_hundred(600)))
    (tmp_path / "versioned").mkdir()
    version(out, SCHEMA, tmp_path / "store", "people", "", tmp_path / "versioned")
    (manifest,) = (tmp_path / "store/people/versions").iterdir()
    parts = json.loads(manifest.read_text())["partitions"]
    assert [part["key"] for part in parts] == [f"2024-{month:02}" for month in range(1, 13)]
    assert sum(part["rows"] for part in parts) == 540


BIG = """
import sys
from pathlib import Path
from lifecycle.intake import FilesConfig, load_files
from classic.tabular.stages.version import version
from lifecycle.stages import validate_table
from lifecycle.tables import read_schema

root = Path(sys.argv[1])
schema = read_schema(root / "schema.yaml")
loaded, validated, versioned = (root / name for name in ("loaded", "validated", "versioned"))
for folder in (loaded, validated, versioned):
    folder.mkdir()
load_files(FilesConfig(path="data.csv", memory_limit="400MB"), root, loaded)
done = validate_table(loaded, schema.pandera(), root / "q", 0.2, validated, schema)
version(validated, schema, root / "store", "big", "", versioned)
# Not getrusage's: that begins with the memory of the process which started this one.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(done.good, done.bad, int(peak.split()[1]) // 1024)
"""
BIG_SCHEMA = """
columns:
  id: {type: integer, role: id, unique: true}
  at: {type: time, role: time, max: now}
  text: {type: text, role: ignored}
  x: {type: number, min: 0}
  y: {type: boolean, role: target}
"""


def write_big(path: Path, rows: int) -> None:
    with path.open("w") as file:
        file.write("id,at,text,x,y\n")
        for first in range(0, rows, 10_000):
            file.writelines(
                f"{n},2024-{n % 12 + 1:02}-{n % 28 + 1:02}T00:00:00,{n * 7919:040x}{n:060},"
                f"{'x' if n % 10 == 0 else n / 7},{n % 2}\n"
                for n in range(first, first + 10_000)
            )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory from /proc")
def test_a_large_file_passes_in_bounded_memory(tmp_path: Path) -> None:
    rows = 2_000_000
    write_big(tmp_path / "data.csv", rows)
    assert (tmp_path / "data.csv").stat().st_size > 280e6
    (tmp_path / "schema.yaml").write_text(BIG_SCHEMA)
    done = subprocess.run(
        [sys.executable, "-c", BIG, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    good, bad, megabytes = map(int, done.stdout.split())
    assert (good, bad) == (rows * 9 // 10, rows // 10)
    assert megabytes < 1_500


def test_errors_are_of_the_tree(tmp_path: Path) -> None:
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed/a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "mixed/a.parquet").write_text("")
    with pytest.raises(MLOpsError, match="holds text files and Parquet files"):
        load_files(FilesConfig(path="mixed"), tmp_path, tmp_path)
