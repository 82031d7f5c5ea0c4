"""Build the index and make it a bundle."""

from typing import Annotated

from zenml import step

from rag.config import RagConfig
from rag.stages.index import Parts, build_index
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def index(
    chunks: Folder, data: Folder, data_version: Folder, name: str, use_case: str, config: RagConfig
) -> Annotated[Folder, "bundle"]:
    with clock("index") as note:
        out = new_folder("index") / "bundle"
        parts = Parts(data.path, data_version.path, chunks.path)
        made = build_index(parts, name, use_case, config, out)
        note.text = f"bundle {made}"
    return Folder(out)
