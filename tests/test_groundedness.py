"""Groundedness: what is in the passages is told from what is not; and what holds for any answer."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.answers import abstention
from rag.groundedness import SUPPORTED, groundedness, supports
from rag.readable import units
from rag.types import Answer, Chunk, Citation, Passage
from tests import corpus

CANAL = (
    "The waterway has no locks, because the water stands at nearly the same height at both ends."
)


def chunks() -> list[Chunk]:
    return corpus.retriever().index.chunks()


def passages(of: Sequence[Chunk] | None = None) -> list[Passage]:
    found = chunks() if of is None else of
    return [Passage(one, 1.0, 0.5, rank) for rank, one in enumerate(found, 1)]


def said(text: str, cited: Sequence[Chunk] = ()) -> Answer:
    citations = tuple(Citation(number, one) for number, one in enumerate(cited, 1))
    return Answer(text, citations, 0.9, abstained=False)


def support(text: str) -> float:
    (found,) = supports(said(text), passages(), corpus.embedder())
    return found.support


SENTENCES = sorted(
    {unit.text for one in chunks() for unit in units(one) if len(unit.text.split()) > 4}
)


@pytest.mark.parametrize(
    "text",
    [
        CANAL,
        "At both ends the water stands at nearly the same height, so the waterway has no locks.",
        "It needs no locks because the water is at nearly the same height at both ends.",
        "The canal was opened on 17 November 1869.",
        "In 1854 Ferdinand de Lesseps obtained a concession.",
        "The answer is Karl von Frisch.",
        "According to the documents, the excavation took 10 years.",
        "Backups are kept for thirty days, and the canal opened on 17 November 1869.",
        "A worker lives about six weeks in summer.",
    ],
)
def test_what_the_passages_say_is_supported(text: str) -> None:
    assert support(text) >= SUPPORTED


@pytest.mark.parametrize(
    "text",
    [
        "The waterway has locks, because the water stands at different heights.",
        "The Suez Canal does not join the Mediterranean Sea to the Red Sea.",
        "The canal opened on 17 November 1896.",
        "The excavation took twelve years.",
        "Gustave Eiffel obtained a concession in 1854.",
        "Karl von Frisch discovered that wasps hibernate in hollow trees.",
        "Ships pay a toll that depends on their size.",
        "The answer is Karl Marx.",
        "The excavation took ten years, and most of the workers were paid in silver.",
    ],
)
def test_what_they_do_not_say_is_not(text: str) -> None:
    assert support(text) < SUPPORTED


def test_an_answer_is_the_share_of_its_sentences_that_are_supported() -> None:
    answer = said(f"{CANAL} [1] Ships pay a toll by size. [2] The excavation took ten years. [1]")
    assert groundedness(answer, passages(), corpus.embedder()) == pytest.approx(2 / 3)
    found = supports(answer, passages(), corpus.embedder())
    assert [one.supported for one in found] == [True, False, True]
    assert found[1].sentence == "Ships pay a toll by size."


def test_what_ends_without_a_point_ends_at_its_citation() -> None:
    row = "`vault.folder` – Meaning: where backups are written; Default: `/var/vault`"
    answer = said(f"{row} [1] Karl von Frisch discovered that bees tell where food is. [2]")
    assert groundedness(answer, passages(), corpus.embedder()) == 1.0


def test_brackets_in_code_are_no_citations() -> None:
    answer = said("The first is `rows[0]`. [1]")
    assert supports(answer, passages(), corpus.embedder())[0].sentence == "The first is `rows[0]`."


def test_an_abstention_is_neither() -> None:
    assert math.isnan(groundedness(abstention(0.1), passages(), corpus.embedder()))


def test_nothing_is_supported_by_no_passages() -> None:
    assert groundedness(said(CANAL), [], corpus.embedder()) == 0.0


def test_only_what_is_cited_counts_where_something_is() -> None:
    bees = [one for one in chunks() if one.uri == "bees.md"]
    assert groundedness(said(CANAL, bees), passages(), corpus.embedder()) == 0.0
    assert groundedness(said(CANAL), passages(), corpus.embedder()) == 1.0


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=4, unique=True))
def test_what_is_quoted_is_grounded(quoted: list[str]) -> None:
    answer = said("\n\n".join(f"{one}\n[1]" for one in quoted))
    assert groundedness(answer, passages(), corpus.embedder()) == 1.0


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.sampled_from([*SENTENCES, "Ships pay a toll by size."]), min_size=1, max_size=3),
    st.permutations(chunks()),
    st.integers(1, 9),
)
def test_citations_and_the_order_of_passages_change_nothing(
    parts: list[str], order: list[Chunk], number: int
) -> None:
    plain = supports(said("\n\n".join(parts)), passages(), corpus.embedder())
    marked = said("\n\n".join(f"{one} [{number}]" for one in parts))
    again = supports(marked, passages(order), corpus.embedder())
    assert [one.sentence for one in plain] == [one.sentence for one in again]
    for one, other in zip(plain, again, strict=True):
        assert one.support == pytest.approx(other.support, abs=1e-4)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=120))
def test_any_text_has_support_between_0_and_1(text: str) -> None:
    found = supports(said(text), passages(), corpus.embedder())
    assert all(0 <= one.support <= 1 for one in found)
