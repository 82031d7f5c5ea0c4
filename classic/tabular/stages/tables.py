"""Tables of rows between the steps: in the schema's types, sensitive columns protected."""

from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.privacy import read_revealed, write_protected
from lifecycle.tables import TableSchema

if TYPE_CHECKING:
    import pandas as pd


def read(path: Path, schema: TableSchema) -> "pd.DataFrame":
    """The rows in the dtypes of ``schema``. Raises DataError where another key protected them."""
    return schema.coerce(read_revealed(path, schema).to_pandas())


def write(frame: "pd.DataFrame", schema: TableSchema, path: Path) -> None:
    import pyarrow as pa

    there = pa.schema([field for field in schema.arrow() if field.name in frame.columns])
    write_protected(pa.Table.from_pandas(frame, there, preserve_index=False), schema, path)
