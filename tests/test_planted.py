"""The search for planted words finds them wherever they lie."""

import base64
import bz2
import gzip
import io
import lzma
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import planted

WORD = "Quillfeather-4711"
TEXT = f"a line\nwith {WORD} in it".encode()


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", data)
    return buffer.getvalue()


def zstd(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True)  # type: ignore[no-any-return]


def parquet(data: bytes) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": [data.decode()]}), buffer, compression="zstd")
    return buffer.getvalue()


def utf16(data: bytes) -> bytes:
    return data.decode().encode("utf-16")


PACKED: list[Callable[[bytes], bytes]] = [
    bytes, zipped, gzip.compress, bz2.compress, lzma.compress, zstd, parquet, utf16,
    base64.b64encode, base64.urlsafe_b64encode, lambda data: data.hex().encode(),
    lambda data: zipped(gzip.compress(parquet(data))),
]  # fmt: skip


@pytest.mark.parametrize("pack", PACKED)
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_a_word_is_found_however_it_is_packed(
    tmp_path: Path, pack: Callable[[bytes], bytes], shift: int
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(pack(b"x" * shift + TEXT))
    assert planted.find(tmp_path, [WORD, "Somebody-else"]) == [f"deep/file: {WORD}"]


def test_a_word_is_found_in_a_database_and_in_a_name(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute("create table runs (note text, packed blob)")
    text = "x" * 4000 + WORD + "y" * 4000
    connection.execute("insert into runs values (?, ?)", (text, gzip.compress(b"Hidden-in-gzip")))
    connection.commit()
    connection.close()
    assert planted.find(tmp_path, [WORD]) == [f"store.db: {WORD}"]
    assert planted.find(tmp_path, ["Hidden-in-gzip"]) == ["store.db: Hidden-in-gzip"]
    (tmp_path / f"{WORD}.txt").touch()
    assert f"{WORD}.txt: {WORD}" in planted.find(tmp_path, [WORD])
