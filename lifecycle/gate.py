"""The gate: rules applied to an evaluation, a decision with a reason in words for each rule.

``min`` and ``max`` compare a metric's value, or a fact, with a threshold. The other two compare
the model with another one on the same examples, by a paired bootstrap of the difference, and the
burden of proof is on the model: what its interval leaves open counts against it. Nothing that is
NaN or infinite passes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, FiniteFloat, model_validator

from lifecycle.comparison import ROUNDING, Comparison, compare, compare_statistics
from lifecycle.config import Frozen
from lifecycle.errors import ConfigError, DataError, did_you_mean
from lifecycle.evaluation import Evaluation, Interval
from lifecycle.statistics import find
from lifecycle.wording import apart, significant

if TYPE_CHECKING:
    import pandas as pd

_RELATIONS = {
    ("min", True): "at least",
    ("min", False): "below",
    ("max", True): "at most",
    ("max", False): "above",
}


class Rule(BaseModel):
    """One rule, as the YAML states it.

    ``metric``: a metric or fact of the evaluation; for the paired rules a column of the scores.
    ``value``: the threshold of ``min`` and ``max``; the least gain over ``baseline`` (another
    column); the loss against the champion that is tolerated. ``cause``: what failing means in
    words, for the reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Literal["min", "max", "better_than_baseline", "no_worse_than_champion"]
    metric: str
    value: FiniteFloat = 0.0
    baseline: str = ""
    higher_is_better: bool = True
    cause: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        paired = self.rule in {"better_than_baseline", "no_worse_than_champion"}
        if paired and self.value < 0:
            raise ValueError(f"value of {self.rule} is a size, so it cannot be below 0")
        if (self.rule == "better_than_baseline") != bool(self.baseline):
            raise ValueError("baseline names the metric to beat: in better_than_baseline, only")
        return self


class GateConfig(Frozen):
    """``gate:`` of a pipeline's YAML."""

    rules: list[Rule] = []


@dataclass(frozen=True)
class RuleResult:
    """What became of a rule: one sentence with the figures it was decided on."""

    rule: Rule
    passed: bool
    reason: str


@dataclass(frozen=True)
class Decision:
    """All rules have to pass; a gate without rules lets everything through."""

    results: tuple[RuleResult, ...]

    @property
    def passed(self) -> bool:
        return all(result.passed for result in self.results)

    @property
    def reasons(self) -> list[str]:
        """Why the model was refused; empty where it passed."""
        return [result.reason for result in self.results if not result.passed]

    def to_dict(self) -> dict[str, Any]:
        """As JSON; ``from_dict`` gives the same decision back."""
        results = [
            {"rule": one.rule.model_dump(), "passed": one.passed, "reason": one.reason}
            for one in self.results
        ]
        return {"passed": self.passed, "results": results}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        return cls(
            tuple(
                RuleResult(Rule.model_validate(one["rule"]), one["passed"], one["reason"])
                for one in raw["results"]
            )
        )


def decide(
    rules: Sequence[Rule],
    evaluation: Evaluation,
    scores: "pd.DataFrame",
    champion_scores: "pd.DataFrame | None",
) -> Decision:
    """Apply ``rules`` to a model.

    ``scores``: one row per example of the holdout, indexed by example id, a column per metric;
    ``champion_scores``: the same of the champion, None where there is none. Raises ConfigError
    for a rule about a metric that was not measured, DataError for example ids that repeat.
    """
    for owner, frame in (("the model", scores), ("the champion", champion_scores)):
        if frame is not None and not frame.index.is_unique:
            twice = frame.index[frame.index.duplicated()][0]
            raise DataError(f"example {twice!r} stands twice in the scores of {owner}.")
    results = []
    for rule in rules:
        if rule.rule == "better_than_baseline":
            passed, reason = _better(rule, scores)
        elif rule.rule == "no_worse_than_champion":
            passed, reason = _no_worse(rule, scores, champion_scores)
        else:
            passed, reason = _threshold(rule, evaluation)
        end = f": {rule.cause.rstrip('.')}." if rule.cause and not passed else "."
        results.append(RuleResult(rule, passed, reason + end))
    return Decision(tuple(results))


def _threshold(rule: Rule, evaluation: Evaluation) -> tuple[bool, str]:
    value, interval = _measured(rule.metric, evaluation)
    least = rule.rule == "min"
    bound = "the required" if least else "the allowed"
    if not math.isfinite(value):
        return (
            False,
            f"{rule.metric} has no value, so {bound} {significant(rule.value)} is not shown",
        )
    passed = value >= rule.value - ROUNDING if least else value <= rule.value + ROUNDING
    relation = _RELATIONS[rule.rule, passed]
    shown, limit = apart(value, rule.value)
    return passed, f"{rule.metric} is {shown}{_between(interval)}, {relation} {bound} {limit}"


def _measured(metric: str, evaluation: Evaluation) -> tuple[float, Interval | None]:
    if metric in evaluation.metrics:
        interval = evaluation.metrics[metric]
        return interval.value, interval
    if metric in evaluation.facts:
        return evaluation.facts[metric], None
    raise ConfigError(
        f"a gate rule is about {metric!r}, which was not measured.",
        did_you_mean(metric, [*evaluation.metrics, *evaluation.facts]),
    )


def _better(rule: Rule, scores: "pd.DataFrame") -> tuple[bool, str]:
    """Superiority: the whole interval of the gain lies at or above the least gain, and above 0.

    So a least gain of 0 asks for a proof that the model is better at all.
    """
    found = _compared(rule, scores, scores, rule.baseline)
    if not found.known:
        return False, f"{rule.metric} against {rule.baseline} has no value: no example has both"
    needed = f"at least {significant(rule.value)}" if rule.value else "above 0"
    sure = found.gain.low >= rule.value - ROUNDING and found.gain.low > ROUNDING
    passed = sure and found.enough
    if passed:
        verdict = f"surely {needed}"
    elif not found.enough:
        verdict = "too few examples to show anything"
    elif found.gain.high < max(rule.value, ROUNDING):
        verdict = f"surely not {needed}"
    else:
        verdict = f"not surely {needed}"
    model, other = apart(found.model, found.other)
    return passed, (
        f"{rule.metric} is {model} against {other} of {rule.baseline}: {found}, {verdict}"
    )


def _no_worse(
    rule: Rule, scores: "pd.DataFrame", champion_scores: "pd.DataFrame | None"
) -> tuple[bool, str]:
    """Non-inferiority: the whole interval of the difference lies at or above −(tolerated loss).

    A model passes when a loss beyond what is tolerated can be ruled out, not when it merely could
    not be shown: few examples must not be a way in. With nothing tolerated only a model that is
    the same on every example, or provably better, passes; state the loss that you would accept.
    See Piaggio et al., Reporting of Noninferiority and Equivalence Randomized Trials, JAMA 2012.
    """
    _require(scores, rule.metric)
    if champion_scores is None:
        return True, f"there is no champion yet to compare {rule.metric} with"
    if not _is_measured(champion_scores, rule.metric):
        return False, f"the champion was not measured on {rule.metric}, so nothing can be compared"
    shared = scores.index.intersection(champion_scores.index)
    if shared.empty:
        return False, f"{rule.metric} was measured on another holdout than the champion's"
    found = _compared(rule, scores.loc[shared], champion_scores.loc[shared], rule.metric)
    if not found.known:
        return False, f"{rule.metric} has no value on the examples shared with the champion"
    loss = f"a loss beyond the tolerated {significant(rule.value)}"
    passed = found.gain.low >= -rule.value - ROUNDING and found.enough
    if passed:
        verdict = f"{loss} is ruled out"
    elif not found.enough:
        verdict = "too few examples to show anything"
    else:
        verdict = f"that is {loss}" if found.gain.high < -rule.value else f"{loss} is not ruled out"
    model, other = apart(found.model, found.other)
    return passed, f"{rule.metric} is {model} against the champion's {other}: {found}; {verdict}"


def _compared(rule: Rule, scores: "pd.DataFrame", others: "pd.DataFrame", other: str) -> Comparison:
    """The rule's metric of ``scores`` against ``other`` of ``others``, example by example."""
    _require(scores, rule.metric)
    _require(others, other)
    if rule.metric in scores.columns and other in others.columns:
        return compare(scores[rule.metric], others[other], rule.higher_is_better)
    mine, theirs = find(rule.metric, scores.columns), find(other, others.columns)
    if mine is None or theirs is None:
        raise ConfigError(
            f"a gate rule compares {rule.metric!r} with {other!r}: one is a mean, the other is not."
        )
    return compare_statistics(scores, others, mine, theirs, rule.higher_is_better)


def _require(scores: "pd.DataFrame", name: str) -> None:
    if not _is_measured(scores, name):
        columns = scores.select_dtypes(["number", "bool"]).columns
        raise ConfigError(
            f"a gate rule compares {name!r} example by example, but it was not measured so.",
            did_you_mean(name, map(str, columns)),
        )


def _is_measured(scores: "pd.DataFrame", name: str) -> bool:
    columns = scores.select_dtypes(["number", "bool"]).columns
    return name in columns or find(name, columns) is not None


def _between(interval: Interval | None) -> str:
    if interval is None or not math.isfinite(interval.low):
        return ""
    return f" (95 % interval {significant(interval.low)} to {significant(interval.high)})"
