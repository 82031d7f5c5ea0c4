"""The request log: no row lost that was written, none doubled, and no request waits for it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle import journal as journals
from lifecycle.background import Background
from lifecycle.errors import DataError, StorageError
from lifecycle.fingerprint import ROOT
from lifecycle.journal import COLUMNS, Journal, journal_line, journal_table, recover, to_parquet
from lifecycle.requests import RequestLog, read, view

ROW = {
    "request_id": "r1",
    "kind": "predict",
    "endpoint": "/v1/predict",
    "model": "fraud",
    "version": 3,
    "data_version": "abc",
    "latency_ms": 1.5,
    "status": 200,
    "confidence": 0.5,
    "abstained": False,
    "features": {"amount": 3, "city": "Zürich"},
    "output": [{"probability": 0.25}],
}
FEEDBACK = {
    "request_id": "r1",
    "kind": "feedback",
    "time": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
    "rating": -1,
    "correction": "not\nso",
    "label": "yes",
}


def test_a_row_comes_back_as_it_went_in(tmp_path: Path) -> None:
    log = RequestLog(tmp_path)
    log.append(ROW)
    log.append(FEEDBACK | {"unknown": 1})
    assert log.flush()
    from_journal = read(tmp_path)
    log.close()
    table = read(tmp_path)
    assert table.equals(from_journal)
    assert table.column_names == list(COLUMNS)
    feedback, row = table.to_pylist()
    assert {name: row[name] for name in ROW} == ROW | {
        "features": '{"amount":3,"city":"Zürich"}',
        "output": '[{"probability":0.25}]',
    }
    assert abs(row["time"].timestamp() - time.time()) < 60
    assert {name: feedback[name] for name in FEEDBACK} == FEEDBACK
    assert feedback["status"] is None
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"]


def test_journals_rotate_by_size_and_long_rows_come_through(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, rotate_bytes=1_000_000)
    for _ in range(5):
        log.append(ROW | {"output": "x" * 3_000_000})
        log.flush()
    assert len(list(tmp_path.glob("*.parquet"))) == 5
    log.close()
    assert {len(text) for text in read(tmp_path).column("output").to_pylist()} == {3_000_000}


def test_an_empty_log_reads_as_no_rows(tmp_path: Path) -> None:
    RequestLog(tmp_path).close()
    assert read(tmp_path).num_rows == 0
    assert read(tmp_path / "none").column_names == list(COLUMNS)
    assert list(tmp_path.iterdir()) == []


def test_duckdb_reads_it_and_no_other_file(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log", rotate_rows=10)
    for number in range(25):
        log.append(ROW | {"latency_ms": number})
        if number % 10 == 9:
            log.flush()
    log.flush()
    (tmp_path / "other.csv").write_text("a\n1\n")
    with view(tmp_path / "log") as connection:
        found = connection.sql("SELECT count(*), max(latency_ms) FROM requests").fetchall()
        assert found == [(25, 24)]
    with pytest.raises(DataError), view(tmp_path / "log") as connection:
        connection.sql(f"SELECT * FROM read_csv('{tmp_path}/other.csv')").fetchall()
    log.close()
    assert len(list((tmp_path / "log").glob("*.parquet"))) == 3


def test_files_rotate_by_age_and_the_oldest_go(tmp_path: Path) -> None:
    old = tmp_path / "20200101T000000-abc.parquet"
    log = RequestLog(tmp_path, rotate_s=0.1, keep_days=30)
    old.write_bytes(b"")
    log.append(ROW)
    deadline = time.monotonic() + 10
    while not (made := [path for path in tmp_path.glob("*.parquet") if path != old]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    log.close()
    assert not old.exists()
    assert read(tmp_path).num_rows == len(made) == 1


ROWS = st.fixed_dictionaries(
    {"request_id": st.text(st.characters(exclude_categories=["Cs"]), max_size=5)},
    optional={
        "latency_ms": st.floats(allow_nan=False, allow_infinity=False),
        "version": st.integers(-(2**63), 2**63 - 1),
        "abstained": st.booleans(),
        "features": st.dictionaries(st.text('ab\n"\\', max_size=3), st.integers(0, 9), max_size=2),
    },
)


@given(st.lists(ROWS, max_size=6), st.data())
def test_a_journal_cut_anywhere_gives_its_whole_lines(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    lines = [journal_line(number, row) for number, row in enumerate(rows)]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [sum(map(len, lines[: count + 1])) for count in range(len(lines))]
    kept = sum(end <= cut for end in ends)
    found = journal_table(whole[:cut]).to_pylist()
    assert [row["request_id"] for row in found] == [row["request_id"] for row in rows[:kept]]
    for row, meant in zip(found, rows, strict=False):
        assert row["latency_ms"] == meant.get("latency_ms")
        assert row["version"] == meant.get("version")
        features = meant.get("features")
        assert (json.loads(row["features"]) if row["features"] else features) == features


@given(st.lists(ROWS, min_size=1, max_size=4), st.binary(max_size=30), st.data())
def test_rubbish_in_a_journal_costs_its_own_lines_alone(
    rows: list[dict[str, Any]], rubbish: bytes, data: st.DataObject
) -> None:
    lines = [journal_line(number, row) for number, row in enumerate(rows)]
    place = data.draw(st.integers(0, len(lines)))
    damaged = b"".join([*lines[:place], b"\xff{" + rubbish + b"\n", *lines[place:]])
    found = [row["request_id"] for row in journal_table(damaged).to_pylist()]
    assert found == [row["request_id"] for row in rows]


def test_a_leftover_journal_is_recovered_once(tmp_path: Path) -> None:
    left = tmp_path / "20260101T000000-abc.jsonl"
    whole = b"".join(journal_line(number, ROW) for number in range(3))
    left.write_bytes(whole[:-5])
    assert read(tmp_path).num_rows == 2
    # As if the process had been killed after the Parquet file was there.
    to_parquet(left)
    left.write_bytes(whole[:-5])
    assert read(tmp_path).num_rows == 2
    assert recover(tmp_path) == 1
    assert recover(tmp_path) == 0
    assert read(tmp_path).num_rows == 2
    assert [path.name for path in tmp_path.iterdir()] == ["20260101T000000-abc.parquet"]


def test_the_journal_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    living, other = RequestLog(tmp_path), RequestLog(tmp_path)
    living.append(ROW)
    living.flush()
    assert recover(tmp_path) == 0
    RequestLog(tmp_path).close()
    other.append(ROW)
    living.append(ROW)
    for log in (living, other):
        log.close()
    assert read(tmp_path).num_rows == 3


def test_many_starting_at_once_recover_each_row_once(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"20260101T000000-{number}.jsonl").write_bytes(journal_line(number, ROW) * 20)
    threads = [threading.Thread(target=recover, args=[tmp_path]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(tmp_path).num_rows == 100


KILLED = """
import sys
from pathlib import Path
from lifecycle.requests import RequestLog
log = RequestLog(Path(sys.argv[1]), rotate_rows=300)
number = 0
while True:
    for _ in range(37):
        log.append({"request_id": str(number), "kind": "predict", "features": {"n": number}})
        number += 1
    log.flush()
    print(number, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 7, 20])
def test_what_was_flushed_survives_a_kill(lines: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(lines):
        written = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    written = max([written, *map(int, process.stdout.read().split())])
    process.wait()
    process.stdout.close()
    before = read(tmp_path).column("request_id").to_pylist()
    RequestLog(tmp_path).close()
    found = read(tmp_path).column("request_id").to_pylist()
    assert sorted(before, key=int) == sorted(found, key=int) == [str(n) for n in range(len(found))]
    assert len(found) >= written
    assert not list(tmp_path.glob("*.jsonl"))


DYING = """
import os, sys
from pathlib import Path
from lifecycle.requests import RequestLog
stop, calls = int(sys.argv[2]), 0
def counted(function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == stop:
            os.kill(os.getpid(), 9)
        return function(*arguments, **options)
    return call
for name in ("fsync", "replace", "rename", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
log = RequestLog(Path(sys.argv[1]), rotate_rows=10)
for start in range(0, 40, 10):
    for number in range(start, start + 10):
        log.append({"request_id": str(number)})
    log.flush()
    print(start + 10, flush=True)
"""


# Of each rotation: naming the journal, three steps of the Parquet file, removing the journal.
@pytest.mark.parametrize("stop", range(1, 12))
def test_a_kill_at_any_durable_step_loses_and_doubles_nothing(stop: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(tmp_path), str(stop)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    written = max([0, *map(int, done.stdout.split())])
    RequestLog(tmp_path).close()
    found = read(tmp_path).column("request_id").to_pylist()
    assert sorted(found, key=int) == [str(number) for number in range(len(found))]
    assert len(found) >= written
    assert not list(tmp_path.glob("*.jsonl"))


class Stuck:
    """A disk that takes nothing until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.written = 0

    def write(self, items: list[Mapping[str, Any]]) -> None:
        self.go.wait()
        self.written += len(items)


def test_overload_drops_and_counts_and_never_waits() -> None:
    disk = Stuck()
    queue = Background(disk.write, "test", capacity=1000, batch=100, every_s=0.01)
    longest, taken = 0.0, 0
    for _ in range(20_000):
        began = time.perf_counter()
        taken += queue.put(ROW)
        longest = max(longest, time.perf_counter() - began)
    # What waits, and at most one batch on its way.
    assert 1000 <= taken <= 1100
    assert queue.dropped == 20_000 - taken
    assert longest < 0.5
    assert not queue.flush(0.05)
    disk.go.set()
    assert queue.flush(10)
    assert disk.written == taken
    queue.close()
    assert not queue.put(ROW)


def test_what_waits_is_bounded_in_bytes_as_well() -> None:
    disk = Stuck()
    queue = Background(disk.write, "test", budget=1000, every_s=0.01)
    assert [queue.put(ROW, 400) for _ in range(4)] == [True, True, False, False]
    assert queue.put(ROW, 200)
    disk.go.set()
    assert queue.flush()
    assert queue.put(ROW, 1000)
    queue.close()
    assert (disk.written, queue.dropped) == (4, 2)


def test_puts_of_many_threads_are_all_counted() -> None:
    disk = Stuck()
    queue = Background(disk.write, "test", capacity=500, every_s=0.01)
    threads = [
        threading.Thread(target=lambda: [queue.put(ROW) for _ in range(1000)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    disk.go.set()
    queue.close()
    assert disk.written + queue.dropped == 8000


def test_a_full_disk_costs_rows_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = RequestLog(tmp_path)
    log.append(ROW)
    log.flush()
    real = Journal._append

    def full(self: Journal, data: bytes) -> None:
        real(self, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "_append", full)
    for _ in range(2):
        log.append(ROW)
        log.flush()
    monkeypatch.setattr(Journal, "_append", real)
    log.append(ROW)
    log.close()
    assert log.dropped == 2
    assert read(tmp_path).num_rows == 2
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text


def test_a_journal_that_cannot_be_turned_stays_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise StorageError("full")

    log = RequestLog(tmp_path)
    log.append(ROW)
    with monkeypatch.context() as patched:
        patched.setattr(journals.atomic, "write_bytes", full)
        log.close()
    assert (read(tmp_path).num_rows, len(list(tmp_path.glob("*.jsonl")))) == (1, 1)
    RequestLog(tmp_path).close()
    assert (read(tmp_path).num_rows, len(list(tmp_path.glob("*.jsonl")))) == (1, 0)
    assert log.dropped == 0


def test_a_value_that_does_not_fit_costs_its_row_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = RequestLog(tmp_path)
    for row in (ROW, ROW | {"latency_ms": "a secret"}, ROW | {"version": 2**70}, ROW):
        log.append(row)
    log.close()
    assert (read(tmp_path).num_rows, log.dropped) == (2, 2)
    assert "secret" not in caplog.text


def test_a_folder_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        RequestLog(tmp_path / "file" / "log")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 50), max_size=8), st.integers(1, 60))
def test_rotation_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory, bursts: list[int], rotate_rows: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = RequestLog(folder, rotate_rows=rotate_rows)
    number = 0
    for burst in bursts:
        for _ in range(burst):
            log.append({"request_id": str(number)})
            number += 1
        log.flush()
        assert read(folder).num_rows == number
    log.close()
    found = read(folder).column("request_id").to_pylist()
    assert sorted(map(int, found)) == list(range(number))
    assert os.path.exists(folder)
