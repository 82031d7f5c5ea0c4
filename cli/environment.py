"""The process's environment, set before any library reads it: no telemetry, no hub, no noise."""

import logging
import os
import sys
import traceback
import warnings
from types import TracebackType

from lifecycle.errors import StorageError
from lifecycle.state import State

DEFAULTS = {
    "ZENML_ANALYTICS_OPT_IN": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "true",
    "ORT_DISABLE_TELEMETRY": "1",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


_OURS: set[str] = set()


def allow_hub() -> None:
    """Let the Hugging Face hub be reached, unless the user's environment forbids it."""
    if "HF_HUB_OFFLINE" in _OURS:
        os.environ["HF_HUB_OFFLINE"] = "0"


def prepare(debug: bool) -> None:
    """Set defaults that the user has not set, and send the libraries' logs to the state folder.

    With ``debug`` they go to standard error as well.
    """
    for name, value in DEFAULTS.items():
        if name not in os.environ:
            os.environ[name] = value
            _OURS.add(name)
    state = State.from_env()
    os.environ.setdefault("MPLCONFIGDIR", str(state.cache / "matplotlib"))
    os.environ.setdefault("ZENML_LOGGING_VERBOSITY", "DEBUG" if debug else "CRITICAL")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "DEBUG" if debug else "WARNING")
    _log(state, debug)
    if not debug:
        sys.excepthook = _report_defect


def _log(state: State, debug: bool) -> None:
    try:
        state.root.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(state.log, delay=True, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"cannot write to the state folder {state.root}: {error.strerror}.",
            "Choose another with MLOPS_HOME.",
        ) from error
    handlers: list[logging.Handler] = [file]
    if debug:
        handlers.append(logging.StreamHandler())
    logging.basicConfig(
        level=logging.INFO,
        handlers=handlers,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    logging.captureWarnings(True)
    warnings.simplefilter("default" if debug else "ignore")


def _report_defect(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """What a person sees of an error that this project did not foresee; the rest is in the log."""
    log = State.from_env().log
    with log.open("a", encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(kind, error, trace)))
    first = (str(error).strip() or "no message").splitlines()[0]
    print(
        f"error: {kind.__name__}: {first} This is a defect of the project; "
        f"details are in {log}, and --debug shows them.",
        file=sys.stderr,
    )
