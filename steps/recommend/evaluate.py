"""Measure a recommender on the users of its holdout."""

from typing import Annotated

from zenml import step

from classic.recommend.config import Measuring
from classic.recommend.stages.evaluate import evaluate_bundle
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def evaluate_recommender(
    bundle: Folder, parts: Folder, settings: Measuring
) -> Annotated[Folder, "evaluation"]:
    with clock("evaluate") as note:
        out = new_folder("evaluate")
        note.text = evaluate_bundle(bundle.path, parts.path, settings, out)
    return Folder(out)
