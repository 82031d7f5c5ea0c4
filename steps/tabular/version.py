"""Make the valid rows of the window an immutable data version."""

from typing import Annotated

from zenml import step

from classic.tabular.stages import version as stage
from lifecycle import usecases
from lifecycle.state import State
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def version(
    valid: Folder, use_case: str, dataset: str, window: str
) -> Annotated[Folder, "version"]:
    with clock("version") as note:
        out = new_folder("version")
        schema, store = usecases.find(use_case).table_schema(), State.from_env().data
        note.text = stage.version(valid.path, schema, store, dataset, window, out)
    return Folder(out)
