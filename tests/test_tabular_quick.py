"""Rows read the quick way are what the long way makes of them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from classic.tabular import model as models
from classic.tabular.config import Training
from classic.tabular.onnx_export import export
from classic.tabular.predictor import TabularPredictor
from classic.tabular.quick import QuickReader
from classic.tabular.rows import checked, frame_of, misspelt
from classic.tabular.settings import Learning, Problem, Tuning
from classic.tabular.stages.train import MODEL, ONNX
from lifecycle.bundle import Bundle, Manifest
from lifecycle.errors import InputError
from lifecycle.resources import Resources
from lifecycle.tables import Column, TableSchema

SCHEMA = TableSchema(
    columns={
        "amount": Column(type="number", min=0),
        "age": Column(type="integer", nullable=True, max=120),
        "new": Column(type="boolean", nullable=True),
        "kind": Column(type="category", values=("a", "b")),
        "place": Column(type="category", nullable=True),
        "at": Column(type="time", nullable=True, role="ignored"),
        "target": Column(type="integer", role="target", min=0, max=2),
    }
)
NAMES = SCHEMA.features
TEXTS = ["kind", "place"]
NUMBERS = [name for name in NAMES if name not in TEXTS]
ODD = st.sampled_from(
    ["", " ", " a", "a ", "12", "1e3", "nan", "inf", "true", "no", 2**70, -(2**53) - 1, [], {}]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | ODD
ROW = st.dictionaries(st.sampled_from([*SCHEMA.columns, "amout", "x"]), VALUES | st.just("a"))


@settings(max_examples=400, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=4))
@example([{"amount": 1, "kind": "a", "age": 3.0}])
@example([{"amount": math.inf, "kind": "a"}])
@example([{"amount": True, "kind": "a"}])
def test_the_quick_way_takes_only_rows_that_the_long_way_takes_and_reads_them_alike(
    rows: list[dict[str, Any]],
) -> None:
    reader = QuickReader(SCHEMA, NUMBERS, TEXTS)
    *packed, places = reader.read(rows)
    columns = {name: column for part, names in zip(packed, (NUMBERS, TEXTS), strict=True)
               for name, column in zip(names, part.T, strict=True)}  # fmt: skip
    expected, problems = checked(frame_of(rows, SCHEMA, NAMES), SCHEMA, NAMES)
    for number, place in enumerate(places):
        assert place not in problems
        assert not misspelt(rows[place], SCHEMA, NAMES)
        for name in NAMES:
            ours, theirs = columns[name][number], expected[name][place]
            assert ours == theirs or (math.isnan(ours) and math.isnan(theirs))


def test_plain_rows_take_the_quick_way() -> None:
    row = {"amount": 1.5, "age": 30, "new": False, "kind": "b", "place": "x", "target": 1}
    *_, places = QuickReader(SCHEMA, NUMBERS, TEXTS).read(
        [row, {"amount": 0, "kind": "a"}, {"kind": "a"}]
    )
    assert places == [0, 1]


def trained(problem: Problem, folder: Path) -> TabularPredictor:
    rng = np.random.default_rng(0)
    n = 300
    frame = pd.DataFrame(
        {
            "amount": rng.random(n) * 10,
            "age": rng.integers(0, 90, n),
            "new": rng.random(n) < 0.5,
            "kind": rng.choice(["a", "b"], n),
            "place": rng.choice(["x", "y", "z"], n),
            "at": pd.Timestamp("2024-01-01", tz="UTC"),
        }
    )
    frame["target"] = (frame["amount"] > 5).astype(int) + (frame["kind"] == "a").astype(int)
    if problem == "binary":
        frame["target"] = frame["target"].clip(upper=1)
    learning = Learning(candidates=("lightgbm",), tuning=Tuning(trials=1, folds=3))
    found = models.train(SCHEMA.coerce(frame), SCHEMA, problem, learning)
    found.model.save(folder / MODEL)
    export(found.model, folder / ONNX)
    chosen = Training(
        name="toy", use_case="toy", problem=problem, learning=learning, export=True,
        resources=Resources(),
    )  # fmt: skip
    manifest = Manifest(
        name=chosen.name, kind="classic", use_case="toy", data_version="1", code_version={},
        settings={"problem": problem},
    )  # fmt: skip
    return TabularPredictor(Bundle(folder, manifest))


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_both_ways_predict_the_same(problem: Problem, tmp_path: Path) -> None:
    predictor = trained(problem, tmp_path)
    rows = [
        {"amount": 7.25, "age": 30, "new": True, "kind": "a", "place": "x"},
        {"amount": "7.25", "age": "30", "new": "yes", "kind": " a", "place": "x"},
        {"amount": -1, "kind": "a"},
        {"amount": 2, "kind": "b", "place": "never seen"},
    ]
    quick, long = predictor.predict(rows), predictor.model.predict_rows(rows)
    assert "error" in quick[2] and quick[2] == long[2]
    assert quick[0] == quick[1] or problem != "binary"
    for ours, theirs in zip(quick, long, strict=True):
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert value == theirs[key] or value == pytest.approx(theirs[key], abs=1e-9)
            assert type(value) is type(theirs[key])


def test_a_row_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a row is a mapping of column to value"):
        trained("binary", tmp_path).predict(["a"])
