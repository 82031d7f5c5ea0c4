"""How many threads the libraries of numbers may use."""

from contextlib import AbstractContextManager, suppress
from functools import cache
from typing import Any


def limited(threads: int) -> AbstractContextManager[Any]:
    """At most so many threads of BLAS and OpenMP in scikit-learn; others are told by argument."""
    limit: AbstractContextManager[Any] = _controller().limit(limits=threads)
    return limit


@cache
def _controller() -> Any:
    """Looking for the libraries takes 10 ms; they must be loaded before. A service of a model that
    needs no scikit-learn has none."""
    from threadpoolctl import ThreadpoolController

    with suppress(ModuleNotFoundError):
        import sklearn.ensemble
        import sklearn.linear_model  # noqa: F401
    return ThreadpoolController()
