"""What a run of the `classic` pipeline reads from outside."""

from collections.abc import Callable
from pathlib import Path

from classic.recommend.config import RecommendationConfig
from classic.recommend.stages import load as films
from classic.tabular.config import TabularConfig
from classic.tabular.stages import load as table
from lifecycle.fingerprint import ROOT

Config = RecommendationConfig | TabularConfig


def inputs(config: Config, use_case: Path) -> dict[str, str]:
    """Digests of what a run reads from outside. Raises SourceError where it is not there."""
    if isinstance(config, RecommendationConfig):
        return {"content": films.digest(config.source, ROOT)}
    return {"content": table.digest(config.source, use_case.name, ROOT)}


def resolved(config: Config, bundle_at: Callable[[str], Path]) -> Config:
    """``config`` as it is: nothing in it names a registered model."""
    return config


def needs_hub(config: Config) -> bool:
    """Never: these models are trained here."""
    return False
