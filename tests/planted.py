"""Whether planted words stand anywhere in a folder: in names, bytes, or what is packed in files.

Parquet is decoded column by column, SQLite table by table, and zip, gzip, bzip2, xz and zstd are
unpacked, each also within the other. In all of them a word is looked for as UTF-8, UTF-16, hex and
base64.
"""

import base64
import bz2
import gzip
import io
import lzma
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_DEPTH = 4


def find(folder: Path, words: Iterable[str]) -> list[str]:
    """``file: word`` for each place where one of ``words`` stands at or below ``folder``."""
    wanted = {word: _spellings(word) for word in words}
    assert all(len(word) >= 6 for word in wanted), "short words stand everywhere by chance"
    found = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        views = [name.encode(), *(_views(path) if path.is_file() else ())]
        for word, spellings in wanted.items():
            if any(spelling in view for view in views for spelling in spellings):
                found.append(f"{name}: {word}")
    return found


def _spellings(word: str) -> list[bytes]:
    """Base64 cuts text in threes: what stays the same wherever the word begins."""
    plain = word.encode()
    cores = [base64.b64encode(b"\0" * pad + plain)[-(-pad * 8 // 6) : -4] for pad in range(3)]
    safe = [core.translate(bytes.maketrans(b"+/", b"-_")) for core in cores]
    return [plain, word.encode("utf-16-le"), plain.hex().encode(), *cores, *safe]


def _views(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield from _unpacked(data, _DEPTH)
    if data.startswith(b"SQLite format 3\0"):
        yield from _tables(path)


def _unpacked(data: bytes, depth: int) -> Iterator[bytes]:
    """The bytes, and whatever is packed in them."""
    yield data
    if depth == 0:
        return
    if data.startswith(b"PAR1"):
        yield from _parquet(data)
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from _unpacked(archive.read(name), depth - 1)
    for magic, unpack in _PACKERS.items():
        if data.startswith(magic):
            yield from _unpacked(unpack(data), depth - 1)


def _zstd(data: bytes) -> bytes:
    unpacked: bytes = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    return unpacked


_PACKERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
    b"\x28\xb5\x2f\xfd": _zstd,
    b"\x78\x9c": zlib.decompress,
}


def _parquet(data: bytes) -> Iterator[bytes]:
    file = pq.ParquetFile(io.BytesIO(data))
    yield str(file.schema_arrow).encode() + repr(file.metadata.metadata).encode()
    for batch in file.iter_batches():
        for column in batch.columns:
            yield "\n".join(map(str, column.to_pylist())).encode(errors="replace")


def _tables(path: Path) -> Iterator[bytes]:
    """Every cell: long text lies in pieces in the file. Also what is packed in a cell."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        names = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (name,) in names:
            for row in connection.execute(f'select * from "{name}"'):
                for cell in row:
                    data = cell if isinstance(cell, bytes) else str(cell).encode()
                    yield from _unpacked(data, 1)
    finally:
        connection.close()
