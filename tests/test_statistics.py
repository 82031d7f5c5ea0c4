"""Statistics of scores agree with scikit-learn, and their intervals with drawing row by row."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn import metrics

from lifecycle.bootstrap import bootstrap
from lifecycle.errors import ConfigError
from lifecycle.evaluation import evaluate_scores
from lifecycle.gate import Rule, decide
from lifecycle.statistics import find, measure


def value(frame: pd.DataFrame, name: str) -> float:
    """Without an interval, which takes 2,000 resamples."""
    found = find(name, frame.columns)
    assert found is not None
    columns = [frame[column].to_numpy(float) for column in found.columns]
    return float(found.formula(np.ones((1, len(frame))), columns)[0])


def scores(n: int = 400, seed: int = 0, skill: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    target = (rng.random(n) < 0.3).astype(float)
    score = 1 / (1 + np.exp(1 - skill * (target - 0.3) * 2 - rng.normal(size=n)))
    frame = pd.DataFrame({"target": target, "score": score.round(2), "baseline.score": 0.3})
    return frame.assign(prediction=score, squared_error=(target - score) ** 2)


@pytest.mark.parametrize(
    ("name", "oracle"),
    [("roc_auc", metrics.roc_auc_score), ("average_precision", metrics.average_precision_score)],
)
@pytest.mark.parametrize("seed", range(5))
def test_areas_are_scikit_learns_ties_included(name: str, oracle: object, seed: int) -> None:
    frame = scores(seed=seed)
    expected = oracle(frame["target"], frame["score"])  # type: ignore[operator]
    assert measure(frame, [name])[name].value == pytest.approx(expected, abs=1e-12)


def test_sensitivity_is_read_off_the_roc_curve() -> None:
    frame = scores(2_000, 3)
    false, true, _ = metrics.roc_curve(frame["target"], frame["score"], drop_intermediate=False)
    found = measure(frame, ["sensitivity@0.9"])["sensitivity@0.9"].value
    assert found == pytest.approx(true[false <= 0.1 + 1e-9].max())


def test_r2_and_rmse_and_percentiles() -> None:
    frame = scores(101, 1)
    found = measure(frame, ["r2", "rmse", "score.p90"])
    assert found["r2"].value == pytest.approx(
        metrics.r2_score(frame["target"], frame["prediction"])
    )
    assert found["rmse"].value == pytest.approx(np.sqrt(frame["squared_error"].mean()))
    # The smallest value that at least 90 % are at most as large as.
    assert found["score.p90"].value == np.sort(frame["score"])[90]


def test_the_interval_is_that_of_drawing_rows() -> None:
    frame = scores(300, 2)
    target, score = frame["target"].to_numpy(), frame["score"].to_numpy()

    def area(at: NDArray[np.int64]) -> float:
        """The share of pairs in the right order (Mann and Whitney, 1947)."""
        positive = target[at] == 1
        hits, n = positive.sum(), len(at)
        above = rankdata(score[at])[positive].sum() - hits * (hits + 1) / 2
        return float(above / (hits * (n - hits)))

    assert area(np.arange(300)) == pytest.approx(metrics.roc_auc_score(target, score))
    drawn = bootstrap(300, area)
    found = measure(frame, ["roc_auc"])["roc_auc"]
    assert (found.value, found.n) == (pytest.approx(drawn.value), 300)
    assert (found.low, found.high) == (
        pytest.approx(drawn.low, abs=0.01),
        pytest.approx(drawn.high, abs=0.01),
    )


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=30))
def test_one_class_only_has_no_area_and_others_lie_between_0_and_1(
    rows: list[tuple[bool, float]],
) -> None:
    frame = pd.DataFrame(rows, columns=["target", "score"]).astype(float)
    names = ("roc_auc", "average_precision", "calibration_error")
    found = {name: value(frame, name) for name in names}
    one_class = frame["target"].nunique() == 1
    assert np.isnan(found["roc_auc"]) == one_class
    assert np.isnan(found["average_precision"]) == (frame["target"].sum() == 0)
    assert all(np.isnan(one) or -1e-9 <= one <= 1 + 1e-9 for one in found.values())


def test_calibration_error_is_the_distance_of_scores_and_outcomes() -> None:
    rng = np.random.default_rng(0)
    score = rng.random(20_000)
    target = (rng.random(20_000) < score).astype(float)
    honest = pd.DataFrame({"target": target, "score": score})
    boasting = honest.assign(score=np.minimum(score + 0.2, 1.2))
    assert value(honest, "calibration_error") < 0.015
    assert value(boasting, "calibration_error") == pytest.approx(0.2, abs=0.02)


def test_missing_scores_are_left_out() -> None:
    frame = scores(50)
    frame.loc[0, "score"] = np.nan
    assert measure(frame, ["roc_auc"])["roc_auc"].n == 49


def test_what_is_no_statistic_or_lacks_its_columns_is_not_found() -> None:
    columns = scores(1).columns
    assert find("roc_auk", columns) is None
    assert find("baseline.r2", columns) is None
    assert find("baseline.roc_auc", columns) is not None


def test_an_evaluation_holds_means_and_statistics_by_segment() -> None:
    frame = scores(200).assign(region=["eu", "us"] * 100)
    found = evaluate_scores(frame, ["squared_error", "roc_auc"], ["region"], "h")
    assert list(found.metrics) == ["squared_error", "roc_auc"]
    assert found.segments["region"]["eu"]["roc_auc"].n == 100
    with pytest.raises(ConfigError, match=r"no column 'roc_aucc'"):
        evaluate_scores(frame, ["roc_aucc"], [], "h")


def test_the_gate_compares_statistics_on_the_same_examples() -> None:
    strong, weak = scores(600, skill=4), scores(600, skill=0.5)
    evaluation = evaluate_scores(strong, ["roc_auc"], [], "h")
    beats = Rule(rule="better_than_baseline", metric="roc_auc", baseline="baseline.roc_auc")
    keeps = Rule(rule="no_worse_than_champion", metric="roc_auc", value=0.01)
    assert decide([beats, keeps], evaluation, strong, weak).passed
    worse = decide([keeps], evaluate_scores(weak, ["roc_auc"], [], "h"), weak, strong)
    assert not worse.passed and "that is a loss beyond" in worse.reasons[0]


def test_a_smaller_error_is_a_gain() -> None:
    good, bad = scores(600, skill=4), scores(600, skill=0.5)
    rule = Rule(rule="no_worse_than_champion", metric="rmse", value=0.0, higher_is_better=False)
    evaluation = evaluate_scores(good, ["rmse"], [], "h")
    assert decide([rule], evaluation, good, bad).passed
    assert not decide([rule], evaluation, bad, good).passed


def test_a_mean_is_not_compared_with_a_statistic() -> None:
    frame = scores(100)
    rule = Rule(rule="better_than_baseline", metric="roc_auc", baseline="squared_error")
    with pytest.raises(ConfigError, match="one is a mean"):
        decide([rule], evaluate_scores(frame, ["roc_auc"], [], "h"), frame, None)
