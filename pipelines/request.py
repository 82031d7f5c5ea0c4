"""What to run, and running it to its end: alike for all pipelines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lifecycle.config import Frozen
from lifecycle.usecases import UseCase
from pipelines.runtime import Finished, finished, interruptions
from steps.artifacts import clear_work


@dataclass(frozen=True)
class Request:
    """What to run: the model's ``name``, its use case, configuration, and the digests of its
    inputs (see ``stages.load.inputs`` of each method)."""

    name: str
    use_case: UseCase
    config: Frozen
    inputs: Mapping[str, str]
    cache: bool = True


def complete(pipeline: Any, request: Request) -> Finished:
    """Run ``pipeline``, one of ZenML's, on the active stack and wait for its end."""
    try:
        named = pipeline.with_options(
            enable_cache=request.cache, run_name=f"{request.name}-{{date}}-{{time}}"
        )
        with interruptions():
            done = named(request.name, request.use_case.name, request.config, **request.inputs)
    finally:
        clear_work()
    return finished(done, "register_bundle")
