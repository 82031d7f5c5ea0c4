"""Sentence boundaries in prose, lists and scripts."""

import pytest
from hypothesis import given, settings

from rag.sentences import Break, breaks, sentence_spans
from tests.texts import documents_text


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        (
            "It is e.g. Python, i.e. Dr. No at St. Ives.",
            ["It is e.g. Python, i.e. Dr. No at St. Ives."],
        ),
        ("See Fig. 3 and No. 5. Next.", ["See Fig. 3 and No. 5.", "Next."]),
        ("J. R. Smith wrote it. He left.", ["J. R. Smith wrote it.", "He left."]),
        ("Python 3.11 is out. Use v. 2 now.", ["Python 3.11 is out.", "Use v. 2 now."]),
        ("He said “Yes!” Then (why?) he left.", ["He said “Yes!”", "Then (why?) he left."]),
        ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
        ("As shown. [1] Then.", ["As shown. [1]", "Then."]),
        ("a.b.c() works. B too.", ["a.b.c() works.", "B too."]),
        ("Wrapped line\nthat goes on. Next\none.", ["Wrapped line\nthat goes on.", "Next\none."]),
        ("今天很好。我们去吧！“好。”他说。", ["今天很好。", "我们去吧！", "“好。”", "他说。"]),
        ("मैं जा रहा हूँ। तुम कहाँ हो?", ["मैं जा रहा हूँ।", "तुम कहाँ हो?"]),
        ("كيف حالك؟ أنا بخير۔ نعم", ["كيف حالك؟", "أنا بخير۔", "نعم"]),
        ("Intro:\n\n- one\n- two. More\n", ["Intro:", "- one", "- two.", "More"]),
        ("1. First\n2. Second\n   line", ["1. First", "2. Second\n   line"]),
        (":param x: one\n:param y: two", [":param x: one", ":param y: two"]),
        (" \n\t ", []),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_breaks_tell_paragraphs_items_and_sentences_apart() -> None:
    text = "One. Two:\n\n- a\n- bee. C"
    assert [(text[start:][:1], kind) for _, start, kind in breaks(text, 0, len(text))] == [
        ("T", Break.SENTENCE),
        ("-", Break.PARAGRAPH),
        ("-", Break.ITEM),
        ("C", Break.SENTENCE),
    ]


@settings(deadline=None)
@given(documents_text())
def test_sentences_hold_all_that_is_not_blank_in_order(text: str) -> None:
    end = 0
    for start, stop in sentence_spans(text):
        assert not text[end:start].strip()
        assert text[start:stop] == text[start:stop].strip() != ""
        end = stop
    assert not text[end:].strip()


@pytest.mark.parametrize("piece", [".", "\n", " ", ". ", "a", '."', "。", "\n" + " " * 500, ".\n"])
def test_time_grows_with_length_whatever_the_text(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    assert sum(1 for _ in breaks(text, 0, len(text))) <= len(text)


def test_inline_code_is_not_cut() -> None:
    text = 'Try `run.py ask "..." --version 4` for that. `models` lists it. Done.'
    assert [text[a:b] for a, b in sentence_spans(text)] == [
        'Try `run.py ask "..." --version 4` for that.',
        "`models` lists it.",
        "Done.",
    ]
