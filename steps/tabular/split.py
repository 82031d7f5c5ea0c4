"""Part rows to learn from and rows to be measured on."""

from typing import Annotated

from zenml import step

from classic.tabular.config import SplitConfig
from classic.tabular.settings import Problem
from classic.tabular.stages.split import split
from lifecycle import usecases
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def split_table(
    version: Folder, use_case: str, problem: Problem, settings: SplitConfig
) -> Annotated[Folder, "parts"]:
    with clock("split") as note:
        out = new_folder("split")
        schema = usecases.find(use_case).table_schema()
        note.text = split(version.path, schema, problem, settings, out)
    return Folder(out)
