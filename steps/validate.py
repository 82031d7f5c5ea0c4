"""Hold a table against its use case's schema."""

from typing import Annotated

from zenml import step

from lifecycle import usecases
from lifecycle.stages import validate_table
from lifecycle.state import State
from steps.artifacts import Folder, new_folder
from steps.clock import clock


@step
def validate(
    data: Folder, use_case: str, dataset: str, max_bad_share: float
) -> Annotated[Folder, "valid"]:
    with clock("validate") as note:
        out = new_folder("validate")
        found = usecases.find(use_case)
        columns = found.table_schema() if found.has_table() else None
        quarantine = State.from_env().quarantine / dataset
        done = validate_table(data.path, found.schema(), quarantine, max_bad_share, out, columns)
        note.text = f"{done.good:,} rows fit the schema"
        if done.bad:
            note.text += f", {done.bad:,} do not: see {done.quarantine}"
    return Folder(out)
