"""Simulate the files of a streaming service, or find them."""

from typing import Annotated

from zenml import step

from classic.recommend.config import FilmSource
from classic.recommend.stages.load import load
from lifecycle.fingerprint import ROOT
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def load_films(source: FilmSource, content: str) -> Annotated[Folder, "files"]:
    """``content`` is a digest of the source's files, so that a changed file is a changed input."""
    with clock("load") as note:
        out = new_folder("load")
        note.text = load(source, ROOT, out)
    return Folder(out)
