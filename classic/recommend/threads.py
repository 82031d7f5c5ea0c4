"""One place that says how many threads the libraries of numbers may use."""

import os
from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limited() -> AbstractContextManager[Any]:
    """At most one thread of BLAS for each core in here."""
    limit: AbstractContextManager[Any] = _controller().limit(limits=cores(), user_api="blas")
    return limit


@cache
def _controller() -> Any:
    import numpy  # noqa: F401  (its BLAS must be loaded before it is looked for)
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
