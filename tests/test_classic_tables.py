"""Tabular problems from end to end: clinic, deliveries, fraud, and a table of one's own."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cli.main import main
from lifecycle import usecases
from lifecycle.bundle import open_bundle
from lifecycle.data import DataStore
from lifecycle.errors import InvalidDataError
from lifecycle.predictors import load
from lifecycle.registry import Version
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State
from lifecycle.validation import require_columns
from tests import planted
from tests.test_healthcare import files, person

# On one core: threads that share a busy one wait for each other.
QUICK = [
    "--set", "learning.candidates=[lightgbm]", "--set", "learning.tuning={trials: 2, folds: 3}",
    "--set", "resources.cpus=1",
]  # fmt: skip
BEATS = (
    "gate.rules=[{rule: better_than_baseline, metric: absolute_error, "
    "baseline: baseline.absolute_error, higher_is_better: false}]"
)
FRAUD = ["--set", "source.options.payments=20000", "--set", "source.options.accounts=800"]


def run(use_case: str, *more: str) -> int:
    return main(["--pipeline", "classic", "--use-case", use_case, *QUICK, *more])


def version(name: str, number: int = 1) -> Version:
    state = State.from_env()
    return tracker_of(load_stack("local", state), state).version(name, number)


def bundle(name: str, number: int = 1) -> Path:
    state = State.from_env()
    return tracker_of(load_stack("local", state), state).bundle_path(version(name, number))


def test_deliveries_get_a_time_and_an_interval(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("delivery", "--set", "source.options.orders=6000", "--set", BEATS) == 0
    out, err = capfd.readouterr()
    assert "delivery version 1 passed its gate" in out
    for step in "load validate version split train evaluate gate register".split():
        assert f"✓ {step}" in err
    metrics = open_bundle(bundle("delivery")).manifest.metrics
    assert metrics["absolute_error"]["value"] < 0.7 * metrics["baseline.absolute_error"]["value"]
    assert 0.85 < metrics["covered"]["value"] < 0.95
    page = Path(version("delivery").tags["report"]).read_text("utf-8")
    for words in ("Intervals", "What matters", "Worst rows", "By vehicle", "Without an API"):
        assert words in page


def test_a_window_is_a_data_version_of_its_own(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    orders = ["--set", "source.options.orders=6000", "--set", "gate.rules=[]"]
    assert run("delivery", *orders, "--set", "data.window=2024-02:2024-03") == 0
    assert "from cache, nothing changed: load, validate" in capfd.readouterr().out
    store, made = DataStore(State.from_env().data), version("delivery", 2).tags["data_version"]
    months = {one.key for one in store.open("delivery", made).partitions}
    assert months == {"2024-02", "2024-03"}
    assert run("delivery", *orders, "--set", "data.window=2023-02") == 4
    assert "There are 2024-01 to 2024-06." in capfd.readouterr().err


def test_the_predictor_answers_rows_and_names_what_is_wrong_with_others(home: Path) -> None:
    predictor = load(bundle("delivery"))
    schema = usecases.find("delivery").table_schema()
    frame = pd.read_parquet(next(State.from_env().data.glob("delivery/partitions/*.parquet")))
    row = {k: v for k, v in frame.iloc[0].to_dict().items() if k in schema.features}
    row = {k: v.item() if isinstance(v, np.generic) else v for k, v in row.items()}
    number = next(n for n in schema.features if schema.columns[n].type == "number")
    good, bad = predictor.predict([row, {**row, number: "soon"}])
    assert good["low"] < good["prediction"] < good["high"]
    assert number in bad["error"] and "soon" in bad["error"]


def test_fraud_is_scored_without_the_model_behind_it(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("fraud", *FRAUD, "--set", "gate.rules=[]", "--set", "evaluation.explain=false") == 0
    _, err = capfd.readouterr()
    assert "left out: their label was not known yet" in err
    opened = open_bundle(bundle("fraud"))
    assert "model.onnx" in opened.manifest.files
    assert opened.manifest.metrics["average_precision"]["value"] > 0.2
    state = State.from_env()
    facts = tracker_of(load_stack("local", state), state).run_metrics(version("fraud").run_id)
    assert facts["onnx.max_difference"] <= 1e-5
    assert facts["onnx.rows_per_second"] > 0


def test_no_identifier_is_written_anywhere(
    home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole state folder: data versions, quarantine, artifacts, MLflow, reports, logs."""
    rng = np.random.default_rng(0)
    numbers = [f"PN-{n:08}" for n in rng.integers(10_000_000, 99_999_999, 120)]
    records = [
        person(n, name=f"Zenobia Quill{n[3:]}", diagnosis="malignant" if i % 3 else "benign")
        for i, n in enumerate(numbers)
    ]
    options = files(home / "clinic", records, numbers[:-10])
    schema = usecases.find("healthcare").table_schema()
    lab = pd.read_csv(home / "clinic" / "lab.csv")
    lab[schema.features] = rng.normal(0.5, 0.05, (len(lab), len(schema.features))).round(3)
    lab.loc[:4, schema.features[0]] = -1  # broken rows, which go to the quarantine
    lab.to_csv(home / "clinic" / "lab.csv", index=False)
    paths = {name: str(home / "clinic" / file) for name, file in options.items()}
    chosen = (
        f"source.options={{measurements: {paths['measurements']}, records: {paths['records']}}}"
    )
    clinic = ["--name", "clinic", "--set", chosen, "--set", "gate.rules=[]"]
    assert run("healthcare", *clinic) == 0
    out, err = capfd.readouterr()
    assert "5 do not: see" in err
    words = [*numbers, *(str(record["name"]) for record in records), "1931-02-27"]
    assert planted.find(State.from_env().root, words) == []
    assert not any(word in out + err for word in words)


def test_a_table_without_a_header_is_refused_without_showing_it() -> None:
    schema = usecases.find("healthcare").table_schema().pandera()
    with pytest.raises(InvalidDataError) as refused:
        require_columns(["Zenobia Quill", "PN-1", *list(schema.columns)[3:]], schema)
    assert "2 that the schema does not know" in str(refused.value)
    assert "Zenobia" not in str(refused.value)


@pytest.fixture
def churn(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table, and a folder of its own for the use case that is made of it."""
    monkeypatch.setattr(usecases, "FOLDER", tmp_path / "usecases")
    rng = np.random.default_rng(1)
    months = rng.integers(1, 60, 400)
    stays = rng.random(400) < 1 / (1 + np.exp(-(months - 20) / 8))
    frame = pd.DataFrame(
        {
            "customer": [f"c{n:04}" for n in range(400)],
            "months": months,
            "plan": rng.choice(["basic", "plus"], 400),
            "churned": np.where(stays, "no", "yes"),
        }
    )
    frame.to_csv(tmp_path / "churn.csv", index=False)
    return tmp_path / "churn.csv"


def test_a_table_of_ones_own_needs_no_python(
    churn: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--from", str(churn), "--target", "churned"]
    assert main(["new", "usecase", "churn", *words]) == 0
    assert run("churn") == 0
    out, _ = capfd.readouterr()
    assert "churn version 1 passed its gate" in out
    predictor = load(bundle("churn"))
    old, new = predictor.predict(
        [{"months": 55, "plan": "plus"}, {"months": 1, "plan": "never seen"}]
    )
    assert old["score"] < 0.3
    assert re.fullmatch(r"0\.\d+|1\.0|.*plan.*", str(new.get("score", new.get("error"))))


def test_bad_data_is_refused_in_a_line(churn: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--from", str(churn), "--target", "churned"]
    assert main(["new", "usecase", "churn", *words]) == 0
    text = churn.read_text()
    head, *rows = text.splitlines(keepends=True)
    cases = {
        "": "is empty",
        head: "holds no rows",
        text.replace("churned", "left"): "lacks column 'churned'",
        text.replace(",", ";").replace(";", "\t"): "",
        head + "".join(row for row in rows if row.endswith("no\n")): "nothing to tell apart",
    }
    for content, said in cases.items():
        churn.write_text(content)
        code = run("churn")
        _, err = capfd.readouterr()
        assert code == (4 if said else 0)
        assert said in err and "Traceback" not in err
    broken = [row.replace("basic", "") if n % 10 == 0 else row for n, row in enumerate(rows)]
    broken = [",".join(["x" * 3, "many", *r.split(",")[2:]]) if n % 10 == 0 else r
              for n, r in enumerate(broken)]  # fmt: skip
    churn.write_text(head + "".join(broken))
    assert run("churn") == 0
    assert re.search(r"360 rows fit the schema, 40 do not: see \S+\.csv", capfd.readouterr().err)
    assert os.path.isdir(State.from_env().quarantine / "churn")
