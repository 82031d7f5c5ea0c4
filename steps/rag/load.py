"""Read the documents of a source."""

from typing import Annotated

from zenml import step

from lifecycle.fingerprint import ROOT
from lifecycle.state import State
from rag.config import SourceConfig
from rag.stages.load import load
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def load_documents(source: SourceConfig, content: str) -> Annotated[Folder, "documents"]:
    """``content`` is a digest of the source's files, so that a changed file is a changed input."""
    with clock("load") as note:
        out = new_folder("load")
        note.text = str(load(source, ROOT, State.from_env().cache, out))
    return Folder(out)
