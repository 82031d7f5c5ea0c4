"""Durable writes survive errors and kills at every point."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle import atomic
from lifecycle.errors import StorageError


def test_a_failing_write_leaves_the_old_file_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    atomic.write_text(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"cannot write .*file: No space left on device"):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), atomic.directory(tmp_path / "made") as folder:
        (folder / "half").write_text("x")
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []
    with atomic.directory(tmp_path / "made") as folder:
        (folder / "whole").write_text("x")
    assert (tmp_path / "made" / "whole").read_text() == "x"


def test_the_first_writer_of_a_folder_wins(tmp_path: Path) -> None:
    with atomic.directory(tmp_path / "made") as mine:
        (mine / "file").write_text("late")
        with atomic.directory(tmp_path / "made") as theirs:
            (theirs / "file").write_text("early")
    assert (tmp_path / "made" / "file").read_text() == "early"
    assert [p.name for p in tmp_path.iterdir()] == ["made"]


def test_a_line_cut_short_is_ended_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log"
    atomic.append_line(path, "one")
    with path.open("a") as file:
        file.write("tor")
    atomic.append_line(path, "two")
    assert path.read_text() == "one\ntor\ntwo\n"


KILLED = """
import os, sys
from pathlib import Path
from lifecycle import atomic
stop, calls = int(sys.argv[2]), 0
def counted(function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == stop:
            os._exit(9)
        return function(*arguments, **options)
    return call
os.fsync, os.replace = counted(os.fsync), counted(os.replace)
atomic.write_text(Path(sys.argv[1]) / "file", "new")
with atomic.directory(Path(sys.argv[1]) / "folder") as folder:
    (folder / "a").write_text("new")
    (folder / "b").write_text("new")
"""


@pytest.mark.parametrize("stop", range(1, 9))
def test_killed_at_any_durable_operation_old_or_new_but_never_half(
    tmp_path: Path, stop: int
) -> None:
    atomic.write_text(tmp_path / "file", "old")
    subprocess.run([sys.executable, "-c", KILLED, tmp_path, str(stop)], check=False)
    assert (tmp_path / "file").read_text() in ("old", "new")
    if (tmp_path / "folder").exists():
        assert sorted(p.name for p in (tmp_path / "folder").iterdir()) == ["a", "b"]
    atomic.sweep(tmp_path, older_than_s=-1)
    assert not list(tmp_path.glob(f"{atomic.TEMPORARY}*"))


def test_a_lock_that_stays_taken_is_an_error_that_names_it(tmp_path: Path) -> None:
    with (
        atomic.lock(tmp_path / "a.lock"),
        pytest.raises(StorageError, match=r"another process has held .*a\.lock"),
        atomic.lock(tmp_path / "a.lock", timeout_s=0.05),
    ):
        pass
