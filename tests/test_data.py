"""Data versions: content decides the id, a crash loses nothing, DuckDB reads and cannot write."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle import atomic
from lifecycle.content import content_hash
from lifecycle.data import DataStore, Partition, version_id
from lifecycle.errors import ConfigError, DataError, StorageError

NOON = datetime(2024, 10, 1, 12, tzinfo=UTC)
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "whole": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "small": (pa.uint8(), st.integers(0, 255)),
    "real": (pa.float64(), st.floats(allow_nan=False)),
    "flag": (pa.bool_(), st.booleans()),
    "text": (pa.string(), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
    "raw": (pa.binary(), st.binary(max_size=4)),
    "money": (pa.decimal128(9, 2), st.integers(-999, 999).map(lambda n: Decimal(n).scaleb(-2))),
    "tags": (pa.list_(pa.string()), st.lists(st.none() | st.text("ab", max_size=2), max_size=3)),
    "point": (pa.struct([("x", pa.int32())]), st.fixed_dictionaries({"x": st.integers(0, 9)})),
}


@st.composite
def columns(draw: st.DrawFn) -> dict[str, tuple[pa.DataType, list[Any]]]:
    rows = draw(st.integers(1, 12))
    names = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, unique=True))
    return {
        name: (
            KINDS[name][0],
            draw(st.lists(st.none() | KINDS[name][1], min_size=rows, max_size=rows)),
        )
        for name in names
    }


def table(content: dict[str, tuple[pa.DataType, list[Any]]]) -> pa.Table:
    return pa.table({name: pa.array(values, kind) for name, (kind, values) in content.items()})


def ratings(*stars: float) -> pa.Table:
    return pa.table({"user": [f"u{n}" for n in range(len(stars))], "stars": list(stars)})


@settings(max_examples=60)
@given(columns(), st.lists(st.integers(0, 12), max_size=4))
def test_same_content_in_another_chunk_layout_has_the_same_hash(
    content: dict[str, tuple[pa.DataType, list[Any]]], cuts: list[int]
) -> None:
    whole = table(content)
    borders = [0, *sorted(min(cut, whole.num_rows) for cut in cuts), whole.num_rows]
    pieces = [whole.slice(a, b - a) for a, b in pairwise(borders)]
    assert content_hash(pa.concat_tables(pieces)) == content_hash(whole)


@settings(max_examples=60)
@given(columns(), st.data())
def test_any_changed_value_or_null_has_another_hash(
    content: dict[str, tuple[pa.DataType, list[Any]]], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(content)))
    kind, values = content[name]
    row = data.draw(st.integers(0, len(values) - 1))
    other = data.draw((st.none() | KINDS[name][1]).filter(lambda value: value != values[row]))
    changed = content | {name: (kind, [*values[:row], other, *values[row + 1 :]])}
    assert content_hash(table(changed)) != content_hash(table(content))


@settings(max_examples=60)
@given(columns(), st.data())
def test_rows_in_another_order_have_another_hash(
    content: dict[str, tuple[pa.DataType, list[Any]]], data: st.DataObject
) -> None:
    whole = table(content)
    order = data.draw(st.permutations(range(whole.num_rows)))
    shuffled = whole.take(order)
    same = shuffled.to_pylist() == whole.to_pylist()
    assert (content_hash(shuffled) == content_hash(whole)) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1, 2], pa.int64()), pa.array([1, 2], pa.int32())),
        (pa.array([1, 2], pa.int64()), pa.array([1, 2], pa.float64())),
        (pa.array(["a"]), pa.array([b"a"])),
        (pa.array([None], pa.int64()), pa.array([0], pa.int64())),
        (pa.array([None], pa.string()), pa.array([""])),
        (pa.array(["ab", "c"]), pa.array(["a", "bc"])),
        (pa.array([[1], []]), pa.array([[], [1]])),
        (pa.array([[None]], pa.list_(pa.int64())), pa.array([None], pa.list_(pa.int64()))),
        (pa.array([NOON], pa.timestamp("us", "UTC")), pa.array([NOON], pa.timestamp("ms", "UTC"))),
    ],
)
def test_what_only_looks_alike_has_another_hash(one: pa.Array, other: pa.Array) -> None:
    assert content_hash(pa.table({"x": one})) != content_hash(pa.table({"x": other}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array(["a", None]), pa.array(["a", None], pa.large_string())),
        (pa.array(["a", "a", None]), pa.array(["a", "a", None]).dictionary_encode()),
        (pa.array([[1], None]), pa.array([[1], None], pa.large_list(pa.int64()))),
        (
            pa.Array.from_buffers(
                pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([1, 9]).buffers()[1]]
            ),
            pa.array([1, None]),
        ),
        (pa.array([float("nan")]), -pa.array([float("nan")]).to_numpy()),
        (pa.array([0.0]), pa.array([-0.0])),
    ],
)
def test_how_arrow_stores_it_does_not_count(one: pa.Array, other: pa.Array) -> None:
    assert content_hash(pa.table({"x": one})) == content_hash(pa.table({"x": other}))


def test_metadata_of_the_table_does_not_count() -> None:
    plain = ratings(3, 4)
    assert content_hash(plain.replace_schema_metadata({"pandas": "2"})) == content_hash(plain)


def test_a_known_table_keeps_its_hash() -> None:
    known = pa.table(
        {
            "user": ["a", None, "é"],
            "stars": pa.array([1.5, None, float("nan")]),
            "at": pa.array([NOON, NOON, None], pa.timestamp("us", "UTC")),
        }
    )
    assert content_hash(known) == "e2803fd41d6aaea6eec4d49672df5656107c7669a18a44c2e28a21744506d23a"


def test_a_version_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    november, october = ratings(5.0, 1.0, 2.0), ratings(3.0)
    version = store.write("ratings", {"2024-11/eu": november, "2024-10/eu": october})
    assert [part.key for part in version.partitions] == ["2024-10/eu", "2024-11/eu"]
    assert version.rows == 4
    assert store.read(version).to_pylist() == october.to_pylist() + november.to_pylist()
    assert store.read(version, columns=["stars"], partitions=["2024-11/eu"]).to_pydict() == {
        "stars": [5.0, 1.0, 2.0]
    }
    assert store.open("ratings", version.id) == version
    store.verify(version)


@settings(max_examples=15)
@given(columns())
def test_every_type_survives_parquet_and_verifies(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, tuple[pa.DataType, list[Any]]]
) -> None:
    store = DataStore(tmp_path_factory.mktemp("store"))
    version = store.write("mixed", {"all": table(content)})
    store.verify(version)
    assert store.read(version).to_pylist() == table(content).to_pylist()


def test_large_partitions_keep_their_row_order(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    numbers = pa.table({"n": pa.array(range(150_000))})
    version = store.write("n", {"a": numbers, "b": numbers.slice(5)})
    assert store.read(version)["n"].to_pylist() == [*range(150_000), *range(5, 150_000)]


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    first = store.write("ratings", {"all": ratings(1, 2)}, {"chunker": "c1"})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    again = store.write("ratings", {"all": ratings(1, 2)}, {"chunker": "c1"})
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert store.versions("ratings") == [first]


def test_the_id_depends_on_data_set_keys_content_and_context(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    ids = {
        store.write("a", {"x": ratings(1)}).id,
        store.write("b", {"x": ratings(1)}).id,
        store.write("a", {"y": ratings(1)}).id,
        store.write("a", {"x": ratings(2)}).id,
        store.write("a", {"x": ratings(1)}, {"embedder": "e"}).id,
        store.write("a", {"x": ratings(1)}, {"embedder": "f"}).id,
    }
    assert len(ids) == 6
    assert all(len(one) == 16 for one in ids)


def test_the_id_does_not_depend_on_the_order_of_partitions_and_context() -> None:
    one, two = Partition("a", "1" * 64, 1), Partition("b", "2" * 64, 1)
    forth = version_id("d", [one, two], {"x": "1", "y": "2"})
    assert version_id("d", [two, one], {"y": "2", "x": "1"}) == forth


def test_two_windows_share_the_partition_file_of_equal_content(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    october = store.write("r", {"2024-10": ratings(1, 2)})
    both = store.write("r", {"2024-10": ratings(1, 2), "2024-12": ratings(3), "copy": ratings(3)})
    assert october.id != both.id
    assert len(list(tmp_path.rglob("*.parquet"))) == 2
    counted = store.query(both, "SELECT partition, count(*) AS n FROM data GROUP BY 1 ORDER BY 1")
    assert counted.to_pydict() == {"partition": ["2024-10", "2024-12", "copy"], "n": [2, 1, 1]}


def test_versions_come_oldest_first(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    assert store.versions("r") == []
    written = [store.write("r", {"all": ratings(n)}) for n in range(3)]
    listed = store.versions("r")
    assert {version.id for version in listed} == {version.id for version in written}
    assert [version.created for version in listed] == sorted(one.created for one in written)


def test_an_empty_partition_is_a_partition(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    version = store.write("r", {"full": ratings(1.0), "none": ratings(1.0).slice(1)})
    assert version.rows == 1
    assert store.read(version, partitions=["none"]).num_rows == 0
    store.verify(version)


class Crash(Exception):
    pass


def test_a_crash_before_the_manifest_leaves_the_earlier_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DataStore(tmp_path)
    first = store.write("r", {"all": ratings(1)})

    def crash(path: Path, text: str) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "write_text", crash)
        with pytest.raises(Crash):
            store.write("r", {"all": ratings(2)})
    assert store.versions("r") == [first]
    assert store.read(first).to_pylist() == ratings(1).to_pylist()
    second = store.write("r", {"all": ratings(2)})
    assert {version.id for version in store.versions("r")} == {first.id, second.id}


def test_a_full_disk_leaves_the_earlier_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DataStore(tmp_path)
    first = store.write("r", {"all": ratings(1)})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StorageError, match="No space left on device"):
            store.write("r", {"all": ratings(2)})
    assert store.versions("r") == [first]
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(atomic.TEMPORARY)]


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def test_a_flipped_byte_is_refused_by_name_and_mended_by_writing_again(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    content = {"2024-10/eu": ratings(*range(1000))}
    version = store.write("r", content)
    (path,) = tmp_path.rglob("*.parquet")
    damage(path)
    with pytest.raises(DataError, match=r"partition '2024-10/eu' of r .* is damaged"):
        store.verify(version)
    assert store.write("r", content) == version
    store.verify(version)


def test_a_parquet_file_with_other_values_is_refused(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    version = store.write("r", {"all": ratings(1, 2)})
    (path,) = tmp_path.rglob("*.parquet")
    pq.write_table(ratings(1, 3), path)
    with pytest.raises(DataError, match="is damaged"):
        store.verify(version)


def test_a_missing_partition_file_is_named(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    version = store.write("r", {"2024-10": ratings(1)})
    next(tmp_path.rglob("*.parquet")).unlink()
    with pytest.raises(DataError, match=r"partition '2024-10' of r .* is gone"):
        store.read(version)


def test_an_altered_manifest_is_refused(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    version = store.write("r", {"all": ratings(1)}, {"embedder": "e"})
    path = tmp_path / "r" / "versions" / f"{version.id}.json"
    path.write_text(path.read_text().replace('"e"', '"f"'))
    with pytest.raises(DataError, match="was altered"):
        store.open("r", version.id)
    path.write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        store.versions("r")


def test_an_unknown_version_names_the_nearest(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    with pytest.raises(DataError, match="None has been written yet"):
        store.open("r", "abc")
    version = store.write("r", {"all": ratings(1)})
    with pytest.raises(DataError, match=f"Did you mean '{version.id}'"):
        store.open("r", version.id[:4])


def test_unknown_columns_and_partitions_name_the_nearest(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    version = store.write("r", {"2024-10/eu": ratings(1)})
    with pytest.raises(DataError, match=r"no column 'star'.*Did you mean 'stars'"):
        store.read(version, columns=["star"])
    with pytest.raises(DataError, match=r"no partition '2024-10/us'.*Did you mean '2024-10/eu'"):
        store.read(version, partitions=["2024-10/us"])
    with pytest.raises(DataError, match=r"no partition of r .* was asked for"):
        store.read(version, partitions=[])


def test_quotes_brackets_and_stars_in_paths_keys_and_columns_are_plain_text(tmp_path: Path) -> None:
    store = DataStore(tmp_path / "year=2024" / 'it\'s [a]* "b"?')
    odd = pa.table({'a "b" c': [1], "select * from data; --": [2]})
    version = store.write("r", {"o'clock; DROP": odd, 'x"y': odd})
    assert store.read(version).to_pylist() == odd.to_pylist() * 2
    found = store.query(version, "SELECT DISTINCT partition FROM data ORDER BY ALL")
    assert found["partition"].to_pylist() == ["o'clock; DROP", 'x"y']


@pytest.mark.parametrize(
    "sql",
    [
        "COPY data TO '{root}/out.csv'",
        "COPY (SELECT 1) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
        "SELECT 1; COPY data TO '{root}/out.csv'",
        "SELECT * FROM read_csv('{root}/secret.csv')",
        "SELECT * FROM '{root}/secret.csv'",
        "ATTACH '{root}/new.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT * FROM python_variable",
        "DROP VIEW data",
        "SELECT nothing FROM data",
        "nonsense",
        "",
    ],
)
def test_a_query_reads_this_version_and_does_nothing_else(tmp_path: Path, sql: str) -> None:
    store = DataStore(tmp_path / "store")
    python_variable = ratings(9)
    version = store.write("r", {"all": ratings(1)})
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    (file,) = tmp_path.rglob("*.parquet")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError):
        store.query(version, sql.format(root=tmp_path, file=file))
    assert python_variable.num_rows == 1
    assert sorted(tmp_path.rglob("*")) == before
    store.verify(version)


def test_a_query_answers(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    version = store.write("r", {"a": ratings(1, 2), "b": ratings(6)})
    best = store.query(version, "WITH t AS (SELECT max(stars) AS s FROM data) SELECT s FROM t")
    assert best.to_pylist() == [{"s": 6.0}]


def test_partitions_with_other_columns_or_types_are_refused(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    text = pa.table({"user": ["a"], "stars": ["5"]})
    with pytest.raises(DataError, match=r"'b' of 'r' does not fit 'a': column 'stars' is string"):
        store.write("r", {"a": ratings(1.0), "b": text})
    with pytest.raises(DataError, match="column 'user' is missing"):
        store.write("r", {"a": ratings(1.0), "b": pa.table({"stars": [1.0]})})


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["partition"], "has a column 'partition'"),
        (["a", "A"], "empty or not its own"),
        ([""], "empty or not its own"),
        ([], "has no column"),
    ],
)
def test_column_names_that_sql_cannot_tell_apart_are_refused(
    tmp_path: Path, names: list[str], reason: str
) -> None:
    odd = pa.Table.from_arrays([pa.array([1])] * len(names), names=names)
    with pytest.raises(DataError, match=reason):
        DataStore(tmp_path).write("r", {"all": odd})


def test_names_that_leave_the_store_are_refused(tmp_path: Path) -> None:
    store = DataStore(tmp_path)
    with pytest.raises(ConfigError, match="cannot name a data set"):
        store.write("../r", {"all": ratings(1)})
    with pytest.raises(DataError, match="cannot name a partition"):
        store.write("r", {"": ratings(1)})
    with pytest.raises(DataError, match=r"no partition to write"):
        store.write("r", {})


def test_a_type_without_plain_values_is_refused_by_column(tmp_path: Path) -> None:
    odd = pa.table({"m": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))})
    with pytest.raises(DataError, match="column 'm' has type map"):
        DataStore(tmp_path).write("r", {"all": odd})


def test_the_manifest_says_what_a_person_needs(tmp_path: Path) -> None:
    version = DataStore(tmp_path).write("r", {"2024-10/eu": ratings(1, 2)}, {"embedder": "m"})
    manifest = json.loads((tmp_path / "r" / "versions" / f"{version.id}.json").read_text())
    assert manifest["context"] == {"embedder": "m"}
    assert manifest["partitions"][0]["key"] == "2024-10/eu"
    assert manifest["partitions"][0]["rows"] == 2
    assert datetime.fromisoformat(manifest["created"]).tzinfo == UTC
