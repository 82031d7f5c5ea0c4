"""Tabular models: every candidate on every problem, and the parts that they are made of."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classic.tabular.calibration import (
    METHODS,
    Calibration,
    best_method,
    calibration_error,
    fit_calibration,
)
from classic.tabular.candidates.files import check_splits, check_tree
from classic.tabular.columns import time_part
from classic.tabular.costs import best_threshold, decision_costs, row_costs
from classic.tabular.evaluate import evaluate
from classic.tabular.fitting import Recipe, fit_preparation, known_values
from classic.tabular.folds import make_folds
from classic.tabular.intervals import conformal_quantile
from classic.tabular.model import train
from classic.tabular.preparation import Preparation
from classic.tabular.settings import Costs, Learning, Tuning
from lifecycle.errors import BundleError, ConfigError, DataError
from lifecycle.tables import Column, TableSchema
from tests.tabular_contract import TabularContract, learning, row, schema, table


class TestLinearBinary(TabularContract):
    kind, problem = "linear", "binary"


class TestLinearMulticlass(TabularContract):
    kind, problem = "linear", "multiclass"


class TestLinearRegression(TabularContract):
    kind, problem = "linear", "regression"


class TestForestBinary(TabularContract):
    kind, problem = "forest", "binary"


class TestForestMulticlass(TabularContract):
    kind, problem = "forest", "multiclass"


class TestForestRegression(TabularContract):
    kind, problem = "forest", "regression"


class TestBoostingBinary(TabularContract):
    kind, problem = "boosting", "binary"


class TestBoostingMulticlass(TabularContract):
    kind, problem = "boosting", "multiclass"


class TestBoostingRegression(TabularContract):
    kind, problem = "boosting", "regression"


class TestLightgbmBinary(TabularContract):
    kind, problem = "lightgbm", "binary"


class TestLightgbmMulticlass(TabularContract):
    kind, problem = "lightgbm", "multiclass"


class TestLightgbmRegression(TabularContract):
    kind, problem = "lightgbm", "regression"


class TestXgboostBinary(TabularContract):
    kind, problem = "xgboost", "binary"


class TestXgboostMulticlass(TabularContract):
    kind, problem = "xgboost", "multiclass"


class TestXgboostRegression(TabularContract):
    kind, problem = "xgboost", "regression"


# What comes in when a model is asked


@pytest.fixture(scope="module")
def strict() -> Any:
    """A model of columns with every rule that a schema has."""
    columns = {
        "age": Column(type="integer", min=0, max=120),
        "plan": Column(type="category", values=("basic", "plus")),
        "town": Column(type="category", nullable=True),
        "member": Column(type="boolean", nullable=True),
        "income": Column(type="number", sensitive=True),
        "target": Column(type="integer", role="target"),
    }
    rng = np.random.default_rng(0)
    age = rng.integers(0, 90, 200)
    frame = pd.DataFrame({"age": age, "plan": rng.choice(["basic", "plus"], 200)})
    frame = frame.assign(town="here", member=True, income=1.0, target=(age > 40).astype(int))
    made = TableSchema(columns=columns)
    return train(made.coerce(frame), made, "binary", learning_of("linear")).model


def learning_of(kind: Any) -> Learning:
    return Learning(candidates=(kind,), tuning=Tuning(trials=1, folds=2))


GOOD = {"age": 30, "plan": "plus", "town": "here", "member": True, "income": 2.5}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"age": 3.5}, "column 'age' is 3.5, not a whole number."),
        ({"age": -1}, "column 'age' is -1, not a finite number from 0 up to 120."),
        ({"age": 121}, "column 'age' is 121, not a finite number from 0 up to 120."),
        ({"age": None}, "column 'age' is missing: the schema does not let it be empty."),
        ({"age": [3]}, "column 'age' is [3], not a whole number."),
        ({"age": 10**30}, f"column 'age' is {10**30}, not a whole number."),
        ({"town": {"a": 1}}, "column 'town' is {'a': 1}, not text."),
        ({"plan": "gold"}, "column 'plan' is 'gold', not one of basic, plus."),
        ({"plan": float("nan")}, "column 'plan' is missing: the schema does not let it be empty."),
        ({"member": "perhaps"}, "column 'member' is 'perhaps', not true or false."),
        ({"income": float("inf")}, "column 'income' is (hidden), not a finite number."),
        ({"income": "secret"}, "column 'income' is (hidden), not a number."),
        ({"towm": "here"}, "there is no column 'towm': did you mean 'town'?"),
    ],
)
def test_a_value_that_the_schema_does_not_allow_is_named(
    strict: Any, changed: dict[str, Any], said: str
) -> None:
    given = {name: value for name, value in GOOD.items() if name != "town" or "towm" not in changed}
    assert strict.predict_rows([given | changed]) == [{"error": said}]


@pytest.mark.parametrize(
    "changed",
    [
        {"age": "30"},
        {"age": 30.0},
        {"town": None},
        {"town": "a new one"},
        {"member": None},
        {"member": "yes"},
        {"surplus": 1},
        {"target": 1},
    ],
)
def test_what_the_schema_allows_is_answered(strict: Any, changed: dict[str, Any]) -> None:
    assert "error" not in strict.predict_rows([GOOD | changed])[0]


def test_a_missing_column_that_may_be_empty_is_missing(strict: Any) -> None:
    without = {name: value for name, value in GOOD.items() if name not in ("town", "member")}
    expected = strict.predict_rows([GOOD | {"town": None, "member": None}])
    assert strict.predict_rows([without]) == expected


# Data and settings that cannot be learnt from


def test_one_class_only_is_refused() -> None:
    frame = table("binary", 100, 0).assign(target=True)
    with pytest.raises(DataError, match="true in every training row"):
        train(frame, schema("binary"), "binary", learning("linear"))


def test_a_third_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="3 classes"):
        train(table("multiclass", 99, 0), schema("multiclass"), "binary", learning("linear"))


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="no training rows"):
        train(table("binary", 99, 0)[:0], schema("binary"), "binary", learning("linear"))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="too few"):
        train(table("regression", 5, 0), schema("regression"), "regression", learning("linear"))


def test_text_is_refused() -> None:
    columns = {"note": Column(type="text"), "target": Column(type="number", role="target")}
    frame = pd.DataFrame({"note": ["a"] * 9, "target": range(9)})
    made = TableSchema(columns=columns)
    with pytest.raises(ConfigError, match="'note' is text"):
        train(made.coerce(frame), made, "regression", learning("linear"))


def test_a_metric_of_another_problem_is_refused() -> None:
    wrong = Learning(tuning=Tuning(metric="roc_auc"))
    with pytest.raises(ConfigError, match="none for regression"):
        train(table("regression", 99, 0), schema("regression"), "regression", wrong)


def test_nothing_says_which_class_is_looked_for() -> None:
    frame = table("multiclass", 300, 0)
    two = frame[frame["target"] != "middle"]
    with pytest.raises(ConfigError, match="high, low, and nothing says"):
        train(two, schema("multiclass"), "binary", learning("linear"))
    model = train(two, schema("multiclass"), "binary", learning("linear", positive="high")).model
    assert model.classes == ["low", "high"]


def test_a_cost_that_is_no_column_is_refused() -> None:
    frame = table("binary", 99, 0)
    with pytest.raises(ConfigError, match="Did you mean 'cost'"):
        row_costs(Costs(false_negative="costs"), frame, schema("binary"))


# Preparation


def prepared(problem: Any, scaled: bool, categories: Any) -> tuple[Preparation, Any, Any]:
    frame = table(problem, 400, 3)
    made = schema(problem)
    from classic.tabular.columns import read_columns

    columns = read_columns(frame, made, made.features)
    target = frame["target"].to_numpy(dtype=np.float64)
    if problem == "binary":
        target = target.astype(np.int64)
    found, matrix = fit_preparation(columns, made, target, Recipe(scaled, categories))
    return found, matrix, columns


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("categories", ["one_hot", "code", "target"])
def test_a_preparation_is_a_table_that_comes_back(scaled: bool, categories: Any) -> None:
    found, matrix, columns = prepared("binary", scaled, categories)
    again = Preparation.from_dict(found.to_dict())
    np.testing.assert_array_equal(again(columns), found(columns))
    assert found(columns).dtype == np.float32
    same = [n for n, one in enumerate(found.features) if one.making != "target"]
    np.testing.assert_array_equal(found(columns)[:, same], matrix[:, same])


def test_linear_models_get_no_gaps_and_one_scale() -> None:
    found, matrix, columns = prepared("binary", True, "target")
    assert not np.isnan(matrix).any()
    names = [one.name for one in found.features]
    assert "size is missing" in names
    kept = [n for n, one in enumerate(found.features) if one.making not in ("missing", "one_hot")]
    np.testing.assert_allclose(matrix[:, kept].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(matrix[:, kept].std(axis=0), 1, atol=1e-4)
    unknown = found({**columns, "kind": np.full(len(matrix), "new", dtype=object)})
    assert np.isfinite(unknown).all()


def test_trees_get_gaps_where_training_had_some() -> None:
    found, matrix, columns = prepared("binary", False, "code")
    place = [one.name for one in found.features].index("size")
    np.testing.assert_array_equal(np.isnan(matrix[:, place]), np.isnan(columns["size"]))
    noise = [one.name for one in found.features].index("noise")
    gaps = found({**columns, "noise": np.full(len(matrix), np.nan)})
    np.testing.assert_allclose(gaps[:, noise], np.median(columns["noise"]), rtol=1e-6)


def test_a_target_encoding_is_cross_fitted() -> None:
    """A category of one value a row says nothing, and must not say the target."""
    made = TableSchema(
        columns={"key": Column(type="category"), "target": Column(type="number", role="target")}
    )
    target = np.random.default_rng(0).normal(size=200)
    keys = np.array([f"key {n}" for n in range(200)], dtype=object)
    recipe = Recipe(False, "target", min_category_count=1)
    _, matrix = fit_preparation({"key": keys}, made, target, recipe)
    assert abs(np.corrcoef(matrix[:, 0], target)[0, 1]) < 0.3


def test_rare_values_are_one() -> None:
    values = np.array(["a"] * 5 + ["b"] * 2 + ["c"] + [""], dtype=object)
    assert known_values(values, 2) == ("a", "b")
    assert known_values(values, 100) == ("a",)
    assert known_values(values[:0], 2) == ()


@given(st.datetimes(min_value=pd.Timestamp("1900-01-01"), max_value=pd.Timestamp("2200-01-01")))
def test_parts_of_a_time_are_those_of_the_calendar(when: Any) -> None:
    stamp = pd.Timestamp(when).floor("s").tz_localize("UTC")
    seconds = np.array([stamp.timestamp(), np.nan])
    assert time_part(seconds, "hour", 0)[0] == stamp.hour
    assert time_part(seconds, "weekday", 0)[0] == stamp.weekday()
    assert time_part(seconds, "month", 0)[0] == stamp.month
    assert time_part(seconds, "days", stamp.timestamp() - 86_400)[0] == 1
    assert all(np.isnan(time_part(seconds, part, 0)[1]) for part in ("hour", "weekday", "month"))


# Folds


def test_folds_share_out_every_row_and_class() -> None:
    target = np.repeat([0, 1], [90, 10])
    folds = make_folds(target, "binary", 5, 0, in_time=False)
    everything = np.sort(np.concatenate([fold.valid for fold in folds]))
    np.testing.assert_array_equal(everything, np.arange(100))
    assert [int(target[fold.valid].sum()) for fold in folds] == [2] * 5
    assert len(make_folds(np.repeat([0, 1], [90, 3]), "binary", 5, 0, in_time=False)) == 3


def test_folds_in_time_are_judged_by_what_came_next() -> None:
    target = np.tile([0, 1], 50)
    folds = make_folds(target, "binary", 4, 0, in_time=True)
    assert len(folds) == 4
    assert all(fold.train.max() < fold.valid.min() for fold in folds)
    with pytest.raises(DataError, match="too few of a class"):
        make_folds(np.repeat([0, 1], 50), "binary", 2, 0, in_time=True)


# Calibration, threshold, intervals


def overconfident(rows: int, seed: int) -> tuple[Any, Any]:
    """Log odds three times too large, and what came true."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=rows)
    target = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    score = 1 / (1 + np.exp(-3 * odds))
    return np.column_stack([1 - score, score]), target


def test_calibration_mends_what_says_too_much() -> None:
    raw, target = overconfident(4000, 0)
    fresh, truth = overconfident(4000, 1)
    assert calibration_error(fresh[:, 1], truth) > 0.1
    for method in ("sigmoid", "isotonic"):
        mended = fit_calibration(raw, target, method)(fresh)
        assert calibration_error(mended[:, 1], truth) < 0.035
        np.testing.assert_allclose(mended.sum(axis=1), 1)
    sigmoid = fit_calibration(raw, target, "sigmoid").curves[0]
    assert sigmoid.x[0] == pytest.approx(1 / 3, abs=0.03)
    assert best_method(raw, target) == "sigmoid"


def test_what_is_calibrated_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    score = rng.uniform(0.01, 0.99, 5000)
    target = (rng.random(5000) < score).astype(np.int64)
    probabilities = np.column_stack([1 - score, score])
    assert calibration_error(score, target) < 0.03
    mended = fit_calibration(probabilities, target, "sigmoid")(probabilities)
    np.testing.assert_allclose(mended, probabilities, atol=0.05)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 4), st.sampled_from(METHODS), st.integers(0, 5))
def test_a_calibration_is_a_distribution_and_comes_back(k: int, method: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(k), 60)
    target = np.arange(60) % k
    found = fit_calibration(probabilities, target, method)
    np.testing.assert_allclose(found(probabilities).sum(axis=1), 1)
    assert (found(probabilities) >= 0).all()
    again = Calibration.from_dict(found.to_dict())
    np.testing.assert_array_equal(again(probabilities), found(probabilities))


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.booleans(), st.floats(0, 5)),
        min_size=1,
        max_size=12,
    )
)
def test_no_threshold_costs_less(rows: list[tuple[float, bool, float]]) -> None:
    scores, target, missed = (np.array(column) for column in zip(*rows, strict=True))
    target = target.astype(np.int64)
    raised = np.ones(len(scores))
    threshold, cost = best_threshold(scores, target, raised, missed)

    def costs(at: float) -> float:
        return float(decision_costs(scores >= at, target, (raised, missed)).mean())

    assert costs(threshold) == pytest.approx(cost)
    assert cost <= min(costs(at) for at in (0.0, 0.1, 0.3, 0.6, 0.95)) + 1e-9


def test_dear_misses_lower_the_threshold() -> None:
    scores, target = overconfident(2000, 0)
    ones = np.ones(2000)
    cheap, _ = best_threshold(scores[:, 1], target, ones, ones)
    dear, _ = best_threshold(scores[:, 1], target, ones, 20 * ones)
    assert dear < cheap


@given(st.integers(1, 200), st.floats(0.05, 0.95), st.integers(0, 1000))
def test_the_conformal_quantile_holds_its_share(n: int, coverage: float, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=n)
    held = (scores <= conformal_quantile(scores, coverage)).sum()
    assert held >= min(n, coverage * (n + 1)) - 1e-9


# The search


def test_the_search_takes_the_better_candidate_and_says_so() -> None:
    lines: list[str] = []
    both = Learning(candidates=("lightgbm", "linear"), tuning=Tuning(trials=4, folds=3))
    trained = train(
        table("binary", 400, 1), schema("binary"), "binary", both, progress=lines.append
    )
    assert trained.trials["candidate"].tolist()[:2] == ["lightgbm", "linear"]
    assert len(lines) == len(trained.trials) == 4
    complete = trained.trials[trained.trials["state"] == "complete"]
    assert trained.facts["folds.log_loss"] == complete["value"].min()
    assert trained.model.kind == complete.loc[complete["value"].idxmin(), "candidate"]
    assert trained.model.kind == "linear"


def test_the_search_ends_with_its_seconds() -> None:
    short = Learning(candidates=("linear",), tuning=Tuning(seconds=0.001, folds=2))
    trained = train(table("binary", 200, 1), schema("binary"), "binary", short)
    assert len(trained.trials) == 1


def test_rows_in_time_are_learnt_forward() -> None:
    columns = {**schema("binary").columns, "at": Column(type="time", role="time")}
    timed = TableSchema(columns=columns)
    frame = table("binary", 400, 1).sort_values("at")
    model = train(frame, timed, "binary", learning("linear")).model
    assert model.inputs == ["size", "kind", "noise"]


def test_what_a_miss_costs_stands_in_the_row() -> None:
    frame = table("binary", 300, 1)
    model = train(frame, schema("binary"), "binary", learning("linear")).model
    scores, _ = evaluate(model, model.baseline, frame)
    missed = (scores["target"] == 1) & (scores["prediction"] == 0)
    assert missed.any()
    by_name = frame.set_index("name")["cost"]
    np.testing.assert_allclose(scores["cost"][missed], by_name[scores.index[missed]])
    assert scores["region"].tolist() == frame["region"].tolist()


def test_a_tree_that_leads_out_of_its_nodes_is_refused() -> None:
    inner = np.array([True, False, False])
    check_tree(inner, np.array([1, -1, -1]), np.array([2, -1, -1]), Path("model"))
    for left in (np.array([99, -1, -1]), np.array([0, -1, -1])):
        with pytest.raises(BundleError, match="leads nowhere"):
            check_tree(inner, left, np.array([2, -1, -1]), Path("model"))
    with pytest.raises(BundleError, match="no feature"):
        check_splits(np.array([7]), 3, Path("model"))


def test_the_row_of_the_contract_is_one_of_its_schema() -> None:
    assert set(row()) == set(schema("binary").features)
