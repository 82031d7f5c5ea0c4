"""Trees in one form, and exported models against the models that they are made of."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import ensemble
from threadpoolctl import threadpool_limits

from classic.tabular import trees
from classic.tabular.columns import time_part
from classic.tabular.model import train
from classic.tabular.onnx_export import export, parity
from classic.tabular.onnx_graph import Graph
from classic.tabular.onnx_model import OnnxScorer
from classic.tabular.onnx_preparation import write_preparation
from classic.tabular.preparation import Feature, Preparation
from classic.tabular.rows import checked
from classic.tabular.settings import ALL, Kind, Learning, Problem, Tuning
from lifecycle.errors import BundleError, ConfigError, InputError
from lifecycle.tables import Column, TableSchema

WIDTH = 5
PARITY = 1e-5
Floats = NDArray[Any]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def run(graph: Graph, value: str, width: int, **inputs: Floats) -> Floats:
    """What ONNX Runtime makes of a graph that passes ONNX's own checks."""
    double, text = onnx.TensorProto.DOUBLE, onnx.TensorProto.STRING
    kinds = {k: (text if v.dtype == object else double, v.shape[1]) for k, v in inputs.items()}
    graph.name(value, "out")
    model = graph.model(kinds, {"out": width}, {})
    onnx.checker.check_model(model, full_check=True)
    found: Floats = onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)[0]
    return found


def sums(forest: trees.Trees, features: Floats) -> Floats:
    graph = Graph()
    value = graph.trees("x", forest)
    return run(graph, value, len(forest.base), x=features.astype(np.float64))


@cache
def samples() -> tuple[Floats, Floats]:
    """float32 features, some missing, one of few values and never missing; a number to predict."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2000, WIDTH)).astype(np.float32)
    features[:, 4] = np.round(features[:, 4])
    features[:, :4][rng.random((2000, 4)) < 0.1] = np.nan
    known = np.nan_to_num(features)
    return features, known[:, 0] + known[:, 1] * known[:, 4] + rng.normal(size=2000) / 3


def probes(forest: trees.Trees) -> Floats:
    """Rows with values on every threshold and the float32 numbers beside it; far and tiny ones."""
    features = samples()[0]
    split = forest.feature >= 0
    pairs = np.unique(np.column_stack([forest.feature, forest.threshold])[split], axis=0)
    at = pairs[:, 1].astype(np.float32)
    around = [at, *(np.nextafter(at, np.float32(end)) for end in (-np.inf, np.inf))]
    rows = np.resize(features, (3 * len(at), WIDTH))
    rows[np.arange(len(rows)), np.tile(pairs[:, 0].astype(int), 3)] = np.concatenate(around)
    rows[~np.isfinite(rows)] = np.nan
    odd = np.array([0.0, -0.0, 1e-35, -1e-35, 1e-40, -1e-40, 3e38, -3e38, np.nan], np.float32)
    return np.concatenate([features, rows, np.repeat(odd, WIDTH).reshape(-1, WIDTH)])


def targets(classes: int) -> Floats:
    number = samples()[1]
    if classes == 1:
        return number * 50
    return np.searchsorted(np.quantile(number, np.arange(1, classes) / classes), number)


LIGHTGBM = {1: "regression", 2: "binary", 3: "multiclass"}
XGBOOST = {1: "reg:squarederror", 2: "binary:logistic", 3: "multi:softprob"}


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_lightgbm_trees_give_the_sums_of_lightgbm(classes: int) -> None:
    params = {"objective": LIGHTGBM[classes], "num_class": 3 if classes == 3 else 1}
    data = lightgbm.Dataset(samples()[0], targets(classes))
    booster = lightgbm.train({**params, "verbose": -1}, data, 20)
    forest = trees.read_lightgbm(booster.model_to_string())
    rows = probes(forest)
    expected = booster.predict(rows, raw_score=True).reshape(len(rows), -1)
    assert np.abs(sums(forest, rows) - expected).max() < 1e-11


@pytest.mark.parametrize("gamma", [0, 3])
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_xgboost_trees_give_the_sums_of_xgboost(classes: int, gamma: float) -> None:
    params = {"objective": XGBOOST[classes], "gamma": gamma}
    params |= {"num_class": 3} if classes == 3 else {}
    booster = xgboost.train(params, xgboost.DMatrix(samples()[0], targets(classes)), 20)
    forest = trees.read_xgboost(booster)
    rows = probes(forest)
    expected = booster.inplace_predict(rows, predict_type="margin").reshape(len(rows), -1)
    # Its own sums are float32.
    assert np.abs(sums(forest, rows) - expected).max() < 5e-6 * np.abs(expected).max()


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_histogram_trees_give_the_sums_of_scikit_learn(classes: int) -> None:
    kind = "Regressor" if classes == 1 else "Classifier"
    model = getattr(ensemble, f"HistGradientBoosting{kind}")(max_iter=20)
    model.fit(samples()[0], targets(classes))
    forest = trees.read_histogram(model)
    rows = probes(forest)
    raw = model.predict(rows) if classes == 1 else model.decision_function(rows)
    assert np.abs(sums(forest, rows) - raw.reshape(len(rows), -1)).max() < 1e-11


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_forests_give_the_means_of_scikit_learn(classes: int) -> None:
    kind = "Regressor" if classes == 1 else "Classifier"
    model = getattr(ensemble, f"RandomForest{kind}")(10, random_state=0)
    model.fit(samples()[0], targets(classes))
    forest = trees.read_forest(model)
    rows = probes(forest)
    mean = model.predict(rows) if classes == 1 else model.predict_proba(rows)
    expected = mean[:, 1:] if classes == 2 else mean.reshape(len(rows), -1)
    assert np.abs(sums(forest, rows) / 10 - expected).max() < 1e-11


def test_a_tree_of_one_leaf_stands_beside_others() -> None:
    grown = trees.split(1, 0.5, trees.leaf(1.0), trees.leaf(2.0))
    forest = trees.join([trees.leaf(10.0), grown], [0, 0], np.array([100.0]))
    assert sums(forest, np.array([[9.0, 0.5], [9.0, 0.6]])).tolist() == [[111.0], [112.0]]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40, unique=True))
def test_intervals_count_the_edges_below(edges: list[float]) -> None:
    ordered = np.sort(edges)
    values = np.concatenate([ordered, np.nextafter(ordered, np.inf), [-1e7, 1e7]])
    forest = trees.join([trees.intervals(ordered)], [0], np.zeros(1))
    found = sums(forest, values.reshape(-1, 1))[:, 0]
    assert found.tolist() == np.searchsorted(ordered, values).tolist()


@pytest.mark.parametrize(
    "params",
    [
        {"categorical_feature": "4"},
        {"zero_as_missing": True},
        {"linear_tree": True},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    ],
)
def test_lightgbm_models_that_are_no_plain_trees_are_refused(params: dict[str, Any]) -> None:
    chosen = {"objective": "binary", "verbose": -1, **params}
    features = np.abs(samples()[0])
    data = lightgbm.Dataset(features, targets(2), params=chosen)
    booster = lightgbm.train(chosen, data, 5)
    with pytest.raises(ConfigError, match="LightGBM model with"):
        trees.read_lightgbm(booster.model_to_string())


def test_xgboost_models_that_are_no_plain_trees_are_refused() -> None:
    data = xgboost.DMatrix(np.nan_to_num(samples()[0]), targets(2))
    for booster in ("gblinear", "dart"):
        model = xgboost.train({"booster": booster}, data, 3)
        with pytest.raises(ConfigError, match=f"XGBoost model with booster: {booster}"):
            trees.read_xgboost(model)


SECONDS = st.one_of(
    st.floats(-6e10, 6e10), st.integers(-700_000, 700_000).map(lambda d: d * 86400.0)
)


@given(st.lists(st.one_of(SECONDS, st.just(float("nan"))), min_size=1, max_size=30))
def test_parts_of_times_are_those_of_the_preparation(seconds: list[float]) -> None:
    parts = ("hour", "weekday", "month", "days")
    features = tuple(Feature(p, "at", "time", part=p, origin=86_401.5) for p in parts)
    graph = Graph()
    value = write_preparation(graph, Preparation(("at",), {}, features))
    found = run(graph, value, 4, numbers=np.array(seconds).reshape(-1, 1))
    expected = [time_part(np.array(seconds), part, 86_401.5) for part in parts]
    np.testing.assert_array_equal(found, np.column_stack(expected).astype(np.float32))


SCHEMA = {
    "at": Column(type="time", nullable=True),
    "amount": Column(type="number", nullable=True),
    "items": Column(type="integer"),
    "again": Column(type="boolean", nullable=True),
    "plan": Column(type="category", nullable=True),
    "city": Column(type="category"),
}
TARGETS = {"binary": "boolean", "multiclass": "category", "regression": "number"}


def schema_of(problem: str) -> TableSchema:
    target = Column(type=TARGETS[problem], role="target")  # type: ignore[arg-type]
    return TableSchema(columns={**SCHEMA, "target": target})


def table(problem: str, rows: int = 500, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    amount, plan = rng.lognormal(size=rows), rng.choice(["basic", "plus", "", "new?"], rows)
    items = rng.integers(0, 9, rows)
    signal = np.log(amount) + (plan == "plus") + items / 9 + rng.normal(size=rows) / 2
    amount[rng.random(rows) < 0.1] = np.nan
    frame = pd.DataFrame(
        {"amount": amount, "items": items, "plan": np.where(plan == "", None, plan)}
    )
    frame["at"] = pd.Timestamp("2024-01-31", tz="UTC") + pd.to_timedelta(
        rng.integers(0, 9e6, rows), "s"
    )
    frame["again"] = rng.choice([True, False, None], rows)
    frame["city"] = [f"city {n}" for n in rng.integers(0, 60, rows)]
    frame["target"] = {
        "binary": signal > 1,
        "multiclass": np.array(["low", "mid", "top"])[np.digitize(signal, [0, 1.5])],
        "regression": 30 + 10 * signal,
    }[problem]
    return schema_of(problem).coerce(frame)


def unusual(problem: str) -> pd.DataFrame:
    """Other rows of the same kind, with values that training did not have."""
    frame = table(problem, 300, seed=1)
    frame.loc[:9, "amount"] = [1e300, -1e300, 1e-300, 0.0, -0.0, 1e39, -1e39, 1e-40, 3.4e38, 5e-324]
    frame.loc[10:19, "items"] = 2**53
    frame.loc[20:29, "city"] = [
        "Ω",
        "city",
        "city 1 ",
        "CITY 1",
        "1",
        "é",
        "a" * 999,
        "nan",
        "0",
        "?",
    ]
    frame.loc[30:39, "at"] = pd.Timestamp("1912-02-29T23:59:59.999999", tz="UTC")
    frame.loc[40:49, ["amount", "again", "plan", "at"]] = None
    return frame


@cache
def trained(kind: Kind, problem: Problem, calibration: Any = "auto") -> Any:
    tuning = Tuning(trials=1, folds=2)
    learning = Learning(
        candidates=(kind,), tuning=tuning, calibration=calibration, min_category_count=3
    )
    return train(table(problem), schema_of(problem), problem, learning).model


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("kind", ALL)
def test_every_candidate_scores_alike_in_onnx(kind: Kind, problem: Problem, tmp_path: Path) -> None:
    model = trained(kind, problem)
    export(model, tmp_path / "model.onnx")
    scorer = OnnxScorer(tmp_path / "model.onnx")
    for frame in (table(problem), unusual(problem), table(problem, 1, seed=7)):
        assert parity(model, scorer, frame) <= PARITY


@pytest.mark.parametrize("method", ["none", "sigmoid", "isotonic"])
@pytest.mark.parametrize("problem", ["binary", "multiclass"])
def test_every_calibration_scores_alike_in_onnx(
    problem: Problem, method: str, tmp_path: Path
) -> None:
    model = trained("lightgbm", problem, method)
    export(model, tmp_path / "model.onnx")
    assert parity(model, OnnxScorer(tmp_path / "model.onnx"), unusual(problem)) <= PARITY


def test_two_classes_of_a_multiclass_problem_have_both_probabilities(tmp_path: Path) -> None:
    frame = table("multiclass")
    frame["target"] = frame["target"].where(frame["target"] != "mid", "top")
    for kind in ALL:
        learning = Learning(candidates=(kind,), tuning=Tuning(trials=1, folds=2))
        model = train(frame, schema_of("multiclass"), "multiclass", learning).model
        export(model, tmp_path / f"{kind}.onnx")
        scorer = OnnxScorer(tmp_path / f"{kind}.onnx")
        assert scorer.outputs == ["prob.low", "prob.top"]
        assert parity(model, scorer, unusual("multiclass")) <= PARITY


def scorer_of(problem: Problem, path: Path) -> OnnxScorer:
    export(trained("lightgbm", problem), path)
    return OnnxScorer(path)


def test_the_file_says_what_an_application_needs(tmp_path: Path) -> None:
    scorer = scorer_of("binary", tmp_path / "model.onnx")
    assert scorer.classes == ["false", "true"]
    assert scorer.threshold == trained("lightgbm", "binary").threshold
    assert scorer.outputs == ["score"]
    assert sorted(scorer.numbers + scorer.texts) == sorted(SCHEMA)
    assert scorer.types["at"] == "time"


def test_scores_have_a_column_for_each_output(tmp_path: Path) -> None:
    shapes = {"binary": (4,), "multiclass": (4, 3), "regression": (4, 3)}
    for problem in TARGETS:
        scorer = scorer_of(problem, tmp_path / f"{problem}.onnx")  # type: ignore[arg-type]
        columns, _ = checked(table(problem, 4), schema_of(problem), list(SCHEMA))
        assert scorer.score(columns).shape == shapes[problem]


def test_columns_that_do_not_fit_are_named(tmp_path: Path) -> None:
    scorer = scorer_of("binary", tmp_path / "model.onnx")
    columns, _ = checked(table("binary", 4), schema_of("binary"), list(SCHEMA))
    with pytest.raises(InputError, match="'items' is not there"):
        scorer.score({name: one for name, one in columns.items() if name != "items"})
    with pytest.raises(InputError, match="'items' does not fit"):
        scorer.score({**columns, "items": np.zeros(3)})
    with pytest.raises(InputError, match="'items' does not fit"):
        scorer.score({**columns, "items": np.array(["many"] * 4, dtype=object)})
    with pytest.raises(InputError, match="'plan' holds something that is no text"):
        scorer.score({**columns, "plan": np.array([None] * 4, dtype=object)})


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_damaged_file_is_refused(keep: float, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    scorer_of("binary", path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(BundleError, match=r"model\.onnx is no"):
        OnnxScorer(path)


def test_a_file_that_is_not_there_or_not_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no ONNX model that can be read"):
        OnnxScorer(tmp_path / "none.onnx")
    graph = Graph()
    graph.name(graph.op("Identity", "numbers"), "scores")
    other = graph.model({"numbers": (onnx.TensorProto.DOUBLE, 1)}, {"scores": 1}, {})
    (tmp_path / "other.onnx").write_bytes(other.SerializeToString())
    with pytest.raises(BundleError, match="no exported tabular model"):
        OnnxScorer(tmp_path / "other.onnx")
