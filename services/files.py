"""Rows in the files that people send: CSV, whose values stay text, and Parquet."""

import csv
import io
from email import message_from_bytes
from pathlib import PurePath
from typing import Any

from services.guard.asgi import Refused

FORM = "multipart/form-data"
PARQUET = ("application/vnd.apache.parquet", "application/octet-stream")
MEDIA_TYPES = ("text/csv", "application/vnd.apache.parquet", FORM)
_ENDINGS = {".csv": "text/csv", ".parquet": PARQUET[0]}
# A Parquet file of a megabyte may unfold to any size.
MOST_BYTES = 64 * 1024 * 1024


def uploaded(content_type: str, body: bytes) -> tuple[str, bytes]:
    """Media type and content of the first file of a form. Raises Refused, 400, where none is."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    for part in message_from_bytes(head + body).walk():
        name = part.get_filename()
        if name is not None:
            found = part.get_payload(decode=True)
            kind = _ENDINGS.get(PurePath(name).suffix.lower(), part.get_content_type())
            return kind, found if isinstance(found, bytes) else b""
    raise Refused(400, "the form has no file.", "Example: curl -F file=@rows.csv …")


def rows_of(media_type: str, body: bytes, most: int) -> list[dict[str, Any]]:
    """The rows of a file. Raises Refused: 415 for another type, 400 for a damaged file, 422 for
    more than ``most`` rows or none."""
    if media_type == "text/csv":
        rows = _csv(body, most)
    elif media_type in PARQUET:
        rows = _parquet(body, most)
    else:
        raise Refused(
            415,
            f"the body is {media_type[:80]!r}.",
            f"Send application/json, {' or '.join(MEDIA_TYPES)}.",
        )
    if not rows:
        raise Refused(422, "the file has no rows.")
    return rows


def _csv(body: bytes, most: int) -> list[dict[str, Any]]:
    try:
        text = body.decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows: list[dict[str, Any]] = []
        for row in reader:
            if None in row:
                raise Refused(400, f"line {reader.line_num} has more fields than the first one.")
            if len(rows) == most:
                raise _too_many(most)
            rows.append({name: value or None for name, value in row.items()})
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(400, f"the file is no CSV in UTF-8: {error}.") from error
    return rows


def _parquet(body: bytes, most: int) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        meta = file.metadata
        if meta.num_rows > most:
            raise _too_many(most)
        groups = (meta.row_group(number) for number in range(meta.num_row_groups))
        if sum(group.total_byte_size for group in groups) > MOST_BYTES:
            raise Refused(413, "the file unfolds to too many bytes.", "Send it in parts.")
        rows: list[dict[str, Any]] = file.read().to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refused(400, "the file is no Parquet file.") from error
    return rows


def _too_many(most: int) -> Refused:
    return Refused(422, f"the file has more than {most} rows.", "Send it in parts.")
