"""The names that the trims replace are there; test_pipeline shows that trimmed ZenML runs."""

from importlib.metadata import version
from pathlib import Path

from pipelines import trims


def test_the_pinned_zenml_is_the_one_that_is_trimmed() -> None:
    assert version("zenml") == trims.ZENML


def test_the_replaced_names_exist_and_are_replaced_once() -> None:
    from zenml.integrations.registry import IntegrationRegistry
    from zenml.utils import source_utils

    assert callable(source_utils._get_package_for_module)
    trims.apply()
    trims.apply()
    assert source_utils._get_package_for_module.__module__ == trims.__name__
    assert source_utils._get_package_for_module("duckdb.sql") == "duckdb"
    assert IntegrationRegistry.activate_integrations is trims._nothing
    IntegrationRegistry().activate_integrations()


def test_only_zenmls_own_database_writes_ahead(tmp_path: Path) -> None:
    from sqlalchemy import create_engine, text

    trims.apply()
    modes = {}
    for name in ("zenml.db", "mlflow.db"):
        with create_engine(f"sqlite:///{tmp_path / name}").connect() as connection:
            modes[name] = connection.execute(text("PRAGMA journal_mode")).scalar()
    assert modes == {"zenml.db": "wal", "mlflow.db": "delete"}
