"""Measure a model on its held-out rows."""

from typing import Annotated

from zenml import step

from classic.tabular.config import EvaluationConfig
from classic.tabular.stages.evaluate import evaluate_bundle
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def evaluate_model(
    bundle: Folder, parts: Folder, trials: Folder, settings: EvaluationConfig
) -> Annotated[Folder, "evaluation"]:
    with clock("evaluate") as note:
        out = new_folder("evaluate")
        note.text = evaluate_bundle(bundle.path, parts.path, trials.path, settings, out)
    return Folder(out)
