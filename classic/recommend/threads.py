"""One place that says how many threads the libraries of numbers may use."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limited(threads: int) -> AbstractContextManager[Any]:
    """At most so many threads of BLAS in here."""
    limit: AbstractContextManager[Any] = _controller().limit(limits=threads, user_api="blas")
    return limit


def in_threads(work: Callable[[slice], None], parts: Sequence[slice]) -> None:
    """``work`` on every part, as many at a time as there are cores, BLAS with one thread each."""
    if len(parts) <= 1:
        for part in parts:
            work(part)
        return
    with limited(1), ThreadPoolExecutor(cores()) as pool:
        list(pool.map(work, parts))


@cache
def _controller() -> Any:
    import numpy  # noqa: F401  (its BLAS must be loaded before it is looked for)
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
