"""Read the table of a source."""

from typing import Annotated

from zenml import step

from classic.tabular.config import SourceConfig
from classic.tabular.stages.load import load
from lifecycle.fingerprint import ROOT
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def load_table(source: SourceConfig, use_case: str, content: str) -> Annotated[Folder, "table"]:
    """``content`` is a digest of the source's files, so that a changed file is a changed input."""
    with clock("load") as note:
        out = new_folder("load")
        note.text = load(source, use_case, ROOT, out)
    return Folder(out)
