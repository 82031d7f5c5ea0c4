"""load → … → register, for recommenders and for tabular problems.

Recommenders: load → warehouse (validates and versions) → split → train → evaluate → gate →
register. Tabular problems: load → validate → version → split → train → evaluate → gate → register.
"""

from zenml import pipeline
from zenml.enums import ExecutionMode

from classic.recommend.config import RecommendationConfig
from classic.recommend.stages.train import ANSWERS
from classic.tabular.config import TabularConfig
from lifecycle.usecases import TABLE_SCHEMA, find
from pipelines.request import Request, complete
from pipelines.runtime import Finished
from steps import gate as gate_step
from steps import register as register_step
from steps import validate as validate_step
from steps.policy import settings
from steps.recommend import evaluate as evaluate_recommender
from steps.recommend import load as load_films
from steps.recommend import split as split_events
from steps.recommend import train as train_recommender
from steps.recommend import warehouse as warehouse_step
from steps.tabular import evaluate as evaluate_model
from steps.tabular import load as load_table
from steps.tabular import split as split_table
from steps.tabular import train as train_model
from steps.tabular import version as version_table


@pipeline(name="classic-recommendation", execution_mode=ExecutionMode.FAIL_FAST)
def recommendation(name: str, use_case: str, config: RecommendationConfig, content: str) -> None:
    """``content`` is a digest of the source's files."""
    files = load_films.load_films.with_options(**settings("steps.recommend.load"))(
        config.source, content
    )
    version = warehouse_step.warehouse.with_options(**settings("steps.recommend.warehouse"))(
        files, name, config.data
    )
    parts = split_events.split_events.with_options(**settings("steps.recommend.split"))(
        version, config.split
    )
    bundle = train_recommender.train_recommender.with_options(
        **settings("steps.recommend.train", ANSWERS)
    )(parts, version, name, use_case, config.training)
    evaluation = evaluate_recommender.evaluate_recommender.with_options(
        **settings("steps.recommend.evaluate", ANSWERS)
    )(bundle, parts, config.measuring)
    rules = config.gate_rules
    judgement = gate_step.gate(bundle, evaluation, name, rules)
    register_step.register_bundle(
        bundle, evaluation, judgement, rules, config.model_dump(mode="json")
    )


@pipeline(name="classic-tabular", execution_mode=ExecutionMode.FAIL_FAST)
def tabular(name: str, use_case: str, config: TabularConfig, content: str) -> None:
    """``content`` is a digest of the source's files."""
    own = f"usecases.{use_case}"
    schema = [str(find(use_case).folder / TABLE_SCHEMA)]
    table = load_table.load_table.with_options(**settings("steps.tabular.load", f"{own}.source"))(
        config.source, use_case, content
    )
    valid = validate_step.validate.with_options(**settings("steps.validate", files=schema))(
        table, use_case, name, config.data.max_bad_share
    )
    version = version_table.version.with_options(**settings("steps.tabular.version", files=schema))(
        valid, use_case, name, config.data.window
    )
    parts = split_table.split_table.with_options(**settings("steps.tabular.split", files=schema))(
        version, use_case, config.problem, config.split
    )
    bundle, trials = train_model.train_model.with_options(
        **settings("steps.tabular.train", ANSWERS, files=schema)
    )(parts, version, config.training(name, use_case))
    evaluation = evaluate_model.evaluate_model.with_options(
        **settings("steps.tabular.evaluate", ANSWERS, files=schema)
    )(bundle, parts, trials, config.evaluation)
    rules = config.gate_rules
    judgement = gate_step.gate(bundle, evaluation, name, rules)
    register_step.register_bundle(
        bundle, evaluation, judgement, rules, config.model_dump(mode="json")
    )


def run(request: Request) -> Finished:
    """Run the pipeline for the request's problem on the active stack and wait for its end."""
    films = isinstance(request.config, RecommendationConfig)
    return complete(recommendation if films else tabular, request)
