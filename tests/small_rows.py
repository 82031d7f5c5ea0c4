"""A model of rows, trained in a second or two."""

import json
from pathlib import Path

from classic.tabular.config import Training
from classic.tabular.stages import tables
from classic.tabular.stages.split import TRAIN
from classic.tabular.stages.train import train
from lifecycle.atomic import write_text
from lifecycle.resources import Resources
from lifecycle.stages import VERSION
from tests.tabular_contract import learning, schema, table


def rows_bundle(folder: Path) -> Path:
    """Whether `target` holds, by `size` and `kind`; exported to ONNX."""
    for name in ("version", "parts", "work"):
        (folder / name).mkdir(parents=True)
    columns = schema("binary")
    tables.write(table("binary", 900, 1), columns, folder / "parts" / TRAIN)
    write_text(folder / "version" / VERSION, json.dumps({"id": "rows-1"}))
    chosen = Training(
        name="rows",
        use_case="rows",
        problem="binary",
        learning=learning("linear"),
        export=True,
        resources=Resources(),
    )
    out = folder / "bundle"
    train(folder / "parts", folder / "version", columns, chosen, out, folder / "work")
    return out
