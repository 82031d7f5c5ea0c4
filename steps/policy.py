"""What makes a cached step result stale: its parameters, its inputs, and all code behind it."""

from collections.abc import Sequence
from typing import Any

from zenml.config.cache_policy import CachePolicy

from lifecycle.fingerprint import dependencies


def settings(module: str, *also: str, files: Sequence[str] = ()) -> dict[str, Any]:
    """Options for ``step.with_options``: the cache sees every file that ``module`` depends on.

    ZenML hashes the step's own source only; our steps are thin, so the files that they import
    (found by reading the imports) count too, and the pinned versions. Inputs count by content,
    not by who made them. ``also``: modules that are loaded by name, such as a use case's schema;
    ``files``: what else counts, by path (from the project's folder, or absolute).
    """
    named = [*dependencies([module, *also]), *files, "constraints.txt"]
    return {"cache_policy": CachePolicy(include_artifact_ids=False, file_dependencies=named)}
