"""Judges of answers, run through MLflow's evaluation, so that each opinion and its reason stand at
the answer in the MLflow UI.

What a judge asks, and whom, is not known here.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from lifecycle.tracking import Tracker, mlflow_errors

if TYPE_CHECKING:
    import pandas as pd

RUN_NAME = "judge"


@dataclass(frozen=True)
class Case:
    """One answer to be judged: ``passages`` is what it was made from, ``expected`` what was hoped
    for (empty: nobody knows)."""

    id: str
    question: str
    answer: str
    passages: str
    expected: str


@dataclass(frozen=True)
class Opinion:
    """``score`` is between 0 and 1."""

    score: float
    reason: str


Judge = Callable[[Case], Opinion | None]
"""None where there is nothing to judge."""


@dataclass(frozen=True)
class Verdicts:
    """``scores``: name of the judge to case id to score; ``failures``: why some are missing."""

    scores: Mapping[str, Mapping[str, float]]
    failures: Sequence[str]


def judge(
    cases: Sequence[Case], judges: Mapping[str, Judge], model: str, tracker: Tracker, place: str
) -> Verdicts:
    """Every opinion on every case, kept in MLflow's experiment ``place`` as that of ``model``.

    A judge that raises has no opinion on that case; what it raised is among the failures.
    """
    import mlflow

    known = {case.id: case for case in cases}
    scorers = [_scorer(name, one, known, model) for name, one in judges.items()]
    rows = [
        {"inputs": {"id": case.id, "question": case.question}, "outputs": case.answer}
        for case in cases
    ]
    place_id = tracker.experiment(place)
    # It says on the screen how to find the result.
    with mlflow_errors(), redirect_stdout(StringIO()):
        mlflow.set_experiment(experiment_id=place_id)
        with mlflow.start_run(run_name=RUN_NAME):
            table = mlflow.genai.evaluate(data=rows, scorers=scorers).result_df
    found = {name: _column(table, f"{name}/value") for name in judges}
    errors = [_column(table, f"{name}/error_message") for name in judges]
    return Verdicts(found, [str(error) for column in errors for error in column.values()])


def _scorer(name: str, one: Judge, known: Mapping[str, Case], model: str) -> Any:
    from mlflow.entities import AssessmentSource, Feedback
    from mlflow.genai.scorers import scorer

    def opinion(inputs: dict[str, str]) -> "list[Feedback]":
        found = one(known[inputs["id"]])
        source = AssessmentSource(source_type="LLM_JUDGE", source_id=model)
        if found is None:
            return []
        return [Feedback(name, value=found.score, rationale=found.reason, source=source)]

    return scorer(opinion, name=name)


def _column(table: "pd.DataFrame | None", name: str) -> dict[str, Any]:
    """What stands in a column by case id; nothing of a column that no case has filled."""
    if table is None or name not in table.columns:
        return {}
    ids = [request["id"] for request in table["request"]]
    found = zip(ids, table[name], table[name].notna(), strict=True)
    return {one: value for one, value, is_filled in found if is_filled}
