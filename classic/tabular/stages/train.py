"""From rows to learn from to a model, as a bundle."""

import json
from pathlib import Path

from classic.tabular.config import Training
from classic.tabular.stages import tables
from classic.tabular.stages.split import TRAIN
from lifecycle import bundle as bundles
from lifecycle.atomic import write_text
from lifecycle.bundle import Manifest
from lifecycle.fingerprint import code_version, libraries
from lifecycle.progress import bar
from lifecycle.stages import VERSION
from lifecycle.tables import TableSchema

ANSWERS = "classic.predictor"
MODEL, ONNX = "model", "model.onnx"
TRIALS, FACTS = "trials.parquet", "facts.json"
LIBRARIES = ["lightgbm", "numpy", "onnxruntime", "pandas", "pandera", "pyarrow", "pydantic"]
LIBRARIES += ["PyYAML", "rich", "scikit-learn", "scipy", "skops", "threadpoolctl", "xgboost-cpu"]


def train(
    parts: Path, version: Path, schema: TableSchema, chosen: Training, out: Path, work: Path
) -> str:
    """Tune and fit a model on the training rows in ``parts`` and make the bundle ``out``; the
    trials and what was measured on the way go to ``work``. A sentence about it."""
    from classic.tabular import model as models

    frame = tables.read(parts / TRAIN, schema)
    with bar("train", chosen.learning.tuning.trials) as told:
        trained = models.train(
            frame, schema, chosen.problem, chosen.learning, chosen.resources.threads, told
        )
    trained.trials.to_parquet(work / TRIALS)
    write_text(work / FACTS, json.dumps(trained.facts))
    manifest = Manifest(
        name=chosen.name,
        kind="classic",
        use_case=chosen.use_case,
        data_version=json.loads((version / VERSION).read_text("utf-8"))["id"],
        code_version=code_version([ANSWERS]).to_dict(),
        libraries=libraries(LIBRARIES),
        inputs={name: schema.columns[name].type for name in schema.features},
        outputs=_OUTPUTS[chosen.problem],
        settings={
            "problem": chosen.problem,
            "model": trained.model.kind,
            "learning": chosen.learning.model_dump(mode="json"),
        },
        resources=chosen.resources.model_dump(),
    )

    def fill(folder: Path) -> None:
        trained.model.save(folder / MODEL)
        if chosen.export:
            from classic.tabular.onnx_export import export

            export(trained.model, folder / ONNX)

    made = bundles.write(out, manifest, fill).manifest
    tried = len(trained.trials)
    return f"{trained.model.kind}, the best of {tried} trials: bundle {made.bundle_id}"


_OUTPUTS = {
    "binary": {"prediction": "0 or 1", "score": "probability, 0 to 1"},
    "multiclass": {"prediction": "class", "score": "probability, 0 to 1"},
    "regression": {"prediction": "number", "low": "number", "high": "number"},
}
