"""Cut documents into chunks and embed them."""

from typing import Annotated

from zenml import step

from lifecycle.resources import Resources, device
from lifecycle.state import State
from rag.config import ChunkingConfig, EmbeddingConfig
from rag.stages.prepare import prepare
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def prepare_chunks(
    data: Folder, chunking: ChunkingConfig, embedding: EmbeddingConfig, resources: Resources
) -> Annotated[Folder, "chunks"]:
    with clock("prepare") as note:
        out = new_folder("prepare")
        cache = State.from_env().cache
        note.text = str(prepare(data.path, chunking, embedding, cache, device(resources)[0], out))
    return Folder(out)
