"""The terms of a text, and both BM25 engines against their contract and each other."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import BundleError
from rag.lexical import Lexical, build_lexical, load_lexical, save_lexical
from rag.lexical.bm25s import BM25S
from rag.lexical.rank_bm25 import RankBM25
from rag.lexical.tokenize import query_terms, tokenize
from tests.contracts import TEXTS, LexicalContract, bytes_of


class TestRankBM25(LexicalContract):
    @pytest.fixture
    def build(self) -> Callable[[Sequence[str]], Lexical]:
        return partial(build_lexical, engine="rank-bm25")

    @pytest.fixture
    def load(self) -> Callable[[Path], Lexical]:
        return RankBM25.load


class TestBM25S(LexicalContract):
    @pytest.fixture
    def build(self) -> Callable[[Sequence[str]], Lexical]:
        return partial(build_lexical, engine="bm25s")

    @pytest.fixture
    def load(self) -> Callable[[Path], Lexical]:
        return BM25S.load


words = st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon", "zeta"])
texts = st.lists(st.lists(words, max_size=12).map(" ".join), min_size=1, max_size=12)


@settings(max_examples=50, deadline=None)
@given(
    texts=texts,
    question=st.lists(words, min_size=1, max_size=8).map(" ".join),
    k1=st.floats(0.1, 3),
    b=st.floats(0, 1),
)
def test_both_engines_give_the_same_scores(
    texts: list[str], question: str, k1: float, b: float
) -> None:
    one = build_lexical(texts, k1=k1, b=b, engine="rank-bm25").scores(question)
    other = build_lexical(texts, k1=k1, b=b, engine="bm25s").scores(question)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_scores_are_those_of_the_formula() -> None:
    scores = build_lexical(["alpha alpha beta", "beta"], k1=1.2, b=0.75).scores("alpha")
    idf, tf, length, mean = np.log(1 + (2 - 1 + 0.5) / (1 + 0.5)), 2, 3, 2
    expected = idf * tf / (tf + 1.2 * (1 - 0.75 + 0.75 * length / mean))
    assert scores.tolist() == pytest.approx([expected, 0])


def test_the_engine_follows_the_size_unless_it_is_named() -> None:
    many = ["text"] * 2001
    assert build_lexical(many).engine == "bm25s"
    assert build_lexical(many[:2000]).engine == "rank-bm25"
    assert build_lexical(TEXTS, engine="bm25s").engine == "bm25s"


def test_compiling_changes_no_score() -> None:
    index = build_lexical(TEXTS * 20, engine="bm25s")
    before = [index.scores(text) for text in TEXTS]
    index.warm_up()
    np.testing.assert_array_equal(before, [index.scores(text) for text in TEXTS])


@pytest.mark.parametrize("engine", ["rank-bm25", "bm25s"])
class TestSaved:
    def test_comes_back_by_its_own_engine(self, engine: str, tmp_path: Path) -> None:
        save_lexical(build_lexical(TEXTS, engine=engine), tmp_path)  # type: ignore[arg-type]
        loaded = load_lexical(tmp_path)
        assert loaded.engine == engine
        assert loaded.scores("gate").argmax() == 5

    def test_has_the_same_bytes_from_every_process(self, engine: str, tmp_path: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from tests.contracts import TEXTS\n"
            "from rag.lexical import build_lexical, save_lexical\n"
            f"save_lexical(build_lexical(TEXTS, engine={engine!r}), Path(sys.argv[1]))"
        )
        for seed in ("1", "2"):
            environment = {"PYTHONHASHSEED": seed, "PATH": ""}
            command = [sys.executable, "-c", code, str(tmp_path / seed)]
            subprocess.run(command, check=True, env=environment)
        assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "2") != {}

    def test_is_refused_where_a_file_is_missing_or_damaged(
        self, engine: str, tmp_path: Path
    ) -> None:
        save_lexical(build_lexical(TEXTS, engine=engine), tmp_path)  # type: ignore[arg-type]
        for name, content in bytes_of(tmp_path).items():
            path = tmp_path / name
            path.unlink()
            with pytest.raises(BundleError, match="BM25"):
                load_lexical(tmp_path)
            path.write_bytes(content[: len(content) // 2])
            with pytest.raises(BundleError, match="BM25"):
                load_lexical(tmp_path)
            path.write_bytes(content)
        assert load_lexical(tmp_path).scores("gate").any()

    def test_is_refused_where_other_rules_cut_its_words(self, engine: str, tmp_path: Path) -> None:
        save_lexical(build_lexical(TEXTS, engine=engine), tmp_path)  # type: ignore[arg-type]
        path = tmp_path / "lexical.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer": "older"}))
        with pytest.raises(BundleError, match="'older'"):
            load_lexical(tmp_path)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Running models", ["run", "model"]),
        ("LinearModel", ["linearmodel", "linear", "model"]),
        ("linear_model", ["linearmodel", "linear", "model"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("np.asArray", ["npasarray", "np", "asarray", "array"]),
        ("__init__", ["init"]),
        ("utf8", ["utf8", "utf"]),
        ("x_train", ["xtrain", "train"]),
        ("version 3.11.2", ["version", "3.11.2", "11"]),
        ("APIs and RNAs", ["api", "rna"]),
        ("Alzheimer's isn't", ["alzheim"]),
        ("Café Müller", ["cafe", "muller"]),
        ("straße ＡＢＣ ﬁne", ["strass", "abc", "fine"]),
        ("機械学習はPythonで", ["機械", "械学", "学習", "習は", "python", "で"]),
        ("한국어 문서", ["한국", "국어", "문서"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("Привет, мир!", ["привет", "мир"]),
        ("the of and", []),
        ("— _ ... !", []),
    ],
)
def test_text_is_cut_into_terms(text: str, terms: list[str]) -> None:
    assert tokenize(text) == terms


@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=200))
def test_terms_of_two_texts_are_those_of_each(one: str, other: str) -> None:
    together = tokenize(f"{one} \n {other}", keep_stopwords=True)
    apart = tokenize(one, keep_stopwords=True) + tokenize(other, keep_stopwords=True)
    assert together == apart


@settings(deadline=None)
@given(st.text(max_size=300))
def test_terms_are_short_words_without_space_and_stopwords_only_go(text: str) -> None:
    terms = tokenize(text, keep_stopwords=True)
    assert all(term and not any(char.isspace() for char in term) for term in terms)
    assert all(len(term) <= 4000 for term in terms)
    assert set(tokenize(text)) <= set(terms)


@settings(deadline=None)
@given(st.from_regex(r"[a-z]{2,8}(_[a-z]{2,8}){1,3}", fullmatch=True))
def test_every_spelling_of_an_identifier_has_the_same_joined_term(name: str) -> None:
    camel = "".join(part.capitalize() for part in name.split("_"))
    assert tokenize(name, keep_stopwords=True)[0] == tokenize(camel, keep_stopwords=True)[0]


@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("What does a gate do?", ["gate"]),
        ("What does `with` do?", ["with"]),
        ("what is it", ["what", "is", "it"]),
        ("", []),
    ],
)
def test_stopwords_of_a_question_go_unless_they_are_what_is_asked(
    question: str, terms: list[str]
) -> None:
    assert query_terms(question) == terms
