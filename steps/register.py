"""Seal the bundle with its evaluation, register it, and promote it where the gate passed."""

from typing import Annotated, Any

from zenml import get_step_context, step

from lifecycle.bundle import open_bundle
from lifecycle.candidates import Judgement, register
from lifecycle.gate import Rule
from lifecycle.registration import Candidate, log_version
from lifecycle.registry import Version
from lifecycle.state import State
from steps.artifacts import Folder, new_folder
from steps.clock import clock
from steps.gate import ask
from steps.stack import tracker


@step(enable_cache=False)
def register_bundle(
    bundle: Folder,
    evaluation: Folder,
    judgement: dict[str, Any],
    rules: list[Rule],
    params: dict[str, Any],
) -> Annotated[dict[str, Any], "outcome"]:
    """Never cached, and without effect when nothing changed. ``params`` go to MLflow."""
    with clock("register") as note:
        state, mlflow, draft = State.from_env(), tracker(), open_bundle(bundle.path)
        name = draft.manifest.name
        run = get_step_context().pipeline_run.name
        candidate = Candidate(draft, evaluation.path, params, run, new_folder("register"))

        def log(judged: Judgement) -> Version:
            return log_version(mlflow, state, candidate, judged)

        def rejudge() -> Judgement:
            return ask(bundle, evaluation, name, rules)

        first = Judgement.from_dict(judgement)
        status, version, judged = register(mlflow, state, draft, first, rejudge, log)
        note.text = f"{name} version {version.number}: {status}"
    return {"status": status, "version": version.number, "judgement": judged.to_dict()}
