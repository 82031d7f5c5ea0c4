"""The one error tree of the project.

::

    MLOpsError                 exit 1, HTTP 500   anything this project raises on purpose
    ├── UsageError             exit 2, HTTP 400   a wrong word: option, use case, key, file
    │   └── ConfigError        exit 2, HTTP 400   a configuration value that does not fit
    ├── NotPromotedError       exit 3, HTTP 409   --require-promotion, and the gate refused
    ├── DataError              exit 4, HTTP 422   the data cannot be used
    │   ├── SourceError        exit 4, HTTP 422   nothing readable where data should be
    │   └── InvalidDataError   exit 4, HTTP 422   too many rows break the schema
    ├── BundleError            exit 5, HTTP 503   a bundle is missing, incomplete or altered
    ├── RegistryError          exit 6, HTTP 404   no such model, version or champion
    ├── StackError             exit 7, HTTP 500   the ZenML stack cannot be set up
    ├── GenerationError        exit 8, HTTP 502   a language model did not answer
    ├── StorageError           exit 9, HTTP 507   a write failed: disk full, no permission
    └── InputError             exit 10, HTTP 422  a question or row that cannot be answered

The command line prints ``str(error)`` on one line and exits with ``exit_code``; services answer
with ``http_status``. Errors of other libraries are translated where they arise, ``raise … from``.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class MLOpsError(Exception):
    """A failure with a cause in words and a way out.

    ``problem`` names the value and why it does not work; ``remedy`` what to type or change.
    """

    exit_code = 1
    http_status = 500

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()


class UsageError(MLOpsError):
    exit_code = 2
    http_status = 400


class ConfigError(UsageError):
    pass


class NotPromotedError(MLOpsError):
    exit_code = 3
    http_status = 409


class DataError(MLOpsError):
    exit_code = 4
    http_status = 422


class SourceError(DataError):
    pass


class InvalidDataError(DataError):
    pass


class BundleError(MLOpsError):
    exit_code = 5
    http_status = 503


class RegistryError(MLOpsError):
    exit_code = 6
    http_status = 404


class StackError(MLOpsError):
    exit_code = 7


class GenerationError(MLOpsError):
    exit_code = 8
    http_status = 502


class StorageError(MLOpsError):
    exit_code = 9
    http_status = 507


class InputError(MLOpsError):
    exit_code = 10
    http_status = 422


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy naming the valid word nearest to ``word``, or all of them where none is near."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known: {', '.join(names)}." if names else ""
