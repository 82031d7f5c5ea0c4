"""What every generator promises, and what the extractive one makes of real text."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answers import ABSTENTION, CitationReader, is_abstention
from rag.config import GenerationConfig
from rag.evidence import MOST_SENTENCES, Evidence, Sentence, weigh
from rag.generators import Generator, generate, load_generator
from rag.generators.extractive import ExtractiveGenerator, choose
from rag.readable import units
from rag.types import Answer, Chunk, Passage
from tests import corpus
from tests.texts import LINES

ASKED = {
    "Why are there no locks in the Suez Canal?": "canal.md",
    "Who discovered that bees dance to tell where food is?": "bees.md",
    "Which command restores a backup?": "backup.md",
    "At what temperature should green tea be brewed?": "tea.rst",
}
OFF_TOPIC = "Which goalkeeper won the football world cup with Brazil?"


class GeneratorContract:
    """Inherit and give a fixture ``generator`` that answers what the corpus answers."""

    @pytest.mark.parametrize(("question", "source"), ASKED.items())
    def test_answers_with_citations_of_what_it_was_given(
        self, generator: Generator, question: str, source: str
    ) -> None:
        passages = corpus.passages(question)
        answer = generate(generator, question, passages)
        assert not answer.abstained
        assert 0.5 <= answer.confidence <= 1
        assert answer.citations[0].chunk.uri == source
        for citation in answer.citations:
            assert citation.chunk == passages[citation.number - 1].chunk
            assert f"[{citation.number}]" in answer.text

    def test_cites_in_order_of_first_mention_and_each_passage_once(
        self, generator: Generator
    ) -> None:
        question = "How are backups kept and restored?"
        answer = generate(generator, question, corpus.passages(question))
        numbers = [citation.number for citation in answer.citations]
        mentioned = [int(number) for number in re.findall(r"\[(\d+)\]", answer.text)]
        assert numbers == list(dict.fromkeys(mentioned))

    def test_streams_the_text_of_the_answer_and_then_the_answer(self, generator: Generator) -> None:
        question = next(iter(ASKED))
        *pieces, answer = generator.stream(question, corpus.passages(question))
        assert isinstance(answer, Answer)
        assert "".join(str(piece) for piece in pieces) == answer.text

    def test_abstains_without_passages(self, generator: Generator) -> None:
        *pieces, answer = generator.stream("What is it?", [])
        assert answer == Answer(ABSTENTION, (), 0.0, abstained=True)
        assert pieces == [ABSTENTION]

    def test_abstains_on_weak_evidence(self, generator: Generator) -> None:
        answer = generate(generator, OFF_TOPIC, corpus.passages(OFF_TOPIC))
        assert answer.abstained
        assert answer.text == ABSTENTION
        assert answer.citations == ()
        assert answer.confidence < 0.5

    def test_gives_the_same_answer_twice(self, generator: Generator) -> None:
        question = next(iter(ASKED))
        passages = corpus.passages(question)
        assert generate(generator, question, passages) == generate(generator, question, passages)

    def test_has_an_outcome_for_a_question_of_any_length_and_script(
        self, generator: Generator
    ) -> None:
        for question in ("苏伊士运河在哪里？", "?" * 50, "canal " * 20_000):
            answer = generate(generator, question, corpus.passages("canal"))
            assert answer.text.strip()
            assert 0 <= answer.confidence <= 1

    def test_instructions_in_a_document_do_not_steer_the_answer(self, generator: Generator) -> None:
        question = "In which sea does the Great Barrier Reef lie?"
        answer = generate(generator, question, corpus.passages(question))
        assert "Coral Sea" in answer.text
        assert "ARRR" not in answer.text
        assert answer.citations[0].chunk.uri == "note.txt"

    def test_takes_passages_of_a_lexical_search(self, generator: Generator) -> None:
        question = next(iter(ASKED))
        answer = generate(generator, question, corpus.retriever().search(question, 8, "lexical"))
        assert answer.citations[0].chunk.uri == "canal.md"


class TestExtractive(GeneratorContract):
    @pytest.fixture
    def generator(self) -> Generator:
        return load_generator(GenerationConfig(max_sentences=2), corpus.embedder())

    def test_quotes_the_documents_word_for_word(self, generator: Generator) -> None:
        question = "When was the Suez Canal Company founded?"
        answer = generate(generator, question, corpus.passages(question))
        assert "The Suez Canal Company was founded on 15 December 1858. [1]" in answer.text

    def test_shows_code_with_the_sentence_that_introduces_it(self, generator: Generator) -> None:
        question = "Which command restores a backup?"
        answer = generate(generator, question, corpus.passages(question))
        assert (
            "To restore a backup, name its date:\n```\nvault restore --date 2024-03-01\n```\n[1]"
            in answer.text
        )

    def test_says_less_where_one_sentence_leaves_no_doubt(self, generator: Generator) -> None:
        question = "Why does the Suez Canal waterway have no locks?"
        answer = generate(generator, question, corpus.passages(question))
        assert answer.text.count("[1]") == 1

    @pytest.mark.parametrize("most", [1, 2, 3])
    def test_never_says_more_than_it_may(self, most: int) -> None:
        generator = ExtractiveGenerator(corpus.embedder(), most, 0.0)
        for question in [*ASKED, OFF_TOPIC]:
            answer = generate(generator, question, corpus.passages(question))
            assert 1 <= len(re.findall(r"\[\d+\]", answer.text)) <= most

    def test_min_confidence_decides_between_answer_and_abstention(self) -> None:
        question = next(iter(ASKED))
        passages = corpus.passages(question)
        confidence = weigh(question, passages, corpus.embedder()).confidence
        for least, abstains in [(confidence, False), (min(confidence + 1e-9, 1.0), True)]:
            answer = generate(ExtractiveGenerator(corpus.embedder(), 2, least), question, passages)
            assert answer.abstained == abstains
            assert answer.confidence == pytest.approx(confidence)


class TestChoose:
    def test_orders_passages_by_their_best_sentence_and_sentences_as_they_stand(self) -> None:
        sentences = [Sentence("a", 1, 0), Sentence("b", 2, 0), Sentence("c", 2, 1)]
        evidence = Evidence(tuple(sentences), np.array([0.25, 0.3, 0.45]), 1.0)
        assert [one.text for one in choose(evidence, 3)] == ["b", "c", "a"]
        assert [one.text for one in choose(evidence, 1)] == ["c"]

    def test_stops_once_the_answer_is_almost_surely_there(self) -> None:
        sentences = tuple(Sentence(text, 1, n) for n, text in enumerate("abc"))
        assert len(choose(Evidence(sentences, np.array([0.97, 0.02, 0.01]), 1.0), 3)) == 1
        assert len(choose(Evidence(sentences, np.array([0.90, 0.06, 0.04]), 1.0), 3)) == 2
        assert choose(Evidence((), np.zeros(0), 0.0), 3) == []


class TestWeigh:
    def test_shares_sum_to_one_and_favour_the_sentence_that_answers(self) -> None:
        question = "How long does a worker bee live in summer?"
        evidence = weigh(question, corpus.passages(question), corpus.embedder())
        assert evidence.shares.sum() == pytest.approx(1)
        assert "six weeks" in evidence.sentences[int(evidence.shares.argmax())].text

    def test_a_sentence_repeated_by_overlapping_passages_counts_once(self) -> None:
        passages = corpus.passages_from("Bees dance. Bees fly.", "Bees fly. Bees sleep.")
        evidence = weigh("Do bees fly?", passages, corpus.embedder())
        texts = [one.text for one in evidence.sentences]
        assert texts == ["Bees dance.", "Bees fly.", "Bees sleep."]

    def test_work_is_bounded_however_much_text_is_given(self) -> None:
        text = " ".join(f"Sentence {n} is here." for n in range(500))
        evidence = weigh("Which sentence?", corpus.passages_from(text), corpus.embedder())
        assert len(evidence.sentences) == MOST_SENTENCES

    def test_a_single_sentence_can_be_evidence_enough(self) -> None:
        passages = corpus.passages_from("The harbour of Velmora was built in 1712.")
        found = weigh("When was the harbour of Velmora built?", passages, corpus.embedder())
        other = weigh("Who is the king of Spain?", passages, corpus.embedder())
        assert found.confidence > 0.5 > other.confidence


class TestCitationReader:
    def test_drops_what_was_not_given_and_keeps_what_is_code(self) -> None:
        reader = CitationReader(3)
        text = "Yes [1][9]. So [2, 7], not [8]. `rows[3]`, rows[0]."
        assert reader.feed(text) + reader.flush() == "Yes [1]. So [2], not. `rows[3]`, rows[0]."
        assert reader.numbers == [1, 2]

    @given(
        st.lists(st.sampled_from(["[1]", "[", "]", "7", ",", " ", "`", "```", "a", "\n", "[9]"])),
        st.data(),
    )
    def test_reads_the_same_however_the_text_is_cut(
        self, tokens: list[str], data: st.DataObject
    ) -> None:
        text = "".join(tokens)
        whole, cut = CitationReader(3), CitationReader(3)
        expected = whole.feed(text) + whole.flush()
        ends = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
        pieces = [text[a:b] for a, b in pairwise([0, *ends, len(text)])]
        assert "".join(map(cut.feed, pieces)) + cut.flush() == expected
        assert cut.numbers == whole.numbers
        assert set(cut.numbers) <= {1, 2, 3}

    def test_a_backtick_left_open_hides_no_citation_of_the_next_line(self) -> None:
        reader = CitationReader(2)
        reader.feed("an open ` here [1]\nand then [2]")
        reader.flush()
        assert reader.numbers == [2]

    def test_knows_the_sentence_of_abstention_in_other_dress(self) -> None:
        assert is_abstention(f' "{ABSTENTION.lower()}"')
        assert not is_abstention("The documents answer this question.")


def chunk(uri: str, text: str) -> Chunk:
    return Chunk("c", "d", uri, "", (), text, 0, len(text), 1, 1, None, 1)


class TestReadableUnits:
    def test_markdown_loses_its_marks_and_keeps_its_words(self) -> None:
        text = (
            "# Title\n\n> **Bold** and *slanted* [words](http://x.y) in `a_b*c*`, 2 * 3 * 4.\n\n"
            "- [ ] first item\n- second item\n\n1. step one\n"
        )
        assert [one.text for one in units(chunk("a.md", text))] == [
            "Bold and slanted words in `a_b*c*`, 2 * 3 * 4.",
            "first item",
            "second item",
            "step one",
        ]

    def test_restructured_text_loses_its_marks_and_keeps_its_words(self) -> None:
        text = (
            ".. _label:\n\nUse ``open()`` with :class:`~io.TextIOBase` and **care**, see "
            "`the site <http://x.y>`_, and :ref:`this <label>` [#]_.\n"
        )
        assert [one.text for one in units(chunk("a.rst", text))] == [
            "Use `open()` with `io.TextIOBase` and care, see the site, and this."
        ]

    def test_plain_text_is_quoted_exactly_but_for_line_breaks(self) -> None:
        text = "It costs *5*  dollars_a_day,\n  says [1] the list. Yes."
        assert [one.text for one in units(chunk("a.txt", text))] == [
            "It costs *5*  dollars_a_day, says [1] the list.",
            "Yes.",
        ]

    def test_a_table_row_reads_with_the_names_of_its_columns(self) -> None:
        text = "| Key | Meaning |\n|---|---|\n| `k` | how many |\n| `n` | **which** |\n"
        assert [one.text for one in units(chunk("a.md", text))] == [
            "`k` – Meaning: how many",
            "`n` – Meaning: which",
        ]
        grid = "+---+---+\n| A | B |\n+===+===+\n| x | y |\n|   | z |\n+---+---+\n"
        assert [one.text for one in units(chunk("a.rst", grid))] == ["x – B: y z"]

    def test_a_short_list_stays_with_what_introduces_it_and_a_long_one_is_taken_apart(self) -> None:
        short = "There are two:\n\n- one\n- two\n"
        assert [one.text for one in units(chunk("a.md", short))] == ["There are two:\n- one\n- two"]
        long = "There are many:\n\n" + "".join(f"- item {n} of the list\n" for n in range(20))
        found = units(chunk("a.md", long))
        assert found[3].text == "item 3 of the list"
        assert found[3].lead == "There are many:"

    def test_long_code_is_cut(self) -> None:
        code = "".join(f"call_{n}()\n" for n in range(40))
        (unit,) = units(chunk("a.md", f"Do this:\n\n```python\n{code}```\n"))
        assert unit.text.startswith("Do this:\n```\ncall_0()\n")
        assert unit.text.endswith("call_14()\n…\n```")

    @given(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
        | st.lists(st.sampled_from(LINES), max_size=20).map("\n".join),
        st.sampled_from(["a.md", "a.rst", "a.txt", "a.html", "python:a.rst"]),
    )
    def test_any_text_gives_units_of_its_own_words(self, text: str, uri: str) -> None:
        found = units(chunk(uri, text))
        assert bool(found) == bool(text.strip())
        assert all(unit.text.strip() for unit in found)
        letters = set(re.findall(r"[^\W_]", text))
        assert all(set(re.findall(r"[^\W_]", unit.text)) <= letters for unit in found)

    @pytest.mark.parametrize("text", ["# Only a title", "x", "```\n```"])
    def test_a_chunk_with_any_text_has_a_unit(self, text: str) -> None:
        assert units(chunk("a.md", text))


def test_a_passage_without_words_is_no_evidence() -> None:
    blank = Passage(chunk("a.txt", " \n"), 1.0, 0.5, 1)
    assert weigh("anything?", [blank], corpus.embedder()).confidence == 0.0
