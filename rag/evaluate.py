"""Measures retrieval and answers on questions, one row each: what the gate and the report read."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, get_args

import numpy as np

from lifecycle.errors import DataError
from lifecycle.progress import track
from rag import metrics
from rag.answers import without_citations
from rag.generators import Generator, generate
from rag.groundedness import Support, cited, share, supports
from rag.questions import Question
from rag.retriever import Mode, Retriever
from rag.types import Answer, Chunk, Passage

if TYPE_CHECKING:
    import pandas as pd

DEPTH = 20  # passages ranked for each question; the generator gets the first of them
MODES: tuple[Mode, ...] = get_args(Mode)
RANKING_METRICS = ("ndcg@10", "recall@5", "recall@20", "mrr")
ANSWER_METRICS = (
    "answer.span_f1",
    "answer.citation_precision",
    "answer.groundedness",
    "abstention.precision",
    "abstention.recall",
)
METRICS = (*(f"{mode}.{name}" for mode in MODES for name in RANKING_METRICS), *ANSWER_METRICS)
_PERCENTILES = (50, 95)

Context = Callable[[Sequence[Passage]], list[Passage]]


def evaluate(
    retriever: Retriever,
    generator: Generator,
    questions: Sequence[Question],
    relevant: Mapping[str, Set[str]],
    context: Context = list,
) -> tuple["pd.DataFrame", dict[str, float]]:
    """Scores by question id, and facts about the whole run.

    ``relevant``: chunk ids by question, as ``rag.relevance`` finds them; an answerable question
    without an entry is left out, as nobody knows what would be right. ``context`` makes of the
    passages found what the generator reads. The columns METRICS are NaN
    where a measure does not apply, so that the mean of the rest is the metric; ``topic`` and
    ``answerable`` are segments; ``latency.*`` is in milliseconds; ``question``, ``answer``,
    ``unsupported`` (sentences that the passages do not support), ``expected``, ``source``,
    ``cited``, ``passages`` (the text behind the answer) and ``top_sources`` are for people. Facts:
    ``questions.asked``, ``questions.left_out`` and percentiles such as ``latency.ask_p95_ms``.

    Raises DataError where no question is left.
    """
    import pandas as pd

    asked = [one for one in questions if not one.answerable or relevant.get(one.id)]
    if not asked:
        raise DataError(
            f"none of the {len(questions)} questions can be asked of this index.",
            "Their sources or quotes are not in the documents: check the questions file.",
        )
    retriever.warm_up()
    rows = [
        _row(_ask(retriever, generator, question, context), relevant.get(question.id, frozenset()))
        for question in track(asked, "Asking", total=len(asked))
    ]
    scores = pd.DataFrame(rows, index=pd.Index([one.id for one in asked], name="question_id"))
    facts = {"questions.asked": float(len(asked))}
    facts["questions.left_out"] = float(len(questions) - len(asked))
    return scores, facts | _latencies(scores)


def worst_questions(scores: "pd.DataFrame", n: int = 10) -> "pd.DataFrame":
    """The rows of at most ``n`` questions that went wrong, the worst first.

    Worst by the mean of what can be said of a question: nDCG@10 of the hybrid ranking, span F1,
    citation precision, and whether abstaining or answering was right.
    """
    said = [*ANSWER_METRICS, "hybrid.ndcg@10"]
    quality = scores[said].mean(axis=1, skipna=True).rename("quality")
    return scores.loc[quality[quality < 1].sort_values(kind="stable").index[:n]]


@dataclass(frozen=True)
class _Asked:
    question: Question
    rankings: Mapping[Mode, Sequence[Passage]]
    given: Sequence[Passage]
    answer: Answer
    supports: Sequence[Support]
    passages: Sequence[Chunk]
    milliseconds: Mapping[str, float]


def _ask(
    retriever: Retriever, generator: Generator, question: Question, context: Context
) -> _Asked:
    start = perf_counter()
    found = retriever.search(question.question, max(DEPTH, retriever.config.k))
    searched = perf_counter()
    stages = retriever.timings
    given = context(found[: retriever.config.k])
    answer = generate(generator, question.question, given)
    end = perf_counter()
    stages |= {
        "search_ms": (searched - start) * 1000,
        "generate_ms": (end - searched) * 1000,
        "ask_ms": (end - start) * 1000,
    }
    rankings: dict[Mode, Sequence[Passage]] = {"hybrid": found[:DEPTH]}
    if question.answerable:
        for mode in set(MODES) - {"hybrid"}:
            rankings[mode] = retriever.search(question.question, DEPTH, mode)
    supported = supports(answer, given, retriever.embedder)
    behind = cited(answer, given)
    return _Asked(question, rankings, given, answer, supported, behind, stages)


def _row(asked: _Asked, relevant: Set[str]) -> dict[str, object]:
    question, answer = asked.question, asked.answer
    return {
        "question": question.question,
        "topic": question.topic,
        "answerable": question.answerable,
        **_ranking_scores(asked.rankings, relevant),
        **_answer_scores(asked, relevant),
        "answer.groundedness": share(asked.supports),
        **{f"latency.{stage}": value for stage, value in asked.milliseconds.items()},
        "answer": answer.text,
        "unsupported": "\n".join(one.sentence for one in asked.supports if not one.supported),
        "passages": "\n\n".join(one.text for one in asked.passages),
        "abstained": answer.abstained,
        "confidence": answer.confidence,
        "expected": question.answer or question.quote,
        "source": question.source,
        "cited": _sources(citation.chunk for citation in answer.citations),
        "top_sources": _sources(passage.chunk for passage in asked.rankings["hybrid"][:3]),
    }


def _sources(chunks: Iterable[Chunk]) -> str:
    return ", ".join(dict.fromkeys(f"{one.uri}:{one.line_start}" for one in chunks))


def _ranking_scores(
    rankings: Mapping[Mode, Sequence[Passage]], relevant: Set[str]
) -> dict[str, float]:
    scores: dict[str, float] = {}
    for mode in MODES:
        ids = [passage.chunk.chunk_id for passage in rankings.get(mode, ())]
        scores[f"{mode}.ndcg@10"] = metrics.ndcg_at_k(ids, relevant, 10)
        scores[f"{mode}.recall@5"] = metrics.recall_at_k(ids, relevant, 5)
        scores[f"{mode}.recall@20"] = metrics.recall_at_k(ids, relevant, DEPTH)
        scores[f"{mode}.mrr"] = metrics.reciprocal_rank(ids, relevant)
    return scores


def _answer_scores(asked: _Asked, relevant: Set[str]) -> dict[str, float]:
    question, answer = asked.question, asked.answer
    cited = [asked.given[citation.number - 1].chunk_ids for citation in answer.citations]
    said = "" if answer.abstained else without_citations(answer.text)
    return {
        "answer.span_f1": metrics.span_f1(said, question.answer),
        "answer.citation_precision": metrics.citation_precision(cited, relevant),
        "abstention.precision": metrics.abstention_precision(answer.abstained, question.answerable),
        "abstention.recall": metrics.abstention_recall(answer.abstained, question.answerable),
    }


def _latencies(scores: "pd.DataFrame") -> dict[str, float]:
    facts: dict[str, float] = {}
    for column in scores.columns[scores.columns.str.startswith("latency.")]:
        stage = column.removesuffix("_ms")
        for percent in _PERCENTILES:
            facts[f"{stage}_p{percent}_ms"] = float(np.nanpercentile(scores[column], percent))
    return facts
