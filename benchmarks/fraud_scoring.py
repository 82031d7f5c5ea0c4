"""How fast an exported model scores payments, beside the libraries' own ways, in one run.

    python benchmarks/fraud_scoring.py [--model DIR --table FILE] [--rows 100000] [--singles 2000]
                                       [--trees 300] [--threads 2] [--json FILE]

DIR is a folder of a tabular model whose kind is lightgbm, FILE the Parquet table that it is asked
about; without them a LightGBM model of ``--trees`` trees is trained on 20,000 made-up payments (13
columns, 3 of them text). Everything answers the same rows:

- ours: the ONNX file, raw columns in, calibrated score out, preparation included
- TabularModel: the model that the file was exported from, asked with a DataFrame
- LightGBM alone: ``Booster.predict`` on features that are prepared already
- pipeline: scikit-learn's ColumnTransformer (OrdinalEncoder) before an LGBMClassifier with as many
  trees and leaves, asked with a DataFrame; it is fitted on the rows asked about, so its trees are
  others, and may be smaller

One row is asked with one thread, all rows at once with ``--threads``. A ratio above 1: ours is
faster.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from classic.tabular.candidates import CANDIDATES
from classic.tabular.candidates.base import Data
from classic.tabular.columns import Columns
from classic.tabular.model import TabularModel, train
from classic.tabular.onnx_export import export, parity
from classic.tabular.onnx_model import OnnxScorer
from classic.tabular.rows import checked
from classic.tabular.settings import Learning, Tuning
from lifecycle.tables import Column, TableSchema

OURS = "ours (ONNX)"
_TRAINING, _BATCHES, _SINGLES = 20_000, 5, 500
_WARMING = 20
_NUMBERS = [
    f"{what}_{window}" for what in ("count", "sum", "merchants") for window in ("1h", "1d", "7d")
]
_TEXTS = {"merchant": 300, "country": 40, "channel": 4}


@dataclass(frozen=True)
class Peer:
    """``one`` scores the row at a place, ``all`` every row, with the given number of threads."""

    one: Callable[[int], Any]
    all: Callable[[], Any]


def made_up(rows: int, seed: int = 0) -> tuple[TableSchema, pd.DataFrame]:
    """Payments without a story: 1 % are frauds, more likely of high sums at few merchants."""
    rng = np.random.default_rng(seed)
    table: dict[str, Any] = {name: rng.lognormal(sigma=1.5, size=rows) for name in _NUMBERS}
    table["amount"] = rng.lognormal(3, 1, rows)
    places = {name: rng.zipf(1.3, rows) % values for name, values in _TEXTS.items()}
    table |= {name: [f"{name} {place}" for place in found] for name, found in places.items()}
    odds = np.log(table["sum_1h"]) + np.log(table["amount"]) / 2 + (places["merchant"] % 7 == 3)
    odds += rng.normal(size=rows)
    table["fraud"] = odds > np.quantile(odds, 0.99)
    columns = {name: Column(type="number") for name in [*_NUMBERS, "amount"]}
    columns |= {name: Column(type="category") for name in _TEXTS}
    columns["fraud"] = Column(type="boolean", role="target")
    schema = TableSchema(columns=columns)
    return schema, schema.coerce(pd.DataFrame(table))


def trained(trees: int, threads: int) -> TabularModel:
    """A model of made-up payments; tuning would stop before so many trees."""
    schema, frame = made_up(_TRAINING)
    learning = Learning(candidates=("lightgbm",), tuning=Tuning(trials=1, folds=2))
    model = train(frame, schema, "binary", learning, threads).model
    prepared = model.preparation(checked(frame, schema, model.inputs)[0])
    data = Data(prepared, frame["fraud"].to_numpy(dtype=np.int64), np.ones(len(frame)))
    params = {**model.params, "trees": trees}
    return replace(model, fitted=CANDIDATES["lightgbm"].fit(model.task, params, data, None))


def pipeline(model: TabularModel, frame: pd.DataFrame) -> Any:
    """Fitted on ``frame``; as many trees and leaves as the model has."""
    from lightgbm import LGBMClassifier
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    texts = list(model.preparation.values)
    prepared = make_column_transformer((encoder, texts), remainder="passthrough")
    prepared.set_output(transform="pandas")
    leaves = model.params["num_leaves"]
    trees = LGBMClassifier(n_estimators=model.fitted.rounds, num_leaves=leaves, verbose=-1)
    return make_pipeline(prepared, trees).fit(frame[model.inputs], frame[model.schema.target])


def peers(
    model: TabularModel, file: Path, columns: Columns, frame: pd.DataFrame, threads: int
) -> dict[str, Peer]:
    one, many = OnnxScorer(file), OnnxScorer(file, threads)
    singles = range(min(len(frame), _SINGLES))
    rows = [{name: column[n : n + 1] for name, column in columns.items()} for n in singles]
    frames = [frame.iloc[n : n + 1] for n in singles]
    prepared, booster = model.preparation(columns), model.fitted.model
    whole = pipeline(model, frame)
    settings = {"num_iteration": model.fitted.rounds}

    def alone(features: Any, cores: int) -> Any:
        return booster.predict(features, num_threads=cores, **settings)

    return {
        OURS: Peer(lambda n: one.score(rows[n]), lambda: many.score(columns)),
        "TabularModel": Peer(lambda n: model.predict(frames[n]), lambda: model.predict(frame)),
        "LightGBM alone": Peer(
            lambda n: alone(prepared[n : n + 1], 1), lambda: alone(prepared, threads)
        ),
        "pipeline": Peer(
            lambda n: whole.predict_proba(frames[n], num_threads=1),
            lambda: whole.predict_proba(frame, num_threads=threads),
        ),
    }


def measure(asked: dict[str, Peer], rows: int, singles: int) -> dict[str, dict[str, float]]:
    """The peers take turns at every row and batch, so that what else runs disturbs all alike."""
    took: dict[str, list[float]] = {name: [] for name in asked}
    batches: dict[str, list[float]] = {name: [] for name in asked}
    for n in range(singles + _WARMING):
        for name, peer in asked.items():
            took[name].append(_seconds(lambda n=n, peer=peer: peer.one(n % min(rows, _SINGLES))))
    for _ in range(_BATCHES):
        for name, peer in asked.items():
            batches[name].append(_seconds(peer.all))
    found = {}
    for name in asked:
        p50, p99 = np.percentile(took[name][_WARMING:], [50, 99]) * 1e3
        batch = rows / float(np.median(batches[name]))
        found[name] = {"one_p50_ms": float(p50), "one_p99_ms": float(p99), "rows_per_s": batch}
    return found


def reported(model: TabularModel, figures: dict[str, dict[str, float]]) -> dict[str, Any]:
    ours = figures[OURS]
    ratios = {
        name: {
            "one_p50": one["one_p50_ms"] / ours["one_p50_ms"],
            "batch": ours["rows_per_s"] / one["rows_per_s"],
        }
        for name, one in figures.items()
    }
    facts = {"trees": model.fitted.rounds, "inputs": len(model.inputs)}
    return {**facts, "figures": figures, "ratios": ratios}


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--singles", type=int, default=2000)
    parser.add_argument("--trees", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.model:
        model = TabularModel.load(options.model, options.threads)
        frame = model.schema.coerce(pd.read_parquet(options.table))
        frame = frame.iloc[np.resize(np.arange(len(frame)), options.rows)].reset_index(drop=True)
    else:
        model = trained(options.trees, options.threads)
        _, frame = made_up(options.rows, seed=1)
    if model.kind != "lightgbm":
        raise SystemExit(f"{options.model} is a model of kind {model.kind}, not lightgbm.")
    columns, _ = checked(frame, model.schema, model.inputs)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        export(model, file)
        asked = peers(model, file, columns, frame, options.threads)
        figures = measure(asked, len(frame), options.singles)
        differs = parity(model, OnnxScorer(file), frame)
    report = reported(model, figures) | {"rows": len(frame), "max_difference": differs}
    print(
        "{trees} trees, {inputs} columns, {rows} rows; off by {max_difference:.1e}".format(**report)
    )
    line = "{:<15} one row p50 {one_p50_ms:7.3f} ms  p99 {one_p99_ms:7.3f} ms  ({one_p50:5.1f})"
    line += "   batch {rows_per_s:9.0f} rows/s  ({batch:5.1f})"
    for name, one in figures.items():
        print(line.format(name, **one, **report["ratios"][name]))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
