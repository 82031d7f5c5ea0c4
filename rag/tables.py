"""Documents and chunks as Arrow tables, the form in which they are versioned and stored."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from rag.types import Block, Chunk, Document

if TYPE_CHECKING:
    import pyarrow as pa


def document_schema() -> "pa.Schema":
    import pyarrow as pa

    text, number = pa.large_string(), pa.int64()
    block = pa.struct(
        [
            pa.field("kind", pa.string()),
            pa.field("start", number),
            pa.field("end", number),
            pa.field("line", number),
            pa.field("level", number),
            pa.field("page", number),
            pa.field("title", pa.string()),
        ]
    )
    return pa.schema(
        [
            pa.field("uri", pa.string()),
            pa.field("doc_id", pa.string()),
            pa.field("title", pa.string()),
            pa.field("media", pa.string()),
            pa.field("text", text),
            pa.field("blocks", pa.list_(block)),
        ]
    )


def chunk_schema() -> "pa.Schema":
    import pyarrow as pa

    number = pa.int64()
    numbers = {"start", "end", "line_start", "line_end", "page", "tokens"}
    kinds = {"trail": pa.list_(pa.string()), "text": pa.large_string()}
    return pa.schema(
        [
            pa.field(f.name, number if f.name in numbers else kinds.get(f.name, pa.string()))
            for f in fields(Chunk)
        ]
    )


def documents_table(documents: Sequence[Document]) -> "pa.Table":
    """One row a document, in the order given."""
    import pyarrow as pa

    return pa.Table.from_pylist([asdict(d) for d in documents], schema=document_schema())


def documents_from(table: "pa.Table") -> list[Document]:
    return [_document(row) for row in table.select(document_schema().names).to_pylist()]


def chunks_table(chunks: Sequence[Chunk]) -> "pa.Table":
    """One row a chunk, in the order given."""
    import pyarrow as pa

    schema = chunk_schema()
    columns = {name: [getattr(c, name) for c in chunks] for name in schema.names}
    return pa.Table.from_pydict(columns, schema=schema)


def chunks_from(table: "pa.Table") -> list[Chunk]:
    return [chunk_from(row) for row in table.select(chunk_schema().names).to_pylist()]


def chunk_from(row: dict[str, Any]) -> Chunk:
    return Chunk(**{**row, "trail": tuple(row["trail"])})


def _document(row: dict[str, Any]) -> Document:
    blocks = tuple(Block(**block) for block in row["blocks"])
    return Document(**{**row, "blocks": blocks})
