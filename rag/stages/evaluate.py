"""From a bundle to scores on its holdout questions."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle import bundle as bundles
from lifecycle.atomic import write_bytes, write_text
from lifecycle.candidates import EVALUATION, SCORES
from lifecycle.errors import SourceError
from lifecycle.evaluation import Evaluation, evaluate_scores, holdout_id
from lifecycle.fingerprint import fingerprint
from lifecycle.tracking import Tracker
from rag.config import JudgeConfig, QuestionsConfig
from rag.stages.files import HOLDOUT, STALE

if TYPE_CHECKING:
    import pandas as pd

    from rag.predictor import RagPredictor
    from rag.questions import Question

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judging:
    """Who judges answers besides, and the MLflow that keeps its opinions in ``experiment``."""

    config: JudgeConfig
    tracker: Callable[[], Tracker]
    experiment: str


def evaluate_bundle(
    bundle: Path,
    use_case: Path,
    questions: QuestionsConfig,
    device: str,
    out: Path,
    judging: Judging | None = None,
) -> str:
    """Measure the bundle on its questions; scores, evaluation and the questions go to ``out``."""
    from rag.predictor import predictor_of

    predictor = predictor_of(bundles.open_bundle(bundle), device)
    asked = _questions(predictor, use_case, questions)
    write_text(out / HOLDOUT, "".join(q.model_dump_json() + "\n" for q in asked))
    scores, facts, stale = _score(predictor, asked)
    opinions = _judge(predictor, scores, facts, judging)
    write_text(out / STALE, json.dumps(stale, indent=1))
    scores.drop(columns="passages", errors="ignore").to_parquet(out / SCORES)
    evaluation = _evaluation(scores, facts, _holdout_id(out))
    write_text(out / EVALUATION, json.dumps(evaluation.to_dict(), indent=1))
    made = " synthetic" if any(q.synthetic for q in asked) else ""
    ndcg = evaluation.metrics["hybrid.ndcg@10"]
    spread = f"{ndcg.low:.3f} to {ndcg.high:.3f}"
    return f"{len(asked)}{made} questions, nDCG@10 {ndcg.value:.3f} ({spread}){opinions}"


def score_bundle(bundle: Path, evaluated: Path, cache: Path) -> "pd.DataFrame":
    """Scores of another bundle on the holdout in ``evaluated``, computed once for each pair."""
    import pandas as pd

    from rag.predictor import predictor_of
    from rag.questions import load_questions

    opened = bundles.open_bundle(bundle)
    key = f"{opened.manifest.bundle_id}-{_holdout_id(evaluated)}-{fingerprint(['rag.evaluate'])}"
    path = cache / "scores" / f"{key}.parquet"
    if path.is_file():
        return pd.read_parquet(path)
    scores, *_ = _score(predictor_of(opened), load_questions(evaluated / HOLDOUT))
    write_bytes(path, scores.to_parquet())
    return scores


def _questions(
    predictor: "RagPredictor", use_case: Path, config: QuestionsConfig
) -> list["Question"]:
    from rag.known_items import synthetic_questions
    from rag.questions import load_questions

    if config.path:
        golden = load_questions(use_case / config.path)
        return [question for question in golden if question.split == config.split]
    chunks = predictor.retriever.index.chunks()
    made = synthetic_questions(chunks, config.synthetic, config.seed)
    if chunks and not made:
        raise SourceError(
            "no questions could be made from the documents: they hold too few sentences.",
            "Add documents, or write golden questions (docs/use-cases.md).",
        )
    return made


def _score(
    predictor: "RagPredictor", questions: list["Question"]
) -> tuple["pd.DataFrame", dict[str, float], dict[str, str]]:
    """Scores by question, facts, and why some questions could not be placed in the documents."""
    from rag.evaluate import evaluate
    from rag.health import health
    from rag.relevance import locate

    index, embedder = predictor.retriever.index, predictor.retriever.embedder
    located = locate(questions, index.chunks())
    if len(index):
        scores, facts = evaluate(
            predictor.retriever,
            predictor.generator,
            questions,
            located.relevant,
            predictor.context,
        )
    else:  # nothing can be asked of it: the gate says why it is refused
        scores, facts = _no_scores(), {}
    found = health(index, embedder)
    facts |= {
        "index.chunks": found.chunks,
        "index.dense_recall@10": index.dense.recall,
        "index.misplaced_vectors": found.misplaced_share,
        "index.foreign_vectors": found.foreign_share,
        "questions.stale_share": len(located.stale) / max(1, len(questions)),
        "questions.synthetic": sum(question.synthetic for question in questions),
    }
    return scores, facts, dict(located.stale)


def _judge(
    predictor: "RagPredictor",
    scores: "pd.DataFrame",
    facts: dict[str, float],
    judging: Judging | None,
) -> str:
    """Add what a language model says of the answers, where one is configured."""
    if judging is None or not judging.config.model:
        return ""
    from rag.judge import add_opinions, asker

    ask = asker(judging.config, predictor.retriever.embedder)
    found, failure = add_opinions(
        scores, judging.config, ask, judging.tracker(), judging.experiment
    )
    facts |= found
    asked, failed = int(found["judge.asked"]), int(found["judge.failed"])
    if not failed:
        return f", {asked} opinions of the judge"
    log.warning("the judge %s gave no opinion: %s", judging.config.model, failure)
    return f", the judge gave no opinion {failed} of {asked} times ({failure[:160]})"


def _no_scores() -> "pd.DataFrame":
    import pandas as pd

    from rag.evaluate import METRICS

    columns: dict[str, pd.Series[float]] = {name: pd.Series(dtype=float) for name in METRICS}
    texts = {name: pd.Series(dtype=str) for name in ("question", "topic", "answer")}
    return pd.DataFrame({**texts, **columns}, index=pd.Index([], name="question_id"))


def _evaluation(scores: "pd.DataFrame", facts: dict[str, float], holdout: str) -> Evaluation:
    from rag.evaluate import METRICS

    judged = [name for name in scores.columns if name.startswith("judge.")]
    return evaluate_scores(scores, [*METRICS, *judged], ["topic"], holdout, facts)


def _holdout_id(evaluated: Path) -> str:
    return holdout_id((evaluated / HOLDOUT).read_text("utf-8").splitlines())
