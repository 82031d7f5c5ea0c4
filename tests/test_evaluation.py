"""Intervals obey the laws of the bootstrap and cover the truth as often as they say."""

import json
import math
import time
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle import bootstrap as engine
from lifecycle.errors import ConfigError
from lifecycle.evaluation import (
    Evaluation,
    Interval,
    bootstrap,
    bootstrap_mean,
    bootstrap_means,
    evaluate_scores,
    holdout_id,
    paired_difference,
)

NAN = float("nan")
numbers = st.floats(-1e6, 1e6)
samples = st.lists(numbers | st.just(NAN), min_size=1, max_size=40)
quick = settings(max_examples=60, deadline=None)


def mean_of(values: list[float]) -> float:
    return float(np.nanmean(values))


@quick
@given(samples)
def test_the_interval_contains_the_mean_and_stays_within_the_data(values: list[float]) -> None:
    interval = bootstrap_mean(values, resamples=200)
    known = [value for value in values if not math.isnan(value)]
    assert interval.n == len(known)
    if known:
        slack = 1e-9 * (1 + max(map(abs, known)))
        assert interval.value == pytest.approx(mean_of(known), abs=slack)
        assert min(known) - slack <= interval.low <= interval.value
        assert interval.value <= interval.high <= max(known) + slack


@quick
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30))
def test_the_paired_difference_is_antisymmetric(pairs: list[tuple[float, float]]) -> None:
    one, other = (list(column) for column in zip(*pairs, strict=True))
    forth = paired_difference(one, other, resamples=200)
    back = paired_difference(other, one, resamples=200)
    scale = 1e-9 * (1 + max(map(abs, one + other)))
    assert back.value == pytest.approx(-forth.value, abs=scale)
    assert back.low == pytest.approx(-forth.high, abs=scale)
    assert back.high == pytest.approx(-forth.low, abs=scale)


@quick
@given(samples, st.floats(-100, 100), st.floats(0.1, 10))
def test_the_interval_moves_and_stretches_with_the_data(
    values: list[float], shift: float, scale: float
) -> None:
    plain = bootstrap_mean(values, resamples=200)
    moved = bootstrap_mean(np.asarray(values) * scale + shift, resamples=200)
    if plain.n:
        assert moved.low == pytest.approx(plain.low * scale + shift, abs=1e-3)
        assert moved.high == pytest.approx(plain.high * scale + shift, abs=1e-3)


@quick
@given(numbers, st.integers(1, 50))
def test_a_constant_metric_has_an_interval_without_width(value: float, n: int) -> None:
    interval = bootstrap_mean([value] * n, resamples=50)
    assert interval.low == pytest.approx(value)
    assert interval.high == pytest.approx(value)


def test_the_interval_shrinks_with_the_root_of_n() -> None:
    values = np.random.default_rng(1).normal(size=6_400)
    widths = [one.high - one.low for one in map(bootstrap_mean, (values[:100], values[:1600]))]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.2)


@pytest.mark.parametrize("skewed", [False, True])
def test_95_percent_intervals_cover_the_truth_about_95_times_in_100(skewed: bool) -> None:
    rng = np.random.default_rng(7)
    draw = rng.standard_exponential if skewed else rng.standard_normal
    # Every column is an experiment of its own: 600 samples of 80 from a known distribution.
    intervals = bootstrap_means(draw((80, 600)), resamples=1_000)
    truth = 1.0 if skewed else 0.0
    covered = np.mean([one.low <= truth <= one.high for one in intervals])
    assert 0.90 <= covered <= 0.975


def test_an_interval_at_another_confidence_covers_as_often_as_it_says() -> None:
    experiments = np.random.default_rng(3).normal(size=(80, 600))
    intervals = bootstrap_means(experiments, resamples=1_000, confidence=0.5)
    assert np.mean([one.low <= 0 <= one.high for one in intervals]) == pytest.approx(0.5, abs=0.08)


def test_the_interval_agrees_with_the_standard_error() -> None:
    values = np.random.default_rng(2).binomial(1, 0.3, size=500).astype(float)
    interval = bootstrap_mean(values)
    reach = 1.96 * values.std() / math.sqrt(500)
    assert interval.low == pytest.approx(values.mean() - reach, abs=0.004)
    assert interval.high == pytest.approx(values.mean() + reach, abs=0.004)


def test_the_large_sample_formula_agrees_with_resampling(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).exponential(size=5_000)
    values[::10] = NAN
    drawn = bootstrap_mean(values)
    monkeypatch.setattr(engine, "LARGE_SAMPLE", 1_000)
    computed = bootstrap_mean(values)
    assert computed.n == drawn.n == 4_500
    assert computed.value == pytest.approx(drawn.value)
    width = drawn.high - drawn.low
    assert computed.low == pytest.approx(drawn.low, abs=0.06 * width)
    assert computed.high == pytest.approx(drawn.high, abs=0.06 * width)


def test_few_applicable_examples_among_many_are_resampled_on_their_own() -> None:
    values = np.full(30_000, NAN)
    values[:3] = [0.0, 0.5, 1.0]
    interval = bootstrap_mean(values)
    assert (interval.low, interval.high, interval.n) == (0.0, 1.0, 3)


def test_nan_entries_do_not_count() -> None:
    with_gaps = bootstrap_mean([1.0, NAN, 0.0, NAN, 1.0, 1.0])
    assert (with_gaps.value, with_gaps.n) == (0.75, 4)


@pytest.mark.parametrize("values", [[], [NAN], [NAN, NAN]])
def test_without_applicable_examples_there_is_no_value(values: list[float]) -> None:
    interval = bootstrap_mean(values)
    assert interval.n == 0
    assert math.isnan(interval.value + interval.low + interval.high)


def test_an_infinite_score_gives_no_bounds() -> None:
    interval = bootstrap_mean([1.0, math.inf])
    assert interval.value == math.inf
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap_mean(values) == bootstrap_mean(values)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values)


def test_metrics_side_by_side_have_the_intervals_they_have_alone() -> None:
    values = np.random.default_rng(4).normal(size=(60, 3))
    values[::7, 1] = NAN
    together = bootstrap_means(values)
    for column, interval in zip(values.T, together, strict=True):
        alone = bootstrap_mean(column)
        assert interval.low == pytest.approx(alone.low)
        assert interval.high == pytest.approx(alone.high)


def test_a_pair_is_compared_on_the_same_examples() -> None:
    difficulty = np.random.default_rng(6).normal(size=200)
    gain = paired_difference(difficulty + 0.01, difficulty)
    assert gain.low == pytest.approx(0.01)
    assert bootstrap_mean(difficulty).high - bootstrap_mean(difficulty).low > 0.2
    with pytest.raises(ValueError, match="not the same examples"):
        paired_difference([1.0, 2.0], [1.0])


def test_examples_missing_on_either_side_are_left_out_of_a_pair() -> None:
    gain = paired_difference([1.0, NAN, 3.0], [0.0, 1.0, NAN])
    assert (gain.value, gain.n) == (1.0, 1)


def test_a_statistic_that_is_no_mean_has_an_interval() -> None:
    values = np.random.default_rng(8).normal(size=400)
    median = bootstrap(400, lambda drawn: float(np.median(values[drawn])), resamples=500)
    assert median.value == np.median(values)
    # The standard error of the median of a normal sample is 1.2533 / sqrt(n).
    assert median.high - median.low == pytest.approx(2 * 1.96 * 1.2533 / 20, rel=0.25)


def test_resamples_on_which_the_statistic_is_undefined_are_left_out() -> None:
    labels = np.array([0, 1])

    def share(drawn: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
        return 0.5 if len(set(labels[drawn])) == 2 else NAN

    assert bootstrap(2, share, resamples=50) == Interval(0.5, 0.5, 0.5, 2)
    assert bootstrap(0, share).n == 0
    assert math.isnan(bootstrap(3, lambda drawn: NAN, resamples=5).value)


def test_a_thousand_questions_and_twenty_metrics_take_well_under_a_second() -> None:
    scores = np.random.default_rng(9).random((1_000, 20))
    started = time.process_time()
    bootstrap_means(scores)
    assert time.process_time() - started < 1.0


SCORES = pd.DataFrame(
    {
        "hybrid.ndcg@10": [1.0, 0.5, 0.0, NAN],
        "abstained": [True, False, False, False],
        "topic": ["syntax", "types", "types", None],
        "hard": [True, True, False, False],
    },
    index=["q1", "q2", "q3", "q4"],
)


def test_scores_are_evaluated_overall_and_by_segment() -> None:
    metrics = ["hybrid.ndcg@10", "abstained"]
    found = evaluate_scores(SCORES, metrics, ["topic", "hard"], "h", {"chunks": 4.0})
    assert found.holdout == "h"
    assert found.facts == {"chunks": 4.0}
    assert found.metrics["hybrid.ndcg@10"] == bootstrap_mean(SCORES["hybrid.ndcg@10"])
    assert found.metrics["abstained"].value == 0.25
    assert list(found.segments) == ["topic", "hard"]
    assert list(found.segments["topic"]) == ["(none)", "syntax", "types"]
    assert found.segments["topic"]["types"]["hybrid.ndcg@10"].value == 0.25
    assert found.segments["topic"]["(none)"]["hybrid.ndcg@10"].n == 0
    assert found.segments["hard"]["True"]["hybrid.ndcg@10"].n == 2


def test_an_unknown_column_of_the_scores_names_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"no column 'hybrid.ndcg@5'.*Did you mean 'hybrid.ndcg@10'"
    ):
        evaluate_scores(SCORES, ["hybrid.ndcg@5"], [], "h")
    with pytest.raises(ConfigError, match=r"no column 'topics'.*Did you mean 'topic'"):
        evaluate_scores(SCORES, [], ["topics"], "h")


intervals = st.builds(
    Interval,
    *[st.floats(allow_nan=False, allow_infinity=False) | st.just(math.nan)] * 3,
    st.integers(0, 99),
)
metrics = st.dictionaries(st.text(max_size=5), intervals, max_size=3)
evaluations = st.builds(
    Evaluation,
    st.text(max_size=5),
    metrics,
    st.dictionaries(
        st.text(max_size=5), st.dictionaries(st.text(max_size=5), metrics, max_size=2), max_size=2
    ),
    st.dictionaries(
        st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False), max_size=3
    ),
)


@quick
@given(evaluations)
def test_an_evaluation_survives_json(evaluation: Evaluation) -> None:
    text = json.dumps(evaluation.to_dict(), allow_nan=False)
    assert Evaluation.from_dict(json.loads(text)) == evaluation


def test_an_infinite_fact_is_no_number_in_json() -> None:
    raw = Evaluation("h", {}, {}, {"x": math.inf}).to_dict()
    assert math.isnan(Evaluation.from_dict(raw).facts["x"])


@quick
@given(st.lists(st.text("abc\n", max_size=4), max_size=6), st.randoms())
def test_a_holdout_is_its_examples_in_any_order(examples: list[str], random: Random) -> None:
    shuffled = list(examples)
    random.shuffle(shuffled)
    assert holdout_id(shuffled) == holdout_id(examples)
    assert holdout_id([*examples, "another"]) != holdout_id(examples)
