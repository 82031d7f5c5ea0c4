"""Bundles: whole or absent, and refused by name when a byte differs."""

import random
from pathlib import Path

import pytest

from lifecycle import bundle
from lifecycle.errors import BundleError
from tests.toys import make


def test_what_is_written_opens_unchanged(tmp_path: Path) -> None:
    made = make(tmp_path / "b")
    assert bundle.open_bundle(tmp_path / "b") == made
    assert set(made.manifest.files) == {"settings.json", "sub/weights.bin"}


def test_equal_builds_have_equal_ids_and_others_do_not(tmp_path: Path) -> None:
    first = make(tmp_path / "1").manifest.bundle_id
    assert make(tmp_path / "2").manifest.bundle_id == first
    assert make(tmp_path / "3", text="other").manifest.bundle_id != first
    assert make(tmp_path / "4", data="d2").manifest.bundle_id != first


@pytest.mark.parametrize("name", ["manifest.json", "settings.json", "sub/weights.bin"])
def test_a_flipped_byte_anywhere_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / "b").path / name
    intact = path.read_bytes()
    for place in random.Random(0).sample(range(len(intact)), min(25, len(intact))):
        broken = bytearray(intact)
        broken[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(broken))
        with pytest.raises(BundleError, match=name.rpartition("/")[2]):
            bundle.open_bundle(tmp_path / "b")
    path.write_bytes(intact)
    bundle.open_bundle(tmp_path / "b")


def test_missing_and_added_files_are_refused_by_name(tmp_path: Path) -> None:
    made = make(tmp_path / "b")
    (made.path / "extra.txt").write_text("?")
    with pytest.raises(BundleError, match=r"holds extra\.txt"):
        bundle.open_bundle(made.path)
    (made.path / "extra.txt").unlink()
    (made.path / "settings.json").unlink()
    with pytest.raises(BundleError, match=r"lacks its file settings\.json"):
        bundle.open_bundle(made.path)
    (made.path / "manifest.json").unlink()
    with pytest.raises(BundleError, match="is no bundle"):
        bundle.open_bundle(made.path)


def test_sealing_adds_the_verdict_and_keeps_the_identity(tmp_path: Path) -> None:
    draft = make(tmp_path / "draft")
    sealed = bundle.seal(draft, tmp_path / "sealed", {"m": 1.0}, {"passed": True})
    opened = bundle.open_bundle(tmp_path / "sealed")
    assert opened.manifest == sealed.manifest
    assert opened.manifest.gate == {"passed": True}
    assert opened.manifest.bundle_id == draft.manifest.bundle_id
    assert bundle.open_bundle(draft.path).manifest.metrics == {}


def test_a_bundle_of_another_format_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "b")
    monkeypatch.setattr(bundle, "FORMAT", 2)
    with pytest.raises(BundleError, match="has format 1, this version reads 2"):
        bundle.open_bundle(tmp_path / "b")
