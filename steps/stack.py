"""What steps take from the active ZenML stack."""

from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.bundle import read_manifest
from lifecycle.candidates import Scorer
from lifecycle.errors import StackError
from lifecycle.predictors import method_module
from lifecycle.state import State
from lifecycle.tracking import Tracker

if TYPE_CHECKING:
    import pandas as pd


def tracker() -> Tracker:
    """The MLflow that the active stack's experiment tracker names."""
    from zenml.client import Client

    stack = Client().active_stack
    component = stack.experiment_tracker
    if component is None:
        raise StackError(
            f"the active stack {stack.name!r} has no experiment tracker.",
            "Add one of flavour mlflow to its file under stacks/.",
        )
    uri: str = component.get_tracking_uri()  # type: ignore[attr-defined]  # of the MLflow flavour
    return Tracker(uri, State.from_env().mlflow_artifacts)


def scorer(bundle: Path, evaluation: Path) -> Scorer:
    """A function that evaluates another bundle on the holdout in ``evaluation``."""
    kind = read_manifest(bundle).kind

    def score(other: Path) -> "pd.DataFrame":
        scores: pd.DataFrame = method_module(kind, "stages.evaluate").score_bundle(
            other, evaluation, State.from_env().cache
        )
        return scores

    return score
