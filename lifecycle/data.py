"""Data versions: immutable, content-addressed sets of Parquet partitions, read through DuckDB.

On disk, under the store's root::

    <dataset>/partitions/<content hash>.parquet    shared by all versions that hold this content
    <dataset>/versions/<id>.json                   the manifest, written last: it makes the version

A version whose manifest is not there does not exist, so a run killed while it writes leaves the
earlier versions as they were and at most a partition that the next run finds and uses.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle import atomic
from lifecycle.content import column_types, content_hash, hash_json, holds, to_parquet
from lifecycle.errors import ConfigError, DataError, did_you_mean
from lifecycle.sql import PARTITION, parquet_view, select, select_columns

if TYPE_CHECKING:
    import pyarrow as pa

ID_DIGITS = 16
_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Partition:
    """A piece of a version: its key (``2024-10/eu``), the hash of its content, its row count."""

    key: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class DataVersion:
    """What a model was trained on.

    ``id`` is the start of a SHA-256 over data set, partitions (key and content) and ``context``
    (what else shaped the data, as ``{"chunker": …, "embedder": …}``), so the same content has the
    same id on any machine. ``created`` (UTC, ISO 8601) is when it was first written here.
    """

    dataset: str
    id: str
    partitions: tuple[Partition, ...]
    context: Mapping[str, str] = field(default_factory=dict)
    created: str = ""

    @property
    def rows(self) -> int:
        return sum(partition.rows for partition in self.partitions)


class DataStore:
    """The data versions below ``root``. Making one touches nothing on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(
        self,
        dataset: str,
        tables: Mapping[str, "pa.Table"],
        context: Mapping[str, str] | None = None,
    ) -> DataVersion:
        """Store ``tables`` (partition key to table) as a version, or find it already stored.

        Row order counts, the tables' chunk layout does not. All tables need the same columns.
        Raises DataError for tables that cannot be one data set, StorageError when the disk
        refuses.
        """
        _check_tables(dataset, tables)
        context = dict(context or {})
        partitions = tuple(
            self._write_partition(dataset, key, tables[key]) for key in sorted(tables)
        )
        identity = version_id(dataset, partitions, context)
        manifest = self._manifest(dataset, identity)
        if manifest.exists():
            return self.open(dataset, identity)
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        version = DataVersion(dataset, identity, partitions, context, created)
        atomic.write_text(manifest, json.dumps(asdict(version), indent=2, sort_keys=True) + "\n")
        return version

    def open(self, dataset: str, version: str) -> DataVersion:
        """The version with this id. Raises DataError naming the nearest known id."""
        path = self._manifest(dataset, version)
        if not path.is_file():
            known = [manifest.stem for manifest in path.parent.glob("*.json")]
            near = get_close_matches(version, known, n=1, cutoff=0.0)
            remedy = f"Did you mean {near[0]!r}?" if near else "None has been written yet."
            raise DataError(f"data set {dataset!r} has no version {version!r}.", remedy)
        return _parse_manifest(path)

    def versions(self, dataset: str) -> list[DataVersion]:
        """All versions of a data set, oldest first; none for a data set never written."""
        folder = self._manifest(dataset, "any").parent
        found = [_parse_manifest(path) for path in folder.glob("*.json")]
        return sorted(found, key=lambda version: (version.created, version.id))

    def verify(self, version: DataVersion) -> None:
        """Hash every partition again. Raises DataError naming the first damaged one."""
        for partition in version.partitions:
            path = self._existing(version, partition)
            if not holds(path, partition.sha256):
                raise DataError(
                    f"partition {partition.key!r} of {version.dataset} {version.id} is damaged: "
                    f"{path} no longer holds what was written.",
                    "Run the pipeline on the same source again: it writes the file anew.",
                )

    def read(
        self,
        version: DataVersion,
        columns: Sequence[str] | None = None,
        partitions: Sequence[str] | None = None,
    ) -> "pa.Table":
        """The rows of a version, partitions in the order of their keys, rows as written.

        ``columns`` and ``partitions`` (keys) narrow what is read. Raises DataError for a name
        that the version does not have.
        """
        with parquet_view(self._files(version, partitions), self.root / ".spill") as connection:
            known = connection.table("data").columns
            wanted = [name for name in known if name != PARTITION] if columns is None else columns
            for name in wanted:
                if name not in known:
                    raise DataError(
                        f"{version.dataset} {version.id} has no column {name!r}.",
                        did_you_mean(name, known),
                    )
            return select_columns(connection, wanted)

    def query(self, version: DataVersion, sql: str) -> "pa.Table":
        """The result of one SELECT over the view ``data``: the columns, and ``partition``.

        The statement can read this version's files and nothing else, and can write nothing.
        Raises DataError, with DuckDB's message, for SQL that is not that.
        """
        with parquet_view(self._files(version, None), self.root / ".spill") as connection:
            return select(connection, sql)

    def _write_partition(self, dataset: str, key: str, table: "pa.Table") -> Partition:
        digest = content_hash(table)
        path = self._file(dataset, digest)
        # A file that was damaged since is written anew, so that a rerun mends the store.
        if not (path.is_file() and holds(path, digest)):
            atomic.write_bytes(path, to_parquet(table))
        return Partition(key, digest, table.num_rows)

    def _files(self, version: DataVersion, keys: Sequence[str] | None) -> list[tuple[str, Path]]:
        """(key, file) of the partitions asked for, in the order of their keys."""
        known = [partition.key for partition in version.partitions]
        for key in known if keys is None else keys:
            if key not in known:
                raise DataError(
                    f"{version.dataset} {version.id} has no partition {key!r}.",
                    did_you_mean(key, known),
                )
        chosen = [one for one in version.partitions if keys is None or one.key in keys]
        if not chosen:
            raise DataError(f"no partition of {version.dataset} {version.id} was asked for.")
        return [(one.key, self._existing(version, one)) for one in chosen]

    def _existing(self, version: DataVersion, partition: Partition) -> Path:
        path = self._file(version.dataset, partition.sha256).resolve()
        if not path.is_file():
            raise DataError(
                f"partition {partition.key!r} of {version.dataset} {version.id} is gone: "
                f"{path} does not exist.",
                "Run the pipeline on the same source again: it writes the file anew.",
            )
        return path

    def _file(self, dataset: str, digest: str) -> Path:
        return self._folder(dataset) / "partitions" / f"{digest}.parquet"

    def _manifest(self, dataset: str, version: str) -> Path:
        return self._folder(dataset) / "versions" / f"{version}.json"

    def _folder(self, dataset: str) -> Path:
        if not _DATASET.fullmatch(dataset):
            raise ConfigError(
                f"{dataset!r} cannot name a data set.", "Use letters, digits, '.', '_' and '-'."
            )
        return self.root / dataset


def version_id(dataset: str, partitions: Sequence[Partition], context: Mapping[str, str]) -> str:
    """16 hex digits of the SHA-256 over data set, sorted (key, content hash), sorted context."""
    parts = sorted((partition.key, partition.sha256) for partition in partitions)
    return hash_json([dataset, parts, sorted(context.items())])[:ID_DIGITS]


def _check_tables(dataset: str, tables: Mapping[str, "pa.Table"]) -> None:
    """Raises DataError unless the tables have names and columns that one view can show."""
    if not tables:
        raise DataError(f"data set {dataset!r} has no partition to write.")
    first = min(tables)
    expected = dict(column_types(tables[first]))
    for key, table in tables.items():
        if not key or not key.isprintable():
            raise DataError(f"{key!r} cannot name a partition of {dataset!r}.")
        _check_names(f"partition {key!r} of {dataset!r}", table.column_names)
        found = dict(column_types(table))
        for name, _ in sorted(expected.items() ^ found.items()):
            raise DataError(
                f"partition {key!r} of {dataset!r} does not fit {first!r}: column {name!r} is "
                f"{found.get(name, 'missing')}, there {expected.get(name, 'missing')}.",
                "Give all partitions the same columns and types.",
            )


def _check_names(owner: str, columns: Sequence[str]) -> None:
    folded = [name.casefold() for name in columns]
    if not columns:
        raise DataError(f"{owner} has no column.")
    if PARTITION in folded:
        raise DataError(f"{owner} has a column {PARTITION!r}, which is the name of the key.")
    for name in columns:
        if not name or folded.count(name.casefold()) > 1:
            raise DataError(
                f"{owner} has a column {name!r} whose name is empty or not its own.",
                "Column names must differ by more than upper and lower case.",
            )


def _parse_manifest(path: Path) -> DataVersion:
    """Raises DataError for a manifest that is not what was written: its content has its id."""
    try:
        raw = json.loads(path.read_bytes())
        partitions = tuple(Partition(**partition) for partition in raw.pop("partitions"))
        version = DataVersion(partitions=partitions, **raw)
        intact = path.stem == version.id == version_id(version.dataset, partitions, version.context)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"the manifest {path} cannot be read: {error}.") from error
    if not intact:
        raise DataError(
            f"the manifest {path} was altered: its content does not have its id.",
            "Remove the file and run the pipeline on the same source again.",
        )
    return version
