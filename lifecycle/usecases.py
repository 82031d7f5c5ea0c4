"""Use cases: folders under ``usecases/``, found by name."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from lifecycle.errors import ConfigError, UsageError, did_you_mean
from lifecycle.fingerprint import ROOT
from lifecycle.tables import TableSchema, read_schema

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

FOLDER = ROOT / "usecases"
TABLE_SCHEMA = "schema.yaml"


class Source(Protocol):
    """What a use case's ``source.py`` has: where its raw data comes from."""

    def load(self, options: Mapping[str, Any], root: Path, out: Path) -> str:
        """Write ``out/table.parquet``; a sentence about what it holds."""

    def digest(self, options: Mapping[str, Any], root: Path) -> str:
        """Of the files that it reads; empty where it simulates."""


@dataclass(frozen=True)
class UseCase:
    name: str
    folder: Path

    def config_file(self, pipeline: str) -> Path:
        """The YAML for ``pipeline``. Raises UsageError naming the pipelines there are."""
        path = self.folder / f"{pipeline}.yaml"
        if not path.is_file():
            there = ", ".join(found.stem for found in self.pipelines()) or "none"
            raise UsageError(
                f"use case {self.name!r} has no {pipeline}.yaml.", f"It supports: {there}."
            )
        return path

    def pipelines(self) -> list[Path]:
        """The YAML files of the pipelines that it supports."""
        return [p for p in sorted(self.folder.glob("*.yaml")) if p.name != TABLE_SCHEMA]

    def schema(self) -> "DataFrameSchema":
        """What good data looks like: ``schema()`` of ``schema.py``, else ``schema.yaml``."""
        if not (self.folder / "schema.py").is_file():
            return self.table_schema().pandera()
        module = import_module(f"usecases.{self.name}.schema")
        return cast("Callable[[], DataFrameSchema]", module.schema)()

    def source(self) -> Source:
        """Its own ``source.py``. Raises ConfigError where it has none."""
        if not (self.folder / "source.py").is_file():
            raise ConfigError(
                f"use case {self.name!r} has no source.py, and source.kind=code asks for it.",
                "Name files instead: --set source.kind=files --set source.path=data.csv.",
            )
        return cast(Source, import_module(f"usecases.{self.name}.source"))

    def has_table(self) -> bool:
        """Whether ``schema.yaml`` says what the columns of its table are."""
        return (self.folder / TABLE_SCHEMA).is_file()

    def table_schema(self) -> TableSchema:
        """The columns of its table, from ``schema.yaml``. Raises ConfigError."""
        return read_schema(self.folder / TABLE_SCHEMA)


def find(name: str) -> UseCase:
    """The use case named ``name``. Raises UsageError with the nearest name."""
    folder = FOLDER / name
    if name not in known():
        raise UsageError(f"there is no use case {name!r}.", did_you_mean(name, known()))
    if not name.isidentifier():
        raise UsageError(
            f"use case {name!r} cannot be imported.",
            f"Rename its folder to {re.sub(r'[^0-9A-Za-z_]', '_', name)!r}.",
        )
    return UseCase(name, folder)


def known() -> list[str]:
    """Names of all use cases: folders with at least one pipeline's YAML."""
    return sorted({p.parent.name for p in FOLDER.glob("*/*.yaml") if p.name != TABLE_SCHEMA})
