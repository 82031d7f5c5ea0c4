"""The gate lets a model through on proof, and says in figures why it does not."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lifecycle.errors import ConfigError, DataError
from lifecycle.evaluation import Evaluation, Interval, evaluate_scores, paired_difference
from lifecycle.gate import Decision, Rule, RuleResult, decide

NAN = math.nan
METRIC, BASELINE = "hybrid.ndcg@10", "lexical.ndcg@10"


def scores(n: int = 200, gain: float = 0.1, noise: float = 0.05, first: int = 0) -> pd.DataFrame:
    """A holdout on which the metric beats its baseline by about ``gain`` on each example."""
    rng = np.random.default_rng(0)
    difficulty = rng.uniform(0.2, 0.6, n)
    return pd.DataFrame(
        {
            METRIC: difficulty + gain + rng.normal(0, noise, n) if noise else difficulty + gain,
            BASELINE: difficulty,
            "question": "?",
        },
        index=[f"q{number}" for number in range(first, first + n)],
    )


def apply(
    rule: Rule,
    frame: pd.DataFrame | None = None,
    champion: pd.DataFrame | None = None,
    facts: dict[str, float] | None = None,
) -> RuleResult:
    frame = scores() if frame is None else frame
    evaluation = evaluate_scores(frame, [METRIC], [], "h", facts)
    (result,) = decide([rule], evaluation, frame, champion).results
    return result


def test_a_value_above_its_minimum_passes_and_says_so() -> None:
    result = apply(Rule(rule="min", metric=METRIC, value=0.4))
    assert result.passed
    assert result.reason == (
        "hybrid.ndcg@10 is 0.511 (95 % interval 0.494 to 0.529), at least the required 0.4."
    )


def test_a_value_below_its_minimum_fails_with_the_cause() -> None:
    result = apply(Rule(rule="min", metric=METRIC, value=0.9, cause="answers are not found"))
    assert not result.passed
    assert result.reason.endswith("below the required 0.9: answers are not found.")


def test_a_fact_above_its_maximum_fails_with_the_cause() -> None:
    rule = Rule(
        rule="max",
        metric="index.misplaced_vectors",
        cause="vectors stand in other chunks' places",
    )
    result = apply(rule, facts={"index.misplaced_vectors": 0.49})
    assert result.reason == (
        "index.misplaced_vectors is 0.49, above the allowed 0: "
        "vectors stand in other chunks' places."
    )
    assert apply(rule, facts={"index.misplaced_vectors": 0.0}).reason == (
        "index.misplaced_vectors is 0, at most the allowed 0."
    )


def test_a_near_miss_is_shown_with_enough_digits_to_see_it() -> None:
    result = apply(Rule(rule="min", metric="recall", value=0.5), facts={"recall": 0.49999})
    assert result.reason == "recall is 0.49999, below the required 0.5."


def test_rounding_is_no_failure() -> None:
    assert apply(Rule(rule="min", metric="sum", value=0.3), facts={"sum": 0.1 + 0.2 - 1e-12}).passed
    assert apply(Rule(rule="max", metric="sum", value=0.3), facts={"sum": 0.1 + 0.2}).passed


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
@pytest.mark.parametrize("rule", ["min", "max"])
def test_what_is_not_finite_never_passes(rule: str, value: float) -> None:
    result = apply(
        Rule.model_validate({"rule": rule, "metric": "x", "value": 0.5}), facts={"x": value}
    )
    assert not result.passed
    assert "x has no value" in result.reason


def test_a_metric_without_examples_never_passes() -> None:
    frame = scores(3).assign(**{METRIC: NAN})
    assert not apply(Rule(rule="min", metric=METRIC, value=-1.0), frame).passed
    better = Rule(rule="better_than_baseline", metric=METRIC, baseline=BASELINE)
    assert "has no value: no example has both" in apply(better, frame).reason
    no_worse = Rule(rule="no_worse_than_champion", metric=METRIC, value=9.0)
    result = apply(no_worse, frame, scores(3))
    assert not result.passed
    assert "has no value on the examples shared" in result.reason


def test_a_sure_gain_over_the_baseline_passes() -> None:
    rule = Rule(rule="better_than_baseline", metric=METRIC, baseline=BASELINE, value=0.05)
    result = apply(rule)
    assert result.passed
    assert "a gain of +0.0" in result.reason
    assert result.reason.endswith("200 examples), surely at least 0.05.")


def test_a_gain_that_may_be_chance_does_not_pass() -> None:
    rule = Rule(rule="better_than_baseline", metric=METRIC, baseline=BASELINE, cause="no use")
    result = apply(rule, scores(20, gain=0.01, noise=0.2))
    assert not result.passed
    assert result.reason.endswith("not surely above 0: no use.")


def test_a_loss_against_the_baseline_is_called_sure() -> None:
    rule = Rule(rule="better_than_baseline", metric=METRIC, baseline=BASELINE)
    assert apply(rule, scores(gain=-0.1)).reason.endswith("surely not above 0.")


def test_a_model_equal_to_its_baseline_is_not_better() -> None:
    rule = Rule(rule="better_than_baseline", metric=METRIC, baseline=BASELINE)
    result = apply(rule, scores(gain=0.0, noise=0.0))
    assert not result.passed
    assert "a gain of +0 (95 % interval +0 to +0, 200 examples)" in result.reason


def test_where_lower_is_better_a_reduction_is_the_gain() -> None:
    rule = Rule(
        rule="better_than_baseline", metric=METRIC, baseline=BASELINE, higher_is_better=False
    )
    assert apply(rule, scores(gain=-0.1)).passed
    assert not apply(rule, scores(gain=0.1)).passed
    no_worse = Rule(rule="no_worse_than_champion", metric=METRIC, higher_is_better=False)
    assert apply(no_worse, scores(gain=-0.1), scores(gain=0.1)).passed
    assert not apply(no_worse, scores(gain=0.1), scores(gain=-0.1)).passed


NO_WORSE = Rule(rule="no_worse_than_champion", metric=METRIC, value=0.02)


def test_without_a_champion_nothing_can_be_worse() -> None:
    result = apply(NO_WORSE)
    assert result.passed
    assert result.reason == "there is no champion yet to compare hybrid.ndcg@10 with."


def test_the_champion_itself_passes_even_with_nothing_tolerated() -> None:
    assert apply(Rule(rule="no_worse_than_champion", metric=METRIC), scores(), scores()).passed


def test_a_loss_within_what_is_tolerated_passes() -> None:
    result = apply(NO_WORSE, scores(gain=0.09), scores(gain=0.1))
    assert result.passed
    assert result.reason == (
        "hybrid.ndcg@10 is 0.501 against the champion's 0.511: a gain of -0.01 "
        "(95 % interval -0.01 to -0.01, 200 examples); "
        "a loss beyond the tolerated 0.02 is ruled out."
    )


def test_a_sure_loss_is_refused() -> None:
    result = apply(NO_WORSE, scores(gain=0.0), scores(gain=0.1))
    assert not result.passed
    assert result.reason.endswith("200 examples); that is a loss beyond the tolerated 0.02.")


def test_too_few_examples_to_rule_out_a_loss_are_refused() -> None:
    result = apply(NO_WORSE, scores(8, noise=0.3), scores(8, gain=0.0, noise=0.05))
    assert not result.passed
    assert result.reason.endswith("is not ruled out.")


@pytest.mark.parametrize("n", [1, 3, 5])
def test_a_handful_of_examples_shows_nothing_unless_both_are_the_same(n: int) -> None:
    better = Rule(rule="better_than_baseline", metric=METRIC, baseline=BASELINE)
    assert apply(better, scores(n)).reason.endswith("too few examples to show anything.")
    assert not apply(NO_WORSE, scores(n, gain=0.2), scores(n, gain=0.1)).passed
    assert apply(NO_WORSE, scores(n), scores(n)).passed
    assert apply(better, scores(6, noise=0.0)).passed


def test_models_are_compared_on_the_examples_they_share_whatever_their_order() -> None:
    champion = scores(150, noise=0.0).sample(frac=1, random_state=1)
    result = apply(NO_WORSE, scores(150, noise=0.0).iloc[30:], champion)
    assert result.passed
    assert "120 examples" in result.reason


def test_another_holdout_fails_by_name() -> None:
    result = apply(NO_WORSE, scores(), scores(first=1_000))
    assert not result.passed
    assert "was measured on another holdout than the champion's" in result.reason


def test_a_champion_that_was_not_measured_on_the_metric_fails_by_name() -> None:
    result = apply(NO_WORSE, scores(), scores().drop(columns=METRIC))
    assert not result.passed
    assert "the champion was not measured on hybrid.ndcg@10" in result.reason


def test_an_unmeasured_metric_is_a_mistake_that_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'hybrid.ndcg@5'.*Did you mean 'hybrid.ndcg@10'"):
        apply(Rule(rule="min", metric="hybrid.ndcg@5"))
    with pytest.raises(ConfigError, match=r"Did you mean 'lexical.ndcg@10'"):
        apply(Rule(rule="better_than_baseline", metric=METRIC, baseline="lexical.ndcg"))
    with pytest.raises(ConfigError, match="'question' example by example"):
        apply(Rule(rule="no_worse_than_champion", metric="question"))


def test_examples_that_stand_twice_are_refused() -> None:
    double = pd.concat([scores(3), scores(2)])
    with pytest.raises(DataError, match="'q0' stands twice in the scores of the champion"):
        apply(NO_WORSE, scores(), double)


@pytest.mark.parametrize(
    "raw",
    [
        {"rule": "about", "metric": "m"},
        {"rule": "min"},
        {"rule": "min", "metric": "m", "value": NAN},
        {"rule": "min", "metric": "m", "threshold": 1},
        {"rule": "min", "metric": "m", "baseline": "b"},
        {"rule": "better_than_baseline", "metric": "m"},
        {"rule": "better_than_baseline", "metric": "m", "baseline": "b", "value": -1},
        {"rule": "no_worse_than_champion", "metric": "m", "value": -1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate(raw)


def test_one_failed_rule_fails_the_decision_and_gives_its_reason() -> None:
    rules = [Rule(rule="min", metric=METRIC, value=0.1), Rule(rule="min", metric=METRIC, value=0.9)]
    frame = scores()
    decision = decide(rules, evaluate_scores(frame, [METRIC], [], "h"), frame, None)
    assert [result.passed for result in decision.results] == [True, False]
    assert not decision.passed
    assert decision.reasons == [decision.results[1].reason]
    assert Decision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision


def test_a_gate_without_rules_lets_everything_through() -> None:
    decision = decide([], Evaluation("h", {}), scores(), None)
    assert decision.passed
    assert decision.reasons == []


@settings(max_examples=60, deadline=None)
@given(st.floats(-10, 10), st.floats(-10, 10))
def test_minimum_and_maximum_are_each_others_complement(value: float, limit: float) -> None:
    evaluation = Evaluation("h", {"m": Interval(value, value, value, 9)})
    rules = [Rule(rule="min", metric="m", value=limit), Rule(rule="max", metric="m", value=limit)]
    at_least, at_most = (one.passed for one in decide(rules, evaluation, scores(1), None).results)
    assert at_least or at_most
    if at_least and at_most:
        assert value == pytest.approx(limit, abs=2e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-0.1, 0.1), st.floats(0, 0.1))
def test_a_model_proven_better_is_never_called_worse(seed: int, gain: float, margin: float) -> None:
    rng = np.random.default_rng(seed)
    champion = scores(40, noise=0.0)
    candidate = champion.assign(**{METRIC: champion[METRIC] + rng.normal(gain, 0.05, 40)})
    both = candidate.assign(**{BASELINE: champion[METRIC]})
    better = Rule(rule="better_than_baseline", metric=METRIC, baseline=BASELINE)
    no_worse = Rule(rule="no_worse_than_champion", metric=METRIC, value=margin)
    if apply(better, both).passed:
        assert apply(no_worse, candidate, champion).passed
    low = paired_difference(candidate[METRIC], champion[METRIC]).low
    assert apply(no_worse, candidate, champion).passed == (low >= -margin - 1e-9)
