"""The configuration trees of the `classic` pipeline: one for each kind of problem."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from classic.recommend.config import RecommendationConfig
from classic.tabular.config import TabularConfig
from lifecycle.errors import ConfigError, did_you_mean

TREES: dict[str, type[BaseModel]] = {
    "recommendation": RecommendationConfig,
    "binary": TabularConfig,
    "multiclass": TabularConfig,
    "regression": TabularConfig,
}


def tree_of(raw: Mapping[str, Any], origin: str) -> type[BaseModel]:
    """The tree for the YAML ``raw``, by its ``problem``. Raises ConfigError for an unknown one."""
    problem = raw.get("problem")
    if problem not in TREES:
        raise ConfigError(
            f"{origin}: problem={problem!r} is no problem that this pipeline knows.",
            did_you_mean(str(problem), TREES),
        )
    return TREES[str(problem)]
