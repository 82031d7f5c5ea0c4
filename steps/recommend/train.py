"""Fit the chosen contender and make it a bundle."""

from typing import Annotated

from zenml import step

from classic.recommend.config import Training
from classic.recommend.stages.train import train
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def train_recommender(
    parts: Folder, version: Folder, name: str, use_case: str, chosen: Training
) -> Annotated[Folder, "bundle"]:
    with clock("train") as note:
        out = new_folder("train") / "bundle"
        note.text = train(parts.path, version.path, name, use_case, chosen, out)
    return Folder(out)
