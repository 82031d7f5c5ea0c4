"""Word, CSV, JSON Lines, notebooks, Python source, and the documentation of installed packages."""

import ast
import csv
import io
import json
import random
import re
from pathlib import Path

import pytest
from docx import Document as new_docx
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import SourceError
from lifecycle.sources import RawFile
from rag.config import SourceConfig
from rag.documents import load_documents
from rag.parsers import SUFFIXES, parse
from rag.sources import package_files
from rag.stages.load import source_files
from rag.types import Block, Document
from tests.texts import documents_text, parsed

MORE = [".docx", ".csv", ".tsv", ".jsonl", ".ndjson", ".ipynb", ".py"]


def body(document: Document, block: Block) -> str:
    return document.text[block.start : block.end]


def outline(document: Document) -> list[tuple[str, int, str]]:
    return [(b.kind, b.level, b.title or body(document, b)) for b in document.blocks]


def reason(uri: str, data: bytes) -> str:
    with pytest.raises(SourceError) as caught:
        parse(RawFile(uri, data))
    return caught.value.problem


def check_blocks(document: Document) -> None:
    end = 0
    for block in document.blocks:
        assert end <= block.start < block.end <= len(document.text)
        assert not document.text[end : block.start].strip()
        end = block.end
    assert not document.text[end:].strip()


def docx_bytes() -> bytes:
    document = new_docx()
    document.core_properties.title = "Operating guide"
    document.add_heading("Set-up", level=1)
    document.add_paragraph("Run make.")
    document.add_paragraph("one", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ["part", "price", "pump", "30 €"], strict=True):
        cell.text = text
    document.add_heading("Care", level=2)
    document.add_paragraph("Clean it.")
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


DOCX = docx_bytes()
JUNK = [
    random.Random(0).randbytes(5000),
    b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8,
    b"PK\x03\x04" + bytes(64),
    b"\x01\x02\x03\x04" * 200,
]


@pytest.mark.parametrize("suffix", MORE)
def test_format_is_known_and_an_empty_file_refused(suffix: str) -> None:
    assert suffix in SUFFIXES
    assert reason(f"a{suffix}", b"") == "is empty."


@pytest.mark.parametrize("data", JUNK)
@pytest.mark.parametrize("suffix", MORE)
def test_binary_junk_is_refused(suffix: str, data: bytes) -> None:
    assert re.search("binary|encoding|Word", reason(f"a{suffix}", data))


@pytest.mark.parametrize("suffix", MORE)
def test_white_space_alone_is_refused(suffix: str) -> None:
    assert reason(f"a{suffix}", b" \n\t\n")


@settings(deadline=None)
@given(documents_text(), st.sampled_from(MORE))
def test_any_text_gives_a_document_or_a_reason(text: str, suffix: str) -> None:
    try:
        document = parsed(f"a{suffix}", text)
    except SourceError as error:
        assert error.problem.endswith(".")
    else:
        check_blocks(document)


# Word


def test_docx_headings_lists_and_tables() -> None:
    document = parse(RawFile("a.docx", DOCX))
    assert document.title == "Operating guide"
    assert outline(document) == [
        ("heading", 1, "Set-up"),
        ("text", 0, "Run make."),
        ("text", 0, "- one"),
        ("code", 0, "part | price\npump | 30 €"),
        ("heading", 2, "Care"),
        ("text", 0, "Clean it."),
    ]
    check_blocks(document)
    for block in document.blocks:
        assert block.line == 1 + document.text.count("\n", 0, block.start)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_damaged_docx_gives_a_document_or_a_reason(data: st.DataObject) -> None:
    damaged = bytearray(DOCX)
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=20)):
        damaged[place] = data.draw(st.integers(0, 255))
    try:
        parse(RawFile("a.docx", bytes(damaged)))
    except SourceError as error:
        assert error.problem


# CSV


def test_csv_rows_name_their_columns_and_keep_their_lines() -> None:
    document = parsed("a.csv", 'name,price,note\npump,30,"two\nlines"\n\n"a, b",,x\n')
    assert document.text.split("\n") == [
        "name; price; note",
        "name: pump; price: 30; note: two",
        "lines",
        "",
        "name: a, b; note: x",
    ]
    assert [block.line for block in document.blocks] == [1, 2, 5]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_csv_delimiter_is_found(delimiter: str) -> None:
    rows = [["city", "people"], ["Bern", "130,000"], ["Basel", "170,000"]]
    text = "\n".join(delimiter.join(row) for row in rows)
    assert "city: Bern; people: 130,000" in parsed("a.csv", text).text


def test_csv_without_a_header_numbers_its_columns() -> None:
    assert parsed("a.csv", "1,one\n2,two\n").text == (
        "column 1: 1; column 2: one\ncolumn 1: 2; column 2: two"
    )


WORDS = st.text("abc ,\"\n;'é", max_size=8)


@settings(deadline=None)
@given(st.lists(st.lists(WORDS, min_size=2, max_size=2), min_size=1, max_size=6))
def test_csv_block_stands_on_the_line_of_its_row(cells: list[list[str]]) -> None:
    buffer = io.StringIO()
    # Long enough words between the commas for the sniffer to find them.
    rows = [["first", "second"], *([f"x{n}{a}", f"y{b}"] for n, (a, b) in enumerate(cells))]
    csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    document = parsed("a.csv", buffer.getvalue())
    lines = buffer.getvalue().split("\n")
    found = {re.findall(r"x\d", body(document, block))[0]: block for block in document.blocks[1:]}
    for number in range(len(cells)):
        assert lines[found[f"x{number}"].line - 1].startswith(f'"x{number}')
    check_blocks(document)


def test_csv_with_an_enormous_cell_is_refused_by_name() -> None:
    assert "field larger" in reason("a.csv", b'a,b\n"' + b"x" * 200_000 + b'",1\n')


# JSON Lines


def test_jsonl_records_stand_on_their_lines() -> None:
    text = '{"a": "one\\ntwo", "b": {"c": [1, 2]}, "d": null}\n\n"alone"\n[{"e": true}, {"e": 1.5}]'
    document = parsed("a.jsonl", text)
    assert document.text == "a: one two; b.c: 1, 2\n\nalone\ne: true; e: 1.5"
    assert [block.line for block in document.blocks] == [1, 3, 4]


def test_jsonl_names_the_line_that_is_no_json() -> None:
    assert "line 2" in reason("a.jsonl", b'{"a": 1}\n{"a": \n')
    assert "line 1" in reason("a.jsonl", b"[" * 100_000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.lists(JSON, min_size=1, max_size=5))
def test_jsonl_text_has_as_many_lines_as_the_file(records: list[object]) -> None:
    text = "\n".join(map(json.dumps, [*records, {"last": "one"}]))
    document = parsed("a.jsonl", text)
    assert document.text.count("\n") == len(records)
    check_blocks(document)


# Notebooks


def notebook(*cells: tuple[str, object]) -> str:
    made = [{"cell_type": kind, "source": source} for kind, source in cells]
    return json.dumps({"cells": made, "nbformat": 4, "nbformat_minor": 5, "metadata": {}})


def test_notebook_cells_keep_their_order_and_kind() -> None:
    text = notebook(
        ("markdown", ["# Title\n", "\n", "Words.\n"]),
        ("code", "x = 1\n\n# no heading"),
        ("code", []),
        ("markdown", "## Next\n\n```\nopen"),
        ("raw", "raw"),
    )
    document = parsed("a.ipynb", text)
    assert document.title == "Title"
    assert [item for item in outline(document) if item[2].strip()] == [
        ("heading", 1, "Title"),
        ("text", 0, "\nWords."),
        ("code", 0, "x = 1\n\n# no heading"),
        ("heading", 2, "Next"),
        ("code", 0, "```\nopen"),
        ("text", 0, "raw"),
    ]
    check_blocks(document)


@pytest.mark.parametrize("text", ["{}", "[1]", "{", '{"cells": 3}', '{"cells": [{}]}', "text"])
def test_notebook_that_is_none_is_refused(text: str) -> None:
    assert re.search("notebook|cells", reason("a.ipynb", text.encode()))


# Python

SOURCE = '''\
"""The module.

More of it.
"""
raise SystemExit("never run")

class Pump(Base, metaclass=M):
    """\\
    Moves water.

    Parameters
    ----------
    size : int
        In litres.
    """

    def __init__(self, size=3): ...

    def start(self, *, fast: bool = False) -> None:
        """Starts it."""

    def silent(self): ...


try:
    async def late():
        """
        Runs later.
        """
except ImportError: ...

def bare(): ...
'''


def test_python_docstrings_stand_below_their_signatures_with_the_lines_of_the_source() -> None:
    document = parsed("a.py", SOURCE)
    assert document.title == "The module."
    shown = [(b.kind, b.level, body(document, b).strip(), b.line) for b in document.blocks]
    assert [item for item in shown if item[0] == "heading"] == [
        ("heading", 1, "class Pump(Base, metaclass=M)", 7),
        ("heading", 2, "Parameters\n----------", 11),
        ("heading", 2, "def start(self, *, fast: bool=False) -> None", 19),
        ("heading", 1, "async def late()", 26),
    ]
    assert ("text", 0, "Moves water.", 9) in shown
    assert ("code", 1, "def __init__(self, size=3)", 17) in shown
    assert ("text", 0, "Runs later.", 28) in shown
    assert "bare" not in document.text
    assert "silent" not in document.text
    check_blocks(document)


def test_python_that_does_not_parse_is_refused_with_its_line() -> None:
    assert "line 2" in reason("a.py", b'"""Doc."""\ndef f(:\n')
    assert reason("a.py", b"x = " + b"(" * 5000).startswith("is no valid Python")


def test_python_declared_encoding_counts() -> None:
    data = '# -*- coding: latin-1 -*-\n"""Café déjà vu."""\n'.encode("latin-1")
    assert parse(RawFile("a.py", data)).text == "Café déjà vu."


def test_python_without_docstrings_is_skipped_and_does_not_count_as_damaged() -> None:
    files = [RawFile("a.py", b""), RawFile("b.py", b"x = 1\n"), RawFile("c.md", b"# C\n")]
    loaded = load_documents(files, 0.0)
    assert [(s.uri, s.reason) for s in loaded.skipped] == [
        ("a.py", "is empty"),
        ("b.py", "holds no text, as it has no docstrings"),
    ]
    with pytest.raises(SourceError, match=r"a\.py is empty"):
        load_documents(files[:2], 0.0)


# Installed packages


def test_package_gives_its_description_and_docstrings() -> None:
    loaded = load_documents(package_files("Rank_BM25"), 0.2)
    assert not [item for item in loaded.skipped if "cannot" in item.reason]
    uris = [document.uri for document in loaded.documents]
    assert uris[0].startswith("package:rank-bm25/METADATA.")
    assert loaded.documents[0].title.startswith("rank-bm25 0.")
    assert "package:rank-bm25/rank_bm25.py" in uris


def test_package_documents_hold_docstrings_of_the_source() -> None:
    files = {raw.uri: raw for raw in package_files("pypdf")}
    raw = files["package:pypdf/pypdf/_reader.py"]
    assert raw.data is not None
    doc = ast.get_docstring(ast.parse(raw.data).body[-1]) or ""
    assert not any("dist-info" in uri for uri in files)
    assert doc.split("\n")[0] in parse(raw).text


def test_unknown_package_names_the_nearest() -> None:
    with pytest.raises(SourceError, match=r"'scikit-lern' is not installed.*'scikit-learn'"):
        list(package_files("scikit-lern"))
    with pytest.raises(SourceError, match="Did you mean 'scikit-learn'"):
        list(package_files("sklearn"))
    with pytest.raises(SourceError, match="not installed"):
        list(package_files(""))


def test_packages_of_the_configuration_are_read(tmp_path: Path) -> None:
    source = SourceConfig(packages=["rank-bm25"])
    uris = [raw.uri for raw in source_files(source, tmp_path)]
    assert uris == [raw.uri for raw in package_files("rank-bm25")]
