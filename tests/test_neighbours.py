"""Neighbouring passages as one: the exact text, the lines, what is kept apart, and its measure."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.sources import RawFile
from rag.answers import citations
from rag.chunking import chunk
from rag.config import GenerationConfig
from rag.evaluate import evaluate
from rag.neighbours import merged
from rag.parsers import parse
from rag.questions import Question
from rag.relevance import locate
from rag.types import Chunk, Document, Passage
from tests import corpus
from tests.contracts import ids
from tests.test_rag_evaluate import Scripted

TEA = " ".join(f"Tea number {n} steeps for {n} minutes." for n in range(1, 40))
COFFEE = "Coffee is ground first. It is served black, in a small cup, after lunch."
GUIDE = f"# Guide\n\n## Tea\n\n{TEA}\n\nIt is drunk at five.\n\n## Coffee\n\n{COFFEE}\n"


@cache
def guide() -> Document:
    return parse(RawFile("guide.md", GUIDE.encode()))


@cache
def parts(overlap: int = 1) -> list[Chunk]:
    return chunk(guide(), corpus.counter(), 100, overlap)


def hits(*places: int, overlap: int = 1) -> list[Passage]:
    """The chunks at ``places`` as passages, best first."""
    return [
        Passage(parts(overlap)[place], 1.0 / rank, 0.9 - rank / 100, rank)
        for rank, place in enumerate(places, 1)
    ]


def join(passages: list[Passage], most: int = 10_000) -> list[Passage]:
    return merged(passages, {guide().doc_id: guide().text}.__getitem__, most)


def test_the_guide_is_cut_into_overlapping_chunks_of_two_sections() -> None:
    tea = [one for one in parts() if one.trail[-1] == "Tea"]
    assert len(tea) >= 5
    assert any(after.start < before.end for before, after in pairwise(tea))
    assert parts()[-1].trail == ("Guide", "Coffee")


def test_neighbours_become_one_passage_with_its_text_and_lines() -> None:
    (found,) = join(hits(2, 1, 3))
    first, best, last = parts()[1:4]
    assert found.chunk.text == guide().text[first.start : last.end]
    assert (found.chunk.line_start, found.chunk.line_end) == (first.line_start, last.line_end)
    assert found.members == (first.chunk_id, best.chunk_id, last.chunk_id)
    assert (found.chunk.chunk_id, found.score, found.rank) == (best.chunk_id, 1.0, 1)
    (citation,) = citations([1], [found])
    assert citation.chunk.line_end == last.line_end


def test_what_does_not_touch_stays_apart() -> None:
    assert join(hits(4, 0)) == hits(4, 0)


def test_what_is_of_another_section_stays_apart() -> None:
    last = len(parts()) - 1
    assert join(hits(last - 1, last)) == hits(last - 1, last)


def test_documents_stay_apart() -> None:
    other = replace(parts()[2], doc_id="other", uri="other.md", chunk_id="x")
    passages = [*hits(1), Passage(other, 0.1, 0.1, 2)]
    assert join(passages) == passages


def test_the_best_pair_is_put_together_where_not_all_fit() -> None:
    best, left, right = parts()[2], parts()[1], parts()[3]
    found = join(hits(2, 3, 1), best.tokens + max(left.tokens, right.tokens))
    assert [passage.members for passage in found] == [(best.chunk_id, right.chunk_id), ()]
    assert [passage.rank for passage in found] == [1, 2]


def test_no_tokens_leave_all_as_it_is_and_ask_for_no_text() -> None:
    assert merged(hits(1, 2), {}.__getitem__, 0) == hits(1, 2)


@settings(deadline=None)
@given(data=st.data(), most=st.integers(0, 400))
def test_laws(data: st.DataObject, most: int) -> None:
    overlap = data.draw(st.integers(0, 1))
    places = data.draw(st.lists(st.sampled_from(range(len(parts(overlap)))), unique=True))
    passages = hits(*places, overlap=overlap)
    found = join(passages, most)
    assert sorted(i for one in found for i in one.chunk_ids) == sorted(ids(passages))
    assert [one.rank for one in found] == [*range(1, len(found) + 1)]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        assert one.chunk.text == guide().text[one.chunk.start : one.chunk.end]
        if one.members:
            (tokens,) = corpus.counter().count([one.chunk.embedded_text])
            assert tokens <= one.chunk.tokens <= most
    in_order = sorted(found, key=lambda one: one.chunk.start)
    for left, right in pairwise(in_order):
        apart = right.chunk.start > left.chunk.end + 2 or left.chunk.trail != right.chunk.trail
        assert apart or left.chunk.tokens + right.chunk.tokens > most


@pytest.mark.parametrize(
    ("settings_", "limit"),
    [
        ({}, 0),
        ({"merge_tokens": 300}, 300),
        ({"provider": "openai", "model": "m"}, 480),
        ({"provider": "openai", "model": "m", "merge_tokens": 0}, 0),
    ],
)
def test_language_models_get_neighbours_together_unless_told(
    settings_: dict[str, object], limit: int
) -> None:
    assert GenerationConfig.model_validate(settings_).merge_limit == limit


def test_evaluation_measures_what_the_generator_was_given() -> None:
    """A citation of the merged passage is right where the chunk that answers is a part of it."""
    retriever = corpus.retriever()
    question = Question(
        id="q",
        question="How is a backup restored and which settings exist?",
        source="backup.md",
        quote="The service must be stopped first.",
        answer="stopped",
        topic="backup",
    )
    relevant = locate([question], retriever.index.chunks()).relevant

    def together(passages: Sequence[Passage]) -> list[Passage]:
        """The answer's chunk as a part of a passage that goes by the name of another."""
        other = next(p for p in passages if p.chunk.chunk_id not in relevant["q"])
        return [replace(other, members=(other.chunk.chunk_id, *relevant["q"]))]

    generator = Scripted({question.question: ("It is stopped. [1]", [1])})
    scores, _ = evaluate(retriever, generator, [question], relevant, together)
    assert generator.given == {question.question: 1}
    assert scores.loc["q", "answer.citation_precision"] == 1.0
