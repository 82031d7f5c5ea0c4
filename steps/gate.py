"""Ask the gate whether a candidate may be served."""

from typing import Annotated, Any

from zenml import step

from lifecycle.candidates import Judgement, judge
from lifecycle.gate import Rule
from steps.artifacts import Folder
from steps.clock import clock
from steps.stack import scorer, tracker


@step(enable_cache=False)
def gate(
    bundle: Folder, evaluation: Folder, name: str, rules: list[Rule]
) -> Annotated[dict[str, Any], "judgement"]:
    """Never cached: the champion to compare with may have changed since."""
    with clock("gate") as note:
        judgement = ask(bundle, evaluation, name, rules)
        passed = sum(result.passed for result in judgement.decision.results)
        note.text = f"{passed} of {len(judgement.decision.results)} rules hold"
    return judgement.to_dict()


def ask(bundle: Folder, evaluation: Folder, name: str, rules: list[Rule]) -> Judgement:
    score = scorer(bundle.path, evaluation.path)
    return judge(tracker(), name, bundle.path, evaluation.path, rules, score)
