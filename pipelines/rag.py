"""load → validate → version → prepare → index → evaluate → gate → register, for a RAG index."""

from zenml import pipeline
from zenml.enums import ExecutionMode

from pipelines.request import Request, complete
from pipelines.runtime import Finished
from rag.config import RagConfig
from rag.stages.index import ANSWERS
from steps import gate as gate_step
from steps import register as register_step
from steps import validate as validate_step
from steps import version as version_step
from steps.policy import settings
from steps.rag import evaluate as evaluate_step
from steps.rag import index as index_step
from steps.rag import load as load_step
from steps.rag import prepare as prepare_step


@pipeline(name="rag", execution_mode=ExecutionMode.FAIL_FAST)
def rag(name: str, use_case: str, config: RagConfig, content: str, questions: str) -> None:
    """``content`` and ``questions`` are digests of the source's files and of the questions."""
    loaded = load_step.load_documents.with_options(**settings("steps.rag.load"))(
        config.source, content
    )
    data = validate_step.validate.with_options(
        **settings("steps.validate", f"usecases.{use_case}.schema")
    )(loaded, use_case, name, config.source.max_unreadable_share)
    version = version_step.version.with_options(**settings("steps.version"))(
        data, name, _context(config)
    )
    chunks = prepare_step.prepare_chunks.with_options(**settings("steps.rag.prepare"))(
        data, config.chunking, config.embedding, config.resources
    )
    bundle = index_step.index.with_options(**settings("steps.rag.index", ANSWERS))(
        chunks, data, version, name, use_case, config
    )
    evaluation = evaluate_step.evaluate.with_options(**settings("steps.rag.evaluate"))(
        bundle,
        use_case,
        config.questions,
        config.evaluation.judge,
        questions,
        config.resources,
    )
    rules = config.gate.rules
    judgement = gate_step.gate(bundle, evaluation, name, rules)
    register_step.register_bundle(
        bundle, evaluation, judgement, rules, config.model_dump(mode="json")
    )


def run(request: Request) -> Finished:
    """Run the pipeline on the active stack and wait for its end."""
    return complete(rag, request)


def _context(config: RagConfig) -> dict[str, str]:
    """What the data version means besides its documents: how they are cut and embedded."""
    return {"chunker": config.chunking.model_dump_json(), "embedder": config.embedding.model}
