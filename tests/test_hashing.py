"""Receipts spare hashing, and never hide a change."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle import hashing
from lifecycle.bundle import open_bundle
from lifecycle.errors import BundleError
from lifecycle.hashing import digests
from tests.toys import make

TICK_S = 0.02  # more than the clock of a local file system takes


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle of two files that was checked, and has a receipt in ``tmp_path/receipts``."""
    monkeypatch.setattr(hashing, "TICK_NS", int(TICK_S * 1e9))
    path = make(tmp_path / "b").path
    time.sleep(2 * TICK_S)
    open_bundle(path, tmp_path / "receipts")
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are hashed from now on."""
    names: list[str] = []
    real = hashing.sha256

    def noted(path: Path) -> str:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(hashing, "sha256", noted)
    return names


def overwritten(path: Path) -> None:
    before = path.stat()
    path.write_text("WEIGHTS")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("WEIGHTS")
    shutil.copystat(path, other)
    other.replace(path)


def linked(path: Path) -> None:
    other = path.parent.parent.parent / "elsewhere"
    other.write_text("WEIGHTS")
    path.unlink()
    path.symlink_to(other)


def test_a_file_that_did_not_change_is_not_read_again(bundle: Path, read: list[str]) -> None:
    open_bundle(bundle, bundle.parent / "receipts")
    assert read == []
    (bundle / "sub" / "weights.bin").touch()
    open_bundle(bundle, bundle.parent / "receipts")
    assert read == ["weights.bin"]


def test_a_receipt_is_renewed_by_reading_every_file(bundle: Path, read: list[str]) -> None:
    open_bundle(bundle, bundle.parent / "receipts", renew=True)
    assert sorted(read) == ["settings.json", "weights.bin"]
    open_bundle(bundle, bundle.parent / "receipts")
    assert len(read) == 2


@pytest.mark.parametrize("alter", [overwritten, replaced, linked])
def test_a_change_behind_equal_size_and_times_is_refused(
    bundle: Path, alter: Callable[[Path], None]
) -> None:
    alter(bundle / "sub" / "weights.bin")
    for _ in range(2):
        with pytest.raises(BundleError, match=r"sub/weights\.bin was altered"):
            open_bundle(bundle, bundle.parent / "receipts")
        time.sleep(2 * TICK_S)  # until what was altered has a receipt of its own


def test_missing_and_added_files_are_refused_in_spite_of_a_receipt(bundle: Path) -> None:
    (bundle / "extra.txt").write_text("?")
    with pytest.raises(BundleError, match=r"holds extra\.txt"):
        open_bundle(bundle, bundle.parent / "receipts")
    (bundle / "settings.json").unlink()
    with pytest.raises(BundleError, match=r"lacks its file settings\.json"):
        open_bundle(bundle, bundle.parent / "receipts")


def test_a_receipt_of_another_bundle_vouches_for_nothing(bundle: Path, tmp_path: Path) -> None:
    (other,) = (tmp_path / "receipts").iterdir()
    whole = other.read_text()
    second = make(tmp_path / "second", text="WEIGHTS").path
    time.sleep(2 * TICK_S)
    open_bundle(second, tmp_path / "receipts")
    (own,) = set((tmp_path / "receipts").iterdir()) - {other}
    (second / "sub" / "weights.bin").write_text("weights")
    own.write_text(whole)
    with pytest.raises(BundleError, match=r"weights\.bin was altered"):
        open_bundle(second, tmp_path / "receipts")


def test_a_bundle_moved_to_a_checked_ones_place_is_checked(bundle: Path, tmp_path: Path) -> None:
    second = make(tmp_path / "second", text="other").path
    (second / "sub" / "weights.bin").write_text("OTHER")
    shutil.rmtree(bundle)
    second.rename(bundle)
    with pytest.raises(BundleError, match=r"weights\.bin was altered"):
        open_bundle(bundle, tmp_path / "receipts")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"settings.json": 1}', '{"settings.json": ["a", 2]}', "\x00\xff"]
)
def test_a_damaged_receipt_means_a_full_check(bundle: Path, read: list[str], text: str) -> None:
    (receipt,) = (bundle.parent / "receipts").iterdir()
    whole = receipt.read_text()
    receipt.write_bytes(text.encode("latin-1"))
    open_bundle(bundle, bundle.parent / "receipts")
    assert sorted(read) == ["settings.json", "weights.bin"]
    assert receipt.read_text() == whole
    overwritten(bundle / "sub" / "weights.bin")
    receipt.write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleError, match=r"weights\.bin was altered"):
        open_bundle(bundle, bundle.parent / "receipts")


def test_receipts_that_cannot_be_written_are_done_without(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    open_bundle(bundle, tmp_path / "a file")
    overwritten(bundle / "settings.json")
    with pytest.raises(BundleError, match=r"settings\.json was altered"):
        open_bundle(bundle, tmp_path / "a file")


def test_a_second_change_within_one_tick_of_a_coarse_clock_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = hashing._stat

    def coarse(path: Path) -> list[int]:
        size, inode, device, *times = real(path)
        return [size, inode, device, *(time - time % 2_000_000_000 for time in times)]

    monkeypatch.setattr(hashing, "_stat", coarse)
    for content in ("a", "b", "c"):
        (tmp_path / "file").write_text(content)
        found = digests(tmp_path, ["file"], tmp_path / "receipts")
        assert found == digests(tmp_path, ["file"])
