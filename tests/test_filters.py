"""Which chunks a filter lets through, what it says of a wrong word, and what a search finds."""

import subprocess
import sys
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import UsageError
from rag.config import RetrievalConfig
from rag.filters import Filters, Wanted, checked, described, parsed
from rag.retriever import Retriever
from rag.tables import chunks_table
from rag.types import Chunk
from tests.contracts import TEXTS, WordEmbedder, ids, index_of

PLACES = [
    ("docs/gates.md", "Gates", (), None),
    ("docs/a/deep/note.MD", "Gates and rules", ("Rules", "What a rule says"), None),
    ("package:scikit-learn/sklearn/base.py", "base", ("BaseEstimator", "Notes"), None),
    ("book.pdf", "A Book", ("Preface",), 3),
    ("book.pdf", "A Book", ("Rules of [thumb]",), 7),
    ("README", "README", ("Rules",), None),
]


def chunk(number: int, uri: str, title: str, trail: tuple[str, ...], page: int | None) -> Chunk:
    return Chunk(f"c{number}", "d", uri, title, trail, "text", 0, 4, 1, 1, page, 1)


@cache
def filters() -> Filters:
    return Filters(chunks_table([chunk(n, *place) for n, place in enumerate(PLACES)]))


def rows(wanted: Wanted) -> list[int]:
    return np.flatnonzero(filters().mask(wanted)).tolist()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"uri": "docs/*"}, [0, 1]),
        ({"uri": "docs/*.md"}, [0]),
        ({"uri": "docs/gates.md"}, [0]),
        ({"uri": "docs"}, []),
        ({"uri": "package:scikit-learn/*"}, [2]),
        ({"uri": ["docs/g*", "book.pd?"]}, [0, 3, 4]),
        ({"title": "gates"}, [0, 1]),
        ({"title": "GATE?"}, [0]),
        ({"heading": "rule"}, [1, 4, 5]),
        ({"heading": "rules"}, [1, 4, 5]),
        ({"heading": "rule?"}, [1, 5]),
        ({"heading": "*[[]thumb]"}, [4]),
        ({"heading": "notes"}, [2]),
        ({"suffix": "md"}, [0, 1]),
        ({"suffix": ".PDF"}, [3, 4]),
        ({"suffix": ["py", "pdf"]}, [2, 3, 4]),
        ({"page": 3}, [3]),
        ({"page": "3-7"}, [3, 4]),
        ({"page": ["1", "6-9"]}, [4]),
        ({"uri": "book.pdf", "page": "3", "heading": "preface"}, [3]),
        ({"uri": "book.pdf", "heading": "notes"}, []),
    ],
)
def test_the_rows_that_fit(wanted: Wanted, expected: list[int]) -> None:
    assert rows(wanted) == expected


def test_a_table_without_rows_or_in_pieces_is_filtered_as_any() -> None:
    import pyarrow as pa

    table = chunks_table([chunk(n, *place) for n, place in enumerate(PLACES)])
    pieces = Filters(pa.concat_tables([table.slice(2), table.slice(0, 2)]))
    for wanted in ({"uri": "docs/*"}, {"heading": "rule"}, {"page": "3-7"}, {"title": "gates"}):
        assert Filters(table.slice(0, 0)).mask(wanted).tolist() == []
        assert pieces.mask(wanted).tolist() == np.roll(filters().mask(wanted), -2).tolist()


@given(
    uris=st.lists(st.text("ab/.[]*", max_size=5), max_size=12),
    patterns=st.lists(st.text("ab/.*?[]!", min_size=1, max_size=5), min_size=1, max_size=3),
)
def test_several_values_are_alternatives_and_several_fields_conditions(
    uris: list[str], patterns: list[str]
) -> None:
    table = chunks_table([chunk(n, uri, uri, (), n) for n, uri in enumerate(uris)])
    fits = [any(fnmatchcase(uri, one) for one in patterns) for uri in uris]
    mask = Filters(table).mask({"uri": patterns})
    assert mask.tolist() == fits
    both = Filters(table).mask({"uri": patterns, "page": "0-4"})
    assert both.tolist() == [fit and n < 5 for n, fit in enumerate(fits)]


def test_words_of_the_command_line_make_a_filter() -> None:
    words = ["uri=docs/*", "page=3-7", "uri=a=b"]
    assert parsed(words) == {"uri": ("docs/*", "a=b"), "page": ("3-7",)}
    assert described(parsed(words)) == "uri=docs/* or a=b, page=3-7"
    assert parsed([]) == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["docs/*"], "'docs/*' is no field=value"),
        (["headng=x"], "no field 'headng' to filter by. Did you mean 'heading'?"),
        (["=x"], "Known: heading, page, suffix, title, uri"),
        (["uri="], "uri='' is no text"),
        (["page=three"], "page='three' is no page"),
        (["page=7-3"], "page='7-3' is no page"),
        (["page=-1"], "page='-1' is no page"),
    ],
)
def test_a_word_that_is_no_filter_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parsed(words)
    assert message in str(error.value)


@pytest.mark.parametrize("values", [None, [], {}, 1.5, [None], [["docs"]]])
def test_a_mapping_of_something_else_is_refused(values: object) -> None:
    with pytest.raises(UsageError, match="filter"):
        checked({"uri": values})  # type: ignore[dict-item]


@pytest.fixture(params=["zscore", "rrf"])
def retriever(request: pytest.FixtureRequest) -> Retriever:
    config = RetrievalConfig(fusion=request.param)
    return Retriever(index_of(TEXTS, WordEmbedder(), config), WordEmbedder(), config)


class TestSearch:
    def test_only_what_fits_is_found_in_the_same_order(self, retriever: Retriever) -> None:
        kept = {"docs/0.md", "docs/3.md", "docs/5.md"}
        for mode in ("hybrid", "lexical", "dense"):
            every = retriever.search("roll back a model", 6, mode)
            found = retriever.search("roll back a model", 6, mode, {"uri": sorted(kept)})
            assert ids(found) == [p.chunk.chunk_id for p in every if p.chunk.uri in kept]
            assert [passage.rank for passage in found] == [*range(1, len(found) + 1)]

    def test_k_counts_what_is_left(self, retriever: Retriever) -> None:
        wanted = {"uri": ["docs/2.md", "docs/4.md"]}
        assert len(retriever.search("model", 1, filters=wanted)) == 1
        assert len(retriever.search("model", 6, filters=wanted)) == 2

    def test_nothing_that_fits_finds_nothing(self, retriever: Retriever) -> None:
        assert retriever.search("model", filters={"uri": "dosc/*"}) == []

    def test_a_wrong_field_is_refused(self, retriever: Retriever) -> None:
        with pytest.raises(UsageError, match="'uri'"):
            retriever.search("model", filters={"url": "docs/*"})


def test_scores_mean_the_same_with_a_filter() -> None:
    retriever = Retriever(index_of(TEXTS, WordEmbedder()), WordEmbedder(), RetrievalConfig())
    every = {p.chunk.uri: p for p in retriever.search("roll back a model", 6)}
    (found,) = retriever.search("roll back a model", filters={"uri": "docs/3.md"})
    assert found.chunk == every["docs/3.md"].chunk
    assert found.score == pytest.approx(every["docs/3.md"].score, abs=1e-5)


def test_a_filter_imports_no_pandas(tmp_path: Path) -> None:
    index_of(TEXTS, WordEmbedder()).save(tmp_path)
    code = (
        "import sys; from pathlib import Path; from rag.index import RagIndex\n"
        "filters = RagIndex.load(Path(sys.argv[1])).filters\n"
        "wanted = {'uri': 'docs/*', 'suffix': 'md', 'title': 'title'}\n"
        "assert filters.mask(wanted).all() and not filters.mask({'heading': 'x'}).any()\n"
        "assert not filters.mask({'page': '1'}).any()\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
