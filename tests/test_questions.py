"""Golden questions, where their quotes stand, and questions made of the documents."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import InvalidDataError, SourceError
from rag.known_items import synthetic_questions
from rag.questions import Question, load_questions
from rag.relevance import locate
from rag.types import Chunk
from tests.corpus import FILES, chunks_of

GOOD = {
    "id": "q1",
    "question": "How long?",
    "split": "test",
    "answerable": True,
    "source": "bees.md",
    "quote": "A worker in summer lives about six weeks.",
    "answer": "six weeks",
    "topic": "bees",
}
ALL = [chunk for uri, text in FILES.items() for chunk in chunks_of(uri, text)]


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", "utf-8")
    return path


def pieces(uri: str, text: str, *spans: tuple[int, int]) -> list[Chunk]:
    return [
        Chunk(f"{uri}-{n}", "d", uri, "", (), text[a:b], a, b, 1, 1, None, 1)
        for n, (a, b) in enumerate(spans)
    ]


def asking(quote: str, source: str = "a.txt") -> Question:
    return Question(id="q", question="?", source=source, quote=quote)


class TestLoadQuestions:
    def test_reads_what_is_written_and_leaves_blank_lines_out(self, tmp_path: Path) -> None:
        file = write(tmp_path / "q.jsonl", GOOD)
        file.write_text("\ufeff" + file.read_text("utf-8") + "\n\n", "utf-8")
        (question,) = load_questions(file)
        assert question == Question.model_validate(GOOD)
        assert not question.synthetic

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"question": " "}, "the question is empty"),
            ({"quote": ""}, "needs source and quote"),
            ({"answer": "ten weeks"}, "'ten weeks' does not stand in the quote"),
            ({"answerable": False}, "unanswerable question has no quote"),
            ({"split": "train"}, "split"),
            ({"qestion": "x"}, "unknown field 'qestion'. Did you mean 'question'?"),
        ],
    )
    def test_refuses_a_line_that_is_no_question_by_its_number(
        self, tmp_path: Path, change: dict[str, object], reason: str
    ) -> None:
        file = write(tmp_path / "q.jsonl", GOOD, {**GOOD, "id": "q2", **change})
        with pytest.raises(InvalidDataError, match=r"q\.jsonl:2: ") as caught:
            load_questions(file)
        assert reason in str(caught.value)

    def test_refuses_an_id_that_comes_twice(self, tmp_path: Path) -> None:
        file = write(tmp_path / "q.jsonl", GOOD, {**GOOD, "question": "Other?"})
        with pytest.raises(InvalidDataError, match=r":2: id 'q1' is taken by line 1"):
            load_questions(file)

    def test_refuses_what_is_no_json(self, tmp_path: Path) -> None:
        file = tmp_path / "q.jsonl"
        file.write_text(json.dumps(GOOD) + "\n{oops\n", "utf-8")
        with pytest.raises(InvalidDataError, match=r":2: no JSON"):
            load_questions(file)

    def test_names_the_nearest_file_where_there_is_none(self, tmp_path: Path) -> None:
        write(tmp_path / "questions.jsonl", GOOD)
        with pytest.raises(SourceError, match=r"Did you mean .*questions\.jsonl"):
            load_questions(tmp_path / "question.jsonl")


class TestLocate:
    def test_finds_the_chunk_of_the_source_that_holds_the_quote(self) -> None:
        found = locate([Question.model_validate(GOOD)], ALL)
        (chunk_id,) = found.relevant["q1"]
        (chunk,) = [one for one in ALL if one.chunk_id == chunk_id]
        assert chunk.uri == "bees.md"
        assert "six weeks" in chunk.text
        assert found.stale == {}

    def test_white_space_makes_no_difference(self) -> None:
        chunks = pieces("a.txt", "one  two\n three.", (0, 16))
        assert locate([asking("one two   three.")], chunks).relevant == {"q": {"a.txt-0"}}

    def test_overlapping_chunks_that_hold_all_of_the_quote_are_all_relevant(self) -> None:
        chunks = pieces("a.txt", "aa bb cc dd", (0, 8), (3, 11), (9, 11))
        assert locate([asking("bb cc")], chunks).relevant == {"q": {"a.txt-0", "a.txt-1"}}

    def test_of_a_quote_that_is_cut_the_greater_part_is_relevant(self) -> None:
        text = "start the quote that is cut in two parts end"
        chunks = pieces("a.txt", text, (0, 27), (28, 44))
        found = locate([asking("the quote that is cut in")], chunks)
        assert found.relevant == {"q": {"a.txt-0"}}

    def test_a_quote_that_comes_twice_is_relevant_in_both_places(self) -> None:
        chunks = pieces("a.txt", "yes no yes", (0, 3), (4, 6), (7, 10))
        assert locate([asking("yes")], chunks).relevant == {"q": {"a.txt-0", "a.txt-2"}}

    def test_says_why_a_question_is_stale(self) -> None:
        gone, moved = asking("never written"), asking("one", "b.txt")
        chunks = pieces("a.txt", "one", (0, 3))
        assert "does not stand in 'a.txt'" in locate([gone], chunks).stale["q"]
        assert "Did you mean 'a.txt'?" in locate([moved], chunks).stale["q"]

    def test_unanswerable_questions_are_neither(self) -> None:
        question = Question(id="u", question="Why?", answerable=False)
        found = locate([question], ALL)
        assert (found.relevant, found.stale) == ({}, {})

    @given(st.text("ab \n", min_size=1, max_size=40), st.data())
    def test_any_words_of_a_document_are_found_however_it_is_cut(
        self, text: str, data: st.DataObject
    ) -> None:
        start = data.draw(st.integers(0, len(text) - 1))
        end = data.draw(st.integers(start + 1, len(text)))
        if not text[start:end].strip():
            return
        cuts = sorted({0, len(text), *data.draw(st.lists(st.integers(0, len(text))))})
        chunks = pieces("a.txt", text, *pairwise(cuts))
        found = locate([asking(text[start:end])], chunks)
        assert found.relevant["q"]


class TestSyntheticQuestions:
    def test_quotes_can_be_located_and_are_marked_as_synthetic(self) -> None:
        made = synthetic_questions(ALL, 4)
        assert len(made) == 4
        assert all(one.synthetic and one.answerable for one in made)
        assert locate(made, ALL).stale == {}

    def test_leaves_words_of_the_sentence_out_and_adds_none(self) -> None:
        for one in synthetic_questions(ALL, 4):
            asked, quoted = one.question.split(), one.quote.split()
            assert 0 < len(asked) < len(quoted)
            assert all(word in one.quote for word in asked)

    def test_the_same_chunks_and_seed_give_the_same_questions(self) -> None:
        assert synthetic_questions(ALL, 4, seed=1) == synthetic_questions(ALL, 4, seed=1)
        assert synthetic_questions(ALL, 4, seed=1) != synthetic_questions(ALL, 4, seed=2)

    def test_asks_for_no_sentence_that_another_document_has_too(self) -> None:
        shared = "This licence text of many words stands in every single file here."
        chunks = [
            *pieces("a.txt", shared, (0, len(shared))),
            *pieces("b.txt", shared, (0, len(shared))),
            *chunks_of("bees.md", FILES["bees.md"]),
        ]
        made = synthetic_questions(chunks, 10)
        assert made
        assert all(one.source == "bees.md" for one in made)

    @pytest.mark.parametrize("text", ["Hello.", "苏伊士运河连接地中海和红海，全长一百九十三公里。"])
    def test_makes_something_of_the_smallest_document_in_any_script(self, text: str) -> None:
        chunks = pieces("a.txt", text, (0, len(text)))
        (made,) = synthetic_questions(chunks, 5)
        assert made.question.strip()
        assert locate([made], chunks).relevant == {"known-0001": {"a.txt-0"}}

    def test_asks_for_what_stands_once_and_only_else_for_what_is_repeated(self) -> None:
        often, once = "The same line of seven words again.", "But this line here comes only once."
        text = " ".join([often, once, often])
        chunks = pieces("a.txt", text, (0, 35), (36, 71), (72, 107))
        assert {one.quote for one in synthetic_questions(chunks, 5)} == {once}
        assert {one.quote for one in synthetic_questions([chunks[0], chunks[2]], 5)} == {often}

    def test_a_huge_repetitive_document_is_no_burden(self) -> None:
        line = "The same line of seven words again.\n"
        count = 20_000
        spans = [(n * len(line), (n + 1) * len(line)) for n in range(count)]
        chunks = pieces("a.txt", line * count, *spans)
        (made,) = synthetic_questions(chunks, 5)
        assert len(locate([made], chunks).relevant[made.id]) == count

    def test_makes_nothing_of_nothing(self) -> None:
        assert synthetic_questions([], 5) == []
        assert synthetic_questions(pieces("a.txt", "--- ***", (0, 7)), 5) == []


def test_a_passage_that_stands_in_two_documents_answers_in_both() -> None:
    quote = "Green tea should steep for three minutes in water of eighty degrees."
    texts = {
        "a.txt": f"Tea. {quote}",
        "b.txt": "Copied:\n" + quote.replace("three ", "three\n"),
        "c.txt": "Green tea is green.",
    }
    chunks = [one for uri, text in texts.items() for one in pieces(uri, text, (0, len(text)))]
    assert locate([asking(quote)], chunks).relevant["q"] == {"a.txt-0", "b.txt-0"}
