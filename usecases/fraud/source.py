"""Payments with their features: simulated, or from a service's own files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.config import build
from lifecycle.errors import SourceError
from lifecycle.sources import digest as files_digest
from lifecycle.sources import read_files
from lifecycle.stages import TABLE
from usecases.fraud.settings import SimulationConfig

if TYPE_CHECKING:
    import duckdb

ORIGIN = "source.options of fraud"
TABLES = ("accounts", "merchants", "payments")
READERS = {
    ".parquet": "read_parquet(?)",
    ".csv": "read_csv(?, header = true, all_varchar = true, null_padding = true)",
}


class Options(SimulationConfig):
    """``path``: a folder with accounts, merchants and payments, each as .parquet or .csv with the
    columns that ``features.py`` names; empty for the simulation."""

    path: str = ""


def load(options: Mapping[str, Any], root: Path, out: Path) -> str:
    """Write ``out/table.parquet``. Raises ConfigError for options that do not fit, SourceError for
    files that are missing or cannot be read."""
    import duckdb
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from usecases.fraud import features

    chosen = build(Options, options, ORIGIN)
    with duckdb.connect() as connection:
        connection.execute("SET temp_directory = ?", [str(out / ".spill")])
        try:
            if chosen.path:
                _read(connection, root / Path(chosen.path).expanduser())
            else:
                _simulate(connection, chosen)
            table = features.build(connection)
        except duckdb.Error as error:
            # What follows the first line quotes the data.
            reason = str(error).splitlines()[0]
            raise SourceError(f"the payments cannot be read: {reason}") from error
    pq.write_table(table, out / TABLE, compression="zstd")
    share = pc.mean(table["fraud"]).as_py() or 0.0
    return f"{table.num_rows:,} payments, {share:.2%} fraud"


def digest(options: Mapping[str, Any], root: Path) -> str:
    """Of the files in ``path``; empty for the simulation. Raises as ``load`` does."""
    chosen = build(Options, options, ORIGIN)
    if not chosen.path:
        return ""
    folder = root / Path(chosen.path).expanduser()
    files = [str(_file(folder, name)) for name in TABLES]
    return files_digest(read_files(files, root, frozenset(READERS)))


def _simulate(connection: "duckdb.DuckDBPyConnection", chosen: Options) -> None:
    from usecases.fraud.simulate import simulate

    simulation = simulate(chosen)
    for name in TABLES:
        connection.register(name, getattr(simulation, name))


def _read(connection: "duckdb.DuckDBPyConnection", folder: Path) -> None:
    for name in TABLES:
        file = _file(folder, name)
        table = f"CREATE TABLE {name} AS SELECT * FROM {READERS[file.suffix]}"
        connection.execute(table, [str(file)])


def _file(folder: Path, name: str) -> Path:
    for suffix in READERS:
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise SourceError(
        f"{folder} holds no {name}.parquet and no {name}.csv.",
        "Give a folder with accounts, merchants and payments, or leave path out.",
    )
