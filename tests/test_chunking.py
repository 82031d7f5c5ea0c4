"""Chunks: the laws of offsets, coverage, size, lines and ids; and that they read well."""

import random
import tracemalloc
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from lifecycle.errors import ConfigError
from rag.chunking import CountsTokens, chunk
from rag.sources import python_topics
from rag.tokens import PACKAGED, TokenCounter
from rag.types import Block, Chunk, Document
from tests.texts import LINES, documents_text, parsed


@cache
def minilm() -> TokenCounter:
    return TokenCounter.load(PACKAGED)


@cache
def byte_level() -> TokenCounter:
    """Counts white space, and a text's tokens are not those of its parts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(LINES, trainer)
    return TokenCounter(tokenizer)


def chunks_of(document: Document, max_tokens: int = 240, overlap: int = 1) -> list[Chunk]:
    return chunk(document, minilm(), max_tokens, overlap)


def covered(document: Document, chunks: list[Chunk]) -> bool:
    """Whether every character that is not white space is in a chunk."""
    seen = bytearray(len(document.text))
    for one in chunks:
        seen[one.start : one.end] = b"\x01" * (one.end - one.start)
    return all(flag or char.isspace() for flag, char in zip(seen, document.text, strict=True))


# Laws

sizes = st.sampled_from([32, 33, 48, 64, 100, 240, 512])
suffixes = st.sampled_from([".md", ".txt", ".rst", ".html"])


@settings(deadline=None)
@given(documents_text(), suffixes, sizes, st.integers(0, 3), st.booleans(), st.booleans())
def test_laws(
    text: str, suffix: str, max_tokens: int, overlap: int, heading_trail: bool, plain: bool
) -> None:
    if not text.strip(" \t\n") or (suffix == ".html" and "word" not in text):
        return
    document = parsed(f"a{suffix}", text)
    counter: CountsTokens = minilm() if plain else byte_level()
    chunks = chunk(document, counter, max_tokens, overlap, heading_trail)
    assert covered(document, chunks)
    assert len({one.chunk_id for one in chunks}) == len(chunks)
    assert [one.start for one in chunks] == sorted(one.start for one in chunks)
    exact = counter.count([one.embedded_text for one in chunks])
    for one, tokens in zip(chunks, exact, strict=True):
        assert one.text == document.text[one.start : one.end]
        assert one.text.strip()
        assert one.text == one.text.rstrip()
        assert one.tokens == tokens + counter.special <= max_tokens
        assert heading_trail or one.trail == ()
        assert (one.doc_id, one.uri, one.title) == (document.doc_id, document.uri, document.title)
        if suffix != ".html":
            assert one.line_start == 1 + document.text.count("\n", 0, one.start)
            assert one.line_end == 1 + document.text.count("\n", 0, one.end - 1)
    assert chunk(document, counter, max_tokens, overlap, heading_trail) == chunks


@settings(deadline=None)
@given(documents_text(), sizes)
def test_trail_is_a_path_of_the_documents_headings(text: str, max_tokens: int) -> None:
    if not text.strip():
        return
    document = parsed("a.md", text)
    titles = {block.title for block in document.blocks if block.kind == "heading"}
    for one in chunks_of(document, max_tokens):
        assert all(title in titles or title.endswith("…") for title in one.trail)


@settings(deadline=None)
@given(documents_text(), sizes)
def test_without_overlap_no_character_is_in_two_chunks(text: str, max_tokens: int) -> None:
    if not text.strip():
        return
    chunks = chunks_of(parsed("a.md", text), max_tokens, overlap=0)
    assert all(a.end <= b.start for a, b in pairwise(chunks))


SECTIONS = st.lists(
    st.lists(st.sampled_from([line for line in LINES if line[:1].isalpha()]), min_size=1),
    min_size=2,
    max_size=6,
)


@settings(deadline=None)
@given(SECTIONS, st.data())
def test_editing_a_section_leaves_the_ids_of_the_others(
    sections: list[list[str]], data: st.DataObject
) -> None:
    def document(parts: list[list[str]]) -> Document:
        bodies = [
            "\n\n".join(f"{line} {n}.{number}" for number, line in enumerate(part))
            for n, part in enumerate(parts)
        ]
        return parsed("a.md", "\n\n".join(f"# S{n}\n\n{body}" for n, body in enumerate(bodies)))

    place = data.draw(st.integers(0, len(sections) - 1))
    edited = [[*part, "A new sentence."] if n == place else part for n, part in enumerate(sections)]

    def ids(parts: list[list[str]]) -> list[str]:
        found = chunks_of(document(parts))
        return [one.chunk_id for one in found if f"S{place}" not in one.trail]

    assert ids(edited) == ids(sections)


def test_same_text_twice_in_a_document_has_two_ids() -> None:
    chunks = chunks_of(parsed("a.md", "# A\n\nSame words.\n\n# A\n\nSame words.\n"))
    assert chunks[0].text == chunks[1].text
    assert chunks[0].chunk_id != chunks[1].chunk_id


def test_ids_differ_between_documents_and_are_sixteen_hex_digits() -> None:
    one, other = (chunks_of(parsed(uri, "Same words."))[0].chunk_id for uri in ("a.md", "b.md"))
    assert one != other
    assert int(one, 16) >= 0
    assert len(one) == 16


# Structure

SENTENCE = "The champion is the model that answers, and a challenger must beat it first. "


def test_chunk_ends_with_its_section() -> None:
    text = f"# Guide\n\n{SENTENCE * 4}\n\n## One\n\n{SENTENCE * 4}\n\n## Two\n\n{SENTENCE * 4}\n"
    chunks = chunks_of(parsed("a.md", text))
    assert [one.trail for one in chunks] == [("Guide",), ("Guide", "One"), ("Guide", "Two")]
    assert [one.text.split("\n")[0] for one in chunks] == ["# Guide", "## One", "## Two"]


def test_short_opening_is_read_with_the_first_subsection() -> None:
    text = f"# Guide\n\nShort.\n\n## One\n\n{SENTENCE * 4}\n\n## Two\n\nEnd.\n"
    chunks = chunks_of(parsed("a.md", text))
    assert [one.trail for one in chunks] == [("Guide", "One"), ("Guide", "Two")]
    assert chunks[0].text.startswith("# Guide\n\nShort.\n\n## One")


def test_short_sections_side_by_side_stay_apart() -> None:
    chunks = chunks_of(parsed("a.md", "## A\n\nOne.\n\n## B\n\nTwo.\n\n# C\n\nThree.\n"))
    assert [one.trail for one in chunks] == [("A",), ("B",), ("C",)]


def test_headings_without_text_are_kept() -> None:
    chunks = chunks_of(parsed("a.md", "# A\n\n## B\n\n### C\n"))
    assert [(one.trail, one.text) for one in chunks] == [(("A", "B", "C"), "# A\n\n## B\n\n### C")]


def test_code_that_fits_stays_whole_and_with_its_introduction() -> None:
    code = "```python\n" + "\n\n".join(f"x{n} = call(argument, {n})" for n in range(12)) + "\n```"
    text = f"# T\n\n{SENTENCE * 9}\n\nTo roll back, run this:\n\n{code}\n\n{SENTENCE * 5}\n"
    chunks = chunks_of(parsed("a.md", text))
    (holder,) = [one for one in chunks if "```python" in one.text]
    assert code in holder.text
    assert "To roll back, run this:" in holder.text


def test_code_that_is_too_long_is_cut_at_blank_lines() -> None:
    functions = [f"def f{n}(x):\n    y = x + {n}\n    return y" for n in range(40)]
    text = "```python\n" + "\n\n".join(functions) + "\n```\n"
    chunks = chunks_of(parsed("a.md", text))
    assert len(chunks) > 2
    for one in chunks[1:]:
        assert one.text.startswith("def f")
    for one in chunks[:-1]:
        assert one.text.endswith("return y")


def test_code_keeps_the_indentation_of_its_first_line() -> None:
    chunks = chunks_of(parsed("a.rst", f"T\n===\n\n{SENTENCE * 12}\n\n    x = 1\n    y = 2\n"))
    assert any("\n    x = 1" in f"\n{one.text}" for one in chunks)


def test_table_is_cut_between_rows() -> None:
    rows = "\n".join(f"| model {n} | a longer description of it | {n} |" for n in range(60))
    chunks = chunks_of(parsed("a.md", f"| a | b | c |\n|---|---|---|\n{rows}\n"))
    assert len(chunks) > 2
    assert all(one.text.startswith("|") and one.text.endswith("|") for one in chunks)


def test_long_section_is_cut_between_paragraphs_into_even_parts() -> None:
    text = "# T\n\n" + "\n\n".join([SENTENCE * 3] * 8)
    chunks = chunks_of(parsed("a.md", text), overlap=0)
    assert len({one.text.count("challenger") for one in chunks}) <= 2
    assert min(one.tokens for one in chunks) > 90


def test_chunk_repeats_the_last_sentence_of_the_one_before() -> None:
    text = "# T\n\n" + " ".join(f"Sentence number {n} says something about it." for n in range(60))
    one, two, *_ = chunks_of(parsed("a.md", text))
    last = one.text.rsplit(". ", 1)[1]
    assert two.text.startswith(last)
    assert two.start < one.end


def test_overlap_does_not_reach_into_another_section() -> None:
    text = f"# A\n\n{SENTENCE * 6}\n\n# B\n\n{SENTENCE * 6}\n"
    assert [one.text.split("\n")[0] for one in chunks_of(parsed("a.md", text))] == ["# A", "# B"]


def test_trail_that_is_too_long_keeps_the_innermost_heading() -> None:
    deep = "\n\n".join(
        f"{'#' * n} Heading of level {n} {'with more words ' * 6}" for n in range(1, 7)
    )
    chunks = chunks_of(parsed("a.md", f"{deep}\n\n{SENTENCE * 4}"), 64)
    assert chunks[-1].trail
    assert chunks[-1].trail[-1].startswith("Heading of level 6")
    assert all(one.tokens <= 64 for one in chunks)


def test_resumed_section_has_its_own_trail() -> None:
    term = "str.find(sub)\n\n   " + "Returns the lowest index at which it stands. " * 8
    text = f"T\n===\n\n{SENTENCE * 6}\n\n{term}\n\nAfter it, {SENTENCE * 6}\n"
    trails = [one.trail for one in chunks_of(parsed("a.rst", text))]
    assert trails == [("T",), ("T", "str.find(sub)"), ("T",)]


def test_pages_are_those_of_the_start() -> None:
    text = f"{SENTENCE * 8}\n\n{SENTENCE * 8}"
    half = len(SENTENCE) * 8
    blocks = (Block("text", 0, half, 1, page=1), Block("text", half + 2, len(text), 3, page=2))
    document = Document("d", "a.pdf", "a", text, "application/pdf", blocks)
    assert [one.page for one in chunks_of(document, overlap=0)] == [1, 2]


def test_document_without_blocks_has_no_chunks() -> None:
    assert chunks_of(replace(parsed("a.md", "x"), text="", blocks=())) == []


def test_limit_too_small_to_hold_a_sentence_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"chunking\.max_tokens is 8; it must be at least 32"):
        chunks_of(parsed("a.md", "x"), 8)


def test_every_python_topic_is_chunked_by_its_laws() -> None:
    for raw in python_topics():
        document = parsed(raw.uri, (raw.data or b"").decode())
        chunks = chunks_of(document)
        assert covered(document, chunks)
        assert chunks[0].title == document.text.split("\n")[0]
        assert all(one.trail[0] == chunks[0].trail[0] for one in chunks)
        assert all(one.tokens <= 240 for one in chunks)


# Scripts and sizes


@pytest.mark.parametrize(
    ("sentence", "end"),
    [
        ("今天天气很好，我们去公园散步，然后回家吃饭。", "。"),
        ("这是真的吗？", "？"),
        ("मैं आज सुबह बाज़ार जा रहा हूँ और शाम को लौटूँगा। ", "।"),
        ("ذهبت إلى السوق هذا الصباح واشتريت الخبز والحليب. ", "."),
        ("هل تعرف أين تقع المكتبة العامة في هذه المدينة؟ ", "؟"),
        ("Сегодня утром я пошёл на рынок и купил хлеб и молоко. ", "."),
        ("오늘 아침에 나는 시장에 가서 빵과 우유를 샀습니다. ", "."),
    ],
)
def test_other_scripts_are_cut_between_sentences(sentence: str, end: str) -> None:
    document = parsed("a.txt", sentence * 60)
    chunks = chunks_of(document)
    assert len(chunks) > 1
    assert covered(document, chunks)
    assert all(one.text.endswith(end) and one.tokens <= 240 for one in chunks)
    assert sum(one.tokens for one in chunks) / len(chunks) > 120


@pytest.mark.parametrize(
    "text",
    [
        "x" * 300_000,
        "漢" * 100_000,
        "ก" * 100_000,
        "-" * 300_000,
        "." * 300_000,
        "a " * 150_000,
        "a\n" * 100_000,
        "a. " * 100_000,
        "a\n\n" * 100_000,
        "a" + " " * 300_000 + "b",
        "a\n" + " " * 300_000 + "b",
        '"' * 300_000,
        "e\u0301" * 50_000,
        "👩\u200d👩\u200d👧" * 30_000,
    ],
    ids=lambda text: repr(text[:6]),
)
def test_degenerate_texts_are_cut_within_bounds(text: str) -> None:
    document = parsed("a.txt", text)
    chunks = chunks_of(document)
    assert covered(document, chunks)
    assert all(one.tokens <= 240 and len(one.text) <= 16 * 240 for one in chunks)


def words(count: int) -> str:
    r = random.Random(0)
    known = ["".join(r.choices("etaoinshrdlu", k=r.randint(2, 9))) for _ in range(5000)]
    return " ".join(r.choices(known, k=count))


def test_memory_is_a_small_multiple_of_the_text() -> None:
    text = words(100_000)
    document = parsed("a.txt", text)
    minilm().count([text])
    tracemalloc.start()
    try:
        chunks = chunks_of(document)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert covered(document, chunks)
    assert peak < 12 * len(text)


@pytest.mark.slow
def test_fifty_megabytes_on_one_line_are_cut_within_a_minute() -> None:
    import time

    document = parsed("a.txt", words(8_000_000)[:50_000_000])
    before = time.process_time()
    chunks = chunks_of(document)
    assert time.process_time() - before < 60
    assert all(one.tokens <= 240 for one in chunks)
    assert chunks[-1].end == len(document.text)
    assert chunks[-1].line_end == 1
