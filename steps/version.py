"""Make the valid data an immutable version."""

from typing import Annotated

from zenml import step

from lifecycle.stages import version_table
from lifecycle.state import State
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def version(data: Folder, dataset: str, context: dict[str, str]) -> Annotated[Folder, "version"]:
    """``context`` names what else the version means, such as the chunker and the embedder."""
    with clock("version") as note:
        out = new_folder("version")
        made = version_table(data.path, State.from_env().data, dataset, context, out)
        note.text = f"data version {made}"
    return Folder(out)
