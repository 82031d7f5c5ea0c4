"""Tune and fit a model, and make it a bundle."""

from typing import Annotated

from zenml import step

from classic.tabular.config import Training
from classic.tabular.stages.train import train
from lifecycle import usecases
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def train_model(
    parts: Folder, version: Folder, chosen: Training
) -> tuple[Annotated[Folder, "bundle"], Annotated[Folder, "trials"]]:
    with clock("train") as note:
        out, work = new_folder("train") / "bundle", new_folder("trials")
        schema = usecases.find(chosen.use_case).table_schema()
        note.text = train(parts.path, version.path, schema, chosen, out, work)
    return Folder(out), Folder(work)
