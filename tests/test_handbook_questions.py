"""The handbook's golden questions are well formed and still true of their sources."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from pydoc_data.topics import topics
from typing import TypedDict

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "usecases" / "handbook" / "questions.jsonl"
ID = re.compile(r"(py|docs)-\d{3}")
LONGEST_COPIED_RUN = 5
# The wording of Python's reference changes here and there between releases.
REWORDED_BY_PYTHON = 0.03


class Question(TypedDict):
    id: str
    question: str
    split: str
    answerable: bool
    source: str
    quote: str
    answer: str
    topic: str


QUESTIONS: list[Question] = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]
ANSWERABLE = [question for question in QUESTIONS if question["answerable"]]


def plain(text: str) -> str:
    return " ".join(text.split())


def source_text(uri: str) -> str:
    if uri.startswith("python:"):
        return topics.get(uri.removeprefix("python:").removesuffix(".rst"), "")
    path = ROOT / uri
    return path.read_text("utf-8") if path.is_file() else ""


def stale(questions: list[Question]) -> list[str]:
    return [
        f"{q['id']} {q['source']}: {q['quote']}"
        for q in questions
        if plain(q["quote"]) not in plain(source_text(q["source"]))
    ]


def longest_shared_run(question: str, quote: str) -> int:
    words, source = (re.findall(r"\w+", text.lower()) for text in (question, quote))
    runs = {tuple(source[i:j]) for i in range(len(source)) for j in range(i + 1, len(source) + 1)}
    return max(
        (j - i for i in range(len(words)) for j in range(i + 1, len(words) + 1)
         if tuple(words[i:j]) in runs),
        default=0,
    )  # fmt: skip


def test_every_line_has_exactly_the_fields_of_a_question() -> None:
    for question in QUESTIONS:
        assert set(question) == set(Question.__annotations__)
        assert isinstance(question["answerable"], bool)
        texts = [question[key] for key in question if key != "answerable"]  # type: ignore[literal-required]
        assert all(isinstance(text, str) for text in texts)
        assert question["split"] in ("dev", "test")
        assert question["question"].strip()
        assert question["topic"].strip()


def test_ids_are_unique_and_name_their_corpus() -> None:
    ids = [question["id"] for question in QUESTIONS]
    assert all(ID.fullmatch(one) for one in ids)
    assert [one for one, count in Counter(ids).items() if count > 1] == []


def test_no_question_is_asked_twice() -> None:
    counts = Counter(plain(question["question"]).lower() for question in QUESTIONS)
    assert [text for text, count in counts.items() if count > 1] == []


def test_there_are_at_least_150_and_a_fifth_cannot_be_answered() -> None:
    assert len(QUESTIONS) >= 150
    unanswerable = len(QUESTIONS) - len(ANSWERABLE)
    assert unanswerable / len(QUESTIONS) >= 0.2


def test_both_parts_of_the_corpus_are_asked_about() -> None:
    parts = Counter(question["source"].split(":")[0].split("/")[0] for question in ANSWERABLE)
    assert set(parts) == {"python", "docs"}
    assert min(parts.values()) >= 50


def test_an_unanswerable_question_names_no_passage() -> None:
    for question in QUESTIONS:
        if not question["answerable"]:
            assert (question["source"], question["quote"], question["answer"]) == ("", "", "")


def test_the_splits_hold_two_and_three_fifths_of_every_kind() -> None:
    kinds: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
    for question in QUESTIONS:
        kinds[question["topic"], question["answerable"]].append(question["split"])
    for splits in kinds.values():
        assert abs(splits.count("dev") - 0.4 * len(splits)) <= 1
    share = sum(question["split"] == "dev" for question in QUESTIONS) / len(QUESTIONS)
    assert share == pytest.approx(0.4, abs=0.03)


def test_every_quote_from_the_handbook_stands_there_word_for_word() -> None:
    assert stale([q for q in ANSWERABLE if q["source"].startswith("docs/")]) == []


def test_quotes_from_python_stand_in_the_topics_of_this_interpreter() -> None:
    python = [q for q in ANSWERABLE if q["source"].startswith("python:")]
    lost = stale(python)
    assert len(lost) <= REWORDED_BY_PYTHON * len(python), lost


def test_every_guide_is_asked_about() -> None:
    guides = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")}
    assert guides - {question["source"] for question in ANSWERABLE} == set()


def test_an_answer_is_a_span_of_its_quote() -> None:
    for question in ANSWERABLE:
        assert plain(question["quote"])
        assert plain(question["answer"]) in plain(question["quote"])
    with_span = sum(bool(question["answer"]) for question in ANSWERABLE)
    assert with_span / len(ANSWERABLE) >= 0.9


def test_questions_are_worded_afresh() -> None:
    copied = [
        question["id"]
        for question in ANSWERABLE
        if longest_shared_run(question["question"], question["quote"]) > LONGEST_COPIED_RUN
    ]
    assert copied == []
