"""Part what is learned from and what is asked."""

from typing import Annotated

from zenml import step

from classic.recommend.config import SplitConfig
from classic.recommend.stages.split import split
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def split_events(data: Folder, settings: SplitConfig) -> Annotated[Folder, "parts"]:
    with clock("split") as note:
        out = new_folder("split")
        note.text = split(data.path, settings, out)
    return Folder(out)
