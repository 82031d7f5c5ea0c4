"""Simulated deliveries. Those of a service, with the same columns, are a source of kind files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifecycle.config import build
from lifecycle.stages import TABLE
from usecases.delivery.simulate import SimulationConfig, simulate

ORIGIN = "source.options of delivery"


def load(options: Mapping[str, Any], root: Path, out: Path) -> str:
    """Write ``out/table.parquet``. Raises ConfigError for options that do not fit."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = simulate(build(SimulationConfig, options, ORIGIN)).table
    pq.write_table(table, out / TABLE, compression="zstd")
    mean = pc.mean(table["minutes"]).as_py()
    return f"{table.num_rows:,} deliveries, {mean:.1f} minutes on average"


def digest(options: Mapping[str, Any], root: Path) -> str:
    """Empty: nothing is read. Raises ConfigError for options that do not fit."""
    build(SimulationConfig, options, ORIGIN)
    return ""
