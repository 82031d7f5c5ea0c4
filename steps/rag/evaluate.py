"""Measure a bundle on its holdout questions."""

from typing import Annotated

from zenml import step

from lifecycle import usecases
from lifecycle.resources import Resources, device
from rag.config import JudgeConfig, QuestionsConfig
from rag.stages.evaluate import Judging, evaluate_bundle
from steps.artifacts import Folder, new_folder
from steps.clock import clock
from steps.stack import tracker


@step
def evaluate(
    bundle: Folder,
    use_case: str,
    questions: QuestionsConfig,
    judge: JudgeConfig,
    content: str,
    resources: Resources,
) -> Annotated[Folder, "evaluation"]:
    """``content`` is a digest of the question file, so that changed questions are a new holdout."""
    with clock("evaluate") as note:
        out = new_folder("evaluate")
        folder = usecases.find(use_case).folder
        judging = Judging(judge, tracker, use_case)
        on = device(resources)[0]
        note.text = str(evaluate_bundle(bundle.path, folder, questions, on, out, judging))
    return Folder(out)
