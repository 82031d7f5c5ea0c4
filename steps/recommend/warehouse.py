"""Check catalogue, users and events, join them, and make them a data version."""

from typing import Annotated

from zenml import step

from classic.recommend.stages.warehouse import build
from classic.recommend.warehouse import WarehouseConfig
from lifecycle.state import State
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def warehouse(
    files: Folder, dataset: str, settings: WarehouseConfig
) -> Annotated[Folder, "version"]:
    with clock("warehouse") as note:
        out = new_folder("warehouse")
        note.text = build(files.path, dataset, settings, State.from_env(), out)
    return Folder(out)
