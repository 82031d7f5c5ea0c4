"""From a source to one table, as it came."""

from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from classic.tabular.config import FilesSource, SourceConfig
from lifecycle import usecases
from lifecycle.intake import digest_files, load_files
from lifecycle.privacy import write_protected
from lifecycle.stages import BROKEN_LINES, TABLE
from lifecycle.tables import TableSchema
from lifecycle.usecases import UseCase


def digest(source: SourceConfig, use_case: str, root: Path) -> str:
    """Of what the source holds; empty for what is simulated. SourceError where it is missing."""
    if isinstance(source, FilesSource):
        return digest_files(source, root)
    return usecases.find(use_case).source().digest(source.options, root)


def load(source: SourceConfig, use_case: str, root: Path, out: Path) -> str:
    """The table to ``out``, sensitive columns protected. A sentence about it."""
    found = usecases.find(use_case)
    schema = found.table_schema()
    if not schema.sensitive:
        return _load(source, found, root, out)
    with TemporaryDirectory() as name:
        plain = Path(name)
        text = _load(source, found, root, plain)
        _protect(plain / TABLE, schema, out / TABLE)
        if (plain / BROKEN_LINES).exists():
            copyfile(plain / BROKEN_LINES, out / BROKEN_LINES)
    return text


def _load(source: SourceConfig, use_case: UseCase, root: Path, out: Path) -> str:
    if isinstance(source, FilesSource):
        return load_files(source, root, out)
    return use_case.source().load(source.options, root, out)


def _protect(plain: Path, schema: TableSchema, out: Path) -> None:
    """What is sensitive never lies in the state folder as it came, not even for a moment."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(plain) as file:
        batches = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches())
        write_protected(batches, schema, out)
