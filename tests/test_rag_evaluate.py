"""The table of scores: a row a question, figures that can be checked by hand."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pandas as pd
import pytest

from lifecycle.errors import DataError
from lifecycle.evaluation import evaluate_scores
from rag import metrics
from rag.answers import abstention, citations
from rag.config import GenerationConfig
from rag.evaluate import METRICS, evaluate, worst_questions
from rag.generators import load_generator
from rag.questions import Question
from rag.relevance import locate
from rag.report import unsupported_answers
from rag.types import Answer, Passage
from tests import corpus

LOCKS = Question(
    id="locks",
    question="Why are there no locks in the Suez Canal?",
    source="canal.md",
    quote="the water stands at nearly the same height at both ends",
    answer="the same height at both ends",
    topic="canal",
)
BEES = Question(
    id="bees",
    question="Who found out that bees dance?",
    source="bees.md",
    quote="Karl von Frisch discovered",
    answer="Karl von Frisch",
    topic="bees",
)
NOWHERE = Question(
    id="nowhere", question="Which goalkeeper won the cup?", answerable=False, topic="none"
)
STALE = Question(id="stale", question="What?", source="canal.md", quote="never written")
QUESTIONS = [LOCKS, BEES, NOWHERE, STALE]


class Scripted:
    """Says what it is told to each question, citing these passages by number; None abstains."""

    name = "scripted"

    def __init__(self, script: dict[str, tuple[str, Sequence[int]] | None]) -> None:
        self.script = script
        self.given: dict[str, int] = {}

    def stream(self, question: str, passages: Sequence[Passage]) -> Iterator[str | Answer]:
        self.given[question] = len(passages)
        said = self.script.get(question)
        if said is None:
            yield abstention(0.1)
            return
        text, numbers = said
        yield text
        yield Answer(text, citations(numbers, passages), 0.9, abstained=False)


@cache
def relevant() -> dict[str, frozenset[str]]:
    return dict(locate(QUESTIONS, corpus.retriever().index.chunks()).relevant)


@cache
def scores() -> tuple[pd.DataFrame, dict[str, float]]:
    generator = load_generator(GenerationConfig(), corpus.embedder())
    return evaluate(corpus.retriever(), generator, QUESTIONS, relevant())


def scripted(script: dict[str, tuple[str, Sequence[int]] | None]) -> pd.DataFrame:
    return evaluate(corpus.retriever(), Scripted(script), QUESTIONS, relevant())[0]


def test_there_is_a_row_for_each_question_that_can_be_judged() -> None:
    table, facts = scores()
    assert list(table.index) == ["locks", "bees", "nowhere"]
    assert facts["questions.asked"] == 3
    assert facts["questions.left_out"] == 1


def test_ranking_columns_are_the_measures_of_what_the_retriever_finds() -> None:
    table, _ = scores()
    for mode in ("hybrid", "lexical", "dense"):
        found = corpus.retriever().search(LOCKS.question, 20, mode)
        ids = [passage.chunk.chunk_id for passage in found]
        gold = relevant()["locks"]
        assert table.loc["locks", f"{mode}.ndcg@10"] == metrics.ndcg_at_k(ids, gold, 10)
        assert table.loc["locks", f"{mode}.recall@5"] == metrics.recall_at_k(ids, gold, 5)
        assert table.loc["locks", f"{mode}.recall@20"] == metrics.recall_at_k(ids, gold, 20)
        assert table.loc["locks", f"{mode}.mrr"] == metrics.reciprocal_rank(ids, gold)


def test_measures_are_nan_exactly_where_they_do_not_apply() -> None:
    table, _ = scores()
    for name in METRICS:
        ranking = not name.startswith(("answer.", "abstention."))
        assert bool(table.isna().loc["nowhere", name]) == (ranking or name.startswith("answer."))
    assert table["abstention.recall"].isna().tolist() == [True, True, False]


def test_the_table_feeds_the_evaluation_with_intervals() -> None:
    table, facts = scores()
    evaluation = evaluate_scores(table, METRICS, ["topic"], "holdout", facts)
    assert evaluation.metrics["hybrid.mrr"].n == 2
    assert evaluation.metrics["answer.span_f1"].value == 1.0
    assert set(evaluation.segments["topic"]) == {"canal", "bees", "none"}


def test_answers_are_scored_without_their_citations() -> None:
    table = scripted({LOCKS.question: ("the same height [1] at both ends", [1])})
    assert table.loc["locks", "answer.span_f1"] == 1.0


def test_an_answer_withheld_wrongly_scores_zero_and_rightly_one() -> None:
    table = scripted({BEES.question: ("Karl von Frisch. [1]", [1])})
    assert table.loc["locks", "answer.span_f1"] == 0.0
    assert bool(table.isna().loc["locks", "answer.citation_precision"])
    assert table.loc["locks", "abstention.precision"] == 0.0
    assert table.loc["nowhere", "abstention.precision"] == 1.0
    assert table.loc["nowhere", "abstention.recall"] == 1.0
    assert bool(table.isna().loc["bees", "abstention.precision"])


def test_an_answer_to_an_unanswerable_question_is_a_missed_abstention() -> None:
    table = scripted({NOWHERE.question: ("Somebody. [1]", [1])})
    assert table.loc["nowhere", "abstention.recall"] == 0.0
    assert bool(table.isna().loc["nowhere", "abstention.precision"])


def test_citation_precision_counts_relevant_citations() -> None:
    table = scripted({LOCKS.question: ("Level. [1][2]", [1, 2])})
    assert table.loc["locks", "answer.citation_precision"] == 0.5


def test_what_the_cited_passages_do_not_say_is_named() -> None:
    table = scripted(
        {
            LOCKS.question: ("The water stands at nearly the same height at both ends. [1]", [1]),
            BEES.question: ("Karl von Frisch discovered it. [1] He was a Scot. [1]", [1]),
        }
    )
    assert table.loc["locks", "answer.groundedness"] == 1.0
    assert table.loc["locks", "unsupported"] == ""
    assert table.loc["bees", "answer.groundedness"] == 0.5
    assert table.loc["bees", "unsupported"] == "He was a Scot."
    assert "dancing" in table.loc["bees", "passages"]
    assert bool(table.isna().loc["nowhere", "answer.groundedness"])

    (section,) = unsupported_answers(table)
    assert section.table is not None
    assert [row[:3] for row in section.table.rows] == [[BEES.question, "He was a Scot.", 0.5]]
    assert unsupported_answers(table.loc[["locks"]]) == []


def test_the_generator_gets_as_many_passages_as_in_use() -> None:
    generator = Scripted({})
    evaluate(corpus.retriever(), generator, QUESTIONS, relevant())
    k = corpus.retriever().config.k
    assert set(generator.given.values()) == {min(k, len(corpus.retriever().index))}


def test_latency_is_known_by_stage_and_as_a_whole() -> None:
    table, facts = scores()
    for stage in ("embed", "lexical", "dense", "fuse", "search", "generate", "ask"):
        assert facts[f"latency.{stage}_p95_ms"] >= facts[f"latency.{stage}_p50_ms"] >= 0
    whole = table["latency.search_ms"] + table["latency.generate_ms"]
    assert np.allclose(table["latency.ask_ms"], whole)


def test_the_worst_questions_come_first_and_perfect_ones_not_at_all() -> None:
    table = scripted(
        {
            LOCKS.question: ("the same height at both ends [1]", [1]),
            BEES.question: ("Somebody von Frisch. [1]", [1]),
            NOWHERE.question: ("Somebody. [1]", [1]),
        }
    )
    assert list(worst_questions(table, 10).index) == ["nowhere", "bees"]
    assert list(worst_questions(table, 1).index) == ["nowhere"]
    assert worst_questions(table, 1)["top_sources"].iloc[0]


def test_no_question_that_can_be_asked_is_an_error_with_the_way_out() -> None:
    with pytest.raises(DataError, match="check the questions file"):
        evaluate(corpus.retriever(), Scripted({}), [STALE], {})
