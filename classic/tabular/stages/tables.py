"""Tables of rows between the steps."""

from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.tables import TableSchema

if TYPE_CHECKING:
    import pandas as pd


def read(path: Path, schema: TableSchema) -> "pd.DataFrame":
    """The rows in the dtypes of ``schema``."""
    import pyarrow.parquet as pq

    return schema.coerce(pq.read_table(path).to_pandas())


def write(frame: "pd.DataFrame", schema: TableSchema, path: Path) -> None:
    """The rows in the types of ``schema``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    there = pa.schema([field for field in schema.arrow() if field.name in frame.columns])
    table = pa.Table.from_pandas(frame, schema=there, preserve_index=False)
    pq.write_table(table, path, compression="zstd")
