"""Every format: text, blocks, offsets, lines, titles; and every kind of unreadable file."""

import hashlib
import io
import random
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter

from lifecycle.errors import SourceError
from lifecycle.sources import RawFile
from rag.parsers import SUFFIXES, parse
from rag.parsers.encoding import decode
from rag.types import Block, Document
from tests.texts import documents_text, parsed


def outline(document: Document) -> list[tuple[str, int, str]]:
    return [(b.kind, b.level, b.title or body(document, b).strip()) for b in document.blocks]


def headings(document: Document) -> list[tuple[int, str]]:
    return [(b.level, b.title) for b in document.blocks if b.kind == "heading"]


def codes(document: Document) -> list[str]:
    return [body(document, b) for b in document.blocks if b.kind == "code"]


def body(document: Document, block: Block) -> str:
    return document.text[block.start : block.end]


def reason(uri: str, data: bytes | None) -> str:
    with pytest.raises(SourceError) as caught:
        parse(RawFile(uri, data, "cannot be read: Permission denied" if data is None else ""))
    return caught.value.problem


# Laws


@settings(deadline=None)
@given(documents_text(), st.sampled_from([".md", ".txt", ".rst"]))
def test_text_is_the_file_and_blocks_hold_all_of_it_in_order(text: str, suffix: str) -> None:
    if not text.strip():
        return
    document = parsed(f"a{suffix}", text)
    assert document.text == text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    assert document.doc_id == hashlib.sha256(document.text.encode()).hexdigest()
    end = 0
    for block in document.blocks:
        assert end <= block.start < block.end <= len(document.text)
        assert not document.text[end : block.start].strip()
        assert block.line == 1 + document.text.count("\n", 0, block.start)
        assert (block.kind == "heading") <= (block.level > 0)
        end = block.end
    assert not document.text[end:].strip()


@settings(deadline=None)
@given(documents_text(), st.sampled_from(["utf-8-sig", "utf-16", "utf-32", "utf-16-le-bom"]))
def test_text_with_a_byte_order_mark_survives_any_unicode_encoding(text: str, name: str) -> None:
    data = b"\xff\xfe" + text.encode("utf-16-le") if "bom" in name else text.encode(name)
    assert decode(data) == text.replace("\r\n", "\n").replace("\r", "\n")


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from(sorted(SUFFIXES)))
def test_any_bytes_give_a_document_or_a_reason(data: bytes, suffix: str) -> None:
    try:
        document = parse(RawFile(f"a{suffix}", data))
    except SourceError as error:
        assert error.problem.endswith(".")
    else:
        assert document.text.strip()
        assert document.blocks


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_html_blocks_know_their_line_in_the_source(sizes: list[int], r: random.Random) -> None:
    gaps = [" ", "\n", " <b>x</b> ", "<!-- a\nb -->\n", "<br>\n", "<script>1\n2</script>\n"]
    tags = ["p", "div", "li", "h2", "blockquote", "td", "pre"]
    source = "<!doctype html>\n<title>T</title>\n<nav>\nNAV\n</nav>\n"
    for number, size in enumerate(sizes):
        tag = r.choice(tags)
        words = "".join(f"w{number}n{word}{r.choice(gaps)}" for word in range(size))
        source += f"<{tag}>{words}</{tag}>\n"
    document = parsed("a.html", source)
    lines = [re.findall(r"w\d+n\d+", line) for line in source.split("\n")]
    firsts = [(block, re.search(r"w\d+n\d+", body(document, block))) for block in document.blocks]
    assert all(first and first[0] in lines[block.line - 1] for block, first in firsts)


# Markdown


def test_markdown_sections_code_and_tables() -> None:
    text = (
        "# Guide\n\nIntro.\n\n## Set-up `now`\n\nRun:\n\n```sh\n# no heading\nmake rag\n```\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\nSetext\n------\n\nEnd.\n"
    )
    assert outline(parsed("a.md", text)) == [
        ("heading", 1, "Guide"),
        ("text", 0, "Intro."),
        ("heading", 2, "Set-up now"),
        ("text", 0, "Run:"),
        ("code", 0, "```sh\n# no heading\nmake rag\n```"),
        ("code", 0, "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("heading", 2, "Setext"),
        ("text", 0, "End."),
    ]


def test_markdown_headings_lose_their_markup() -> None:
    text = "# **Big** [link](http://x) & `a_b` {#anchor}\n\n## ![logo](l.png) A\\*B\n\nx\n"
    assert headings(parsed("a.md", text)) == [(1, "Big link & a_b"), (2, "logo A*B")]


def test_markdown_heading_inside_a_list_or_quotation_opens_no_section() -> None:
    assert headings(parsed("a.md", "# A\n\n- # in a list\n\n> # quoted\n\ntext\n")) == [(1, "A")]


def test_markdown_unclosed_fence_takes_the_rest() -> None:
    document = parsed("a.md", "# A\n\n```\ncode\n# B\n\nmore\n")
    assert codes(document) == ["```\ncode\n# B\n\nmore"]
    assert headings(document) == [(1, "A")]


def test_markdown_html_heading_counts() -> None:
    document = parsed("a.md", '<h1 align="center">\n  <b>Tool</b>\n</h1>\n\nText.\n')
    assert document.title == "Tool"
    assert headings(document) == [(1, "Tool")]


@pytest.mark.parametrize(
    ("text", "title", "sections"),
    [
        (
            "---\ntitle: 'Front'\nweight: 3\n---\n\n## One\n\nx\n",
            "Front",
            [(1, "Front"), (2, "One")],
        ),
        ("---\ntitle: Front\n---\n# One\n\nx\n", "Front", [(1, "One")]),
        ('+++\ntitle = "Toml"\n+++\ntext\n', "Toml", [(1, "Toml")]),
        ("---\nlayout: x\n---\n# One\n", "One", [(1, "One")]),
        ("---\n\ntext\n\n---\n", "a.md", []),
        ("---\nno end\n", "a.md", []),
    ],
)
def test_front_matter(text: str, title: str, sections: list[tuple[int, str]]) -> None:
    document = parsed("docs/a.md", text)
    assert document.title == title
    assert headings(document) == sections


def test_large_markdown_is_parsed_in_parts_with_the_same_result() -> None:
    part = "# Head\n\nText here.\n\n```\n\n# code\n\n```\n\n- a\n\n- b\n\n"
    small, large = parsed("a.md", part), parsed("a.md", part * 7_000)
    assert outline(large)[: 3 * len(small.blocks)] == outline(small) * 3
    assert len(large.blocks) == 7_000 * len(small.blocks)
    last = large.blocks[-1]
    assert last.line == 1 + large.text.count("\n", 0, last.start)


# reStructuredText


def test_rst_levels_follow_the_order_of_adornments() -> None:
    text = "=====\nTitle\n=====\n\nOne\n===\n\nA\n---\n\nTwo\n===\n\nx\n"
    assert headings(parsed("a.rst", text)) == [(1, "Title"), (2, "One"), (3, "A"), (2, "Two")]


def test_rst_titles_lose_markup_and_take_their_labels() -> None:
    rule = "-" * 31
    text = f"text\n\n.. _here:\n\nThe ``with`` :ref:`statement <x>`\n{rule}\n\nx\n"
    document = parsed("a.rst", text)
    assert headings(document) == [(1, "The with statement")]
    assert body(document, document.blocks[1]).startswith(".. _here:")


LITERAL = """\
T
=

Run this::

    make rag

    make test

Then.

.. code-block:: sh
   :linenos:

   ls

>>> 1 + 1
2

====  ====
a     b
====  ====
1     2
====  ====

+---+
| x |
+---+

End.
"""


def test_rst_literal_blocks_directives_tables_and_doctests_are_code() -> None:
    assert [code.strip() for code in codes(parsed("a.rst", LITERAL))] == [
        "make rag\n\n    make test",
        ".. code-block:: sh\n   :linenos:\n\n   ls",
        ">>> 1 + 1\n2",
        "====  ====\na     b\n====  ====\n1     2\n====  ====",
        "+---+\n| x |\n+---+",
    ]


def test_rst_literal_block_in_a_list_ends_with_the_item() -> None:
    text = "T\n===\n\n* run::\n\n      make\n\n  and wait.\n\n* next\n"
    assert [code.strip() for code in codes(parsed("a.rst", text))] == ["make"]


def test_rst_notes_and_quotations_stay_text() -> None:
    text = (
        "T\n===\n\n.. note::\n\n   Do not do this, as it is slow and it may well break.\n\nEnd.\n"
    )
    assert codes(parsed("a.rst", text)) == []


DEFINITION = "   " + "Long enough a definition to be read by itself, as it says many things. " * 6


def test_rst_long_definitions_are_sections_and_what_follows_resumes_the_section() -> None:
    terms = "str.find(sub)", "class A(*args, **kw)"
    definitions = "\n\n".join(f"{term}\n\n{DEFINITION}" for term in terms)
    text = f"T\n===\n\n{definitions}\n\nAfter.\n"
    document = parsed("a.rst", text)
    assert headings(document) == [(1, "T"), (2, "str.find(sub)"), (2, "class A(*args, **kw)")]
    assert [b.level for b in document.blocks if b.kind == "text"] == [0, 0, 1]


def test_rst_short_definitions_stay_together() -> None:
    text = "T\n===\n\nNone\n   The only value.\n\nEllipsis\n   Another value.\n"
    assert outline(parsed("a.rst", text)) == [
        ("heading", 1, "T"),
        ("text", 0, "None\n   The only value.\n\nEllipsis\n   Another value."),
    ]


def test_rendered_rst_tells_code_from_prose_by_its_looks() -> None:
    text = (
        'The statement\n*************\n\n   with_stmt ::= "with" item\n\nThe following code:\n\n'
        "   with EXPRESSION as TARGET:\n       SUITE\n\nis equivalent to:\n\n   x = enter()\n\n"
        "   try:\n       SUITE\n\nNote:\n\n  The statement guarantees that nothing is lost.\n"
    )
    assert [code.strip() for code in codes(parsed("a.rst", text))] == [
        'with_stmt ::= "with" item',
        "with EXPRESSION as TARGET:\n       SUITE",
        "x = enter()\n\n   try:\n       SUITE",
    ]


# HTML

PAGE = """<!doctype html>
<html><head><title>Page &amp; site</title><style>p { color: red }</style></head>
<body>
<nav><ul><li>Home</li></ul></nav>
<script>var secret = 1;</script>
<h1>Roll   back<a class="headerlink" href="#x">¶</a></h1>
<p>First   paragraph
with <em>two</em> lines.</p>
<ul><li>one</li><li>two</li></ul>
<pre>
def f():
    return 1
</pre>
<table><tr><th>a</th><th>b</th></tr>
<tr><td>1</td><td>2</td></tr></table>
<p>Line<br>break &lt;tag&gt;</p>
<footer>© nobody</footer>
</body></html>
"""


def test_html_keeps_the_content_and_drops_the_rest() -> None:
    document = parsed("a.html", PAGE)
    assert document.title == "Roll back"
    assert document.text == (
        "Roll back\n\nFirst paragraph\nwith two lines.\n\n- one\n- two\n\ndef f():\n    return 1"
        "\n\na | b\n\n1 | 2\n\nLine\nbreak <tag>"
    )
    assert [b.line for b in document.blocks] == [6, 7, 9, 9, 11, 14, 15, 16, 16]
    assert codes(document) == ["def f():\n    return 1"]


def test_html_takes_main_content_where_the_page_has_it() -> None:
    page = "<body><p>menu</p><main><h2>Head</h2><p>Text</p></main><p>side</p></body>"
    document = parsed("a.html", f"<title>Site</title>{page}")
    assert document.text == "Head\n\nText"
    assert document.title == "Site"


@pytest.mark.parametrize(
    "tag", ['<meta charset="latin-1">', '<meta content="text/html; charset=iso-8859-1">']
)
def test_html_encoding_is_taken_from_its_declaration(tag: str) -> None:
    data = f"<html><head>{tag}</head><body><p>café</p></body></html>".encode("latin-1")
    assert parse(RawFile("a.html", data)).text == "café"


def test_html_deep_nesting_is_no_problem() -> None:
    assert parsed("a.html", "<div>" * 1500 + "deep" + "</div>" * 1500).text == "deep"


@pytest.mark.parametrize(
    "page", ["<html></html>", "<script>x</script>", "<!-- only -->", "<p> </p>"]
)
def test_html_without_content_is_refused(page: str) -> None:
    assert reason("a.html", page.encode()).startswith("holds no text")


# PDF


def pdf(
    *pages: list[str], outline: Sequence[tuple[str, int]] = (), password: str | None = None
) -> bytes:
    """A PDF of these pages, each a list of lines, with an outline of (title, page from 0)."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for lines in pages:
        content = (
            "BT /F1 12 Tf 72 720 Td 14 TL " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
        )
        number = len(objects) + 1
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {number + 1} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    kids = " ".join(f"{number} 0 R" for number in range(4, len(objects) + 1, 2))
    objects[1] = f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>"
    data, offsets = "%PDF-1.4\n", []
    for number, item in enumerate(objects, start=1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{item}\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = f"trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{len(data)}\n%%EOF"
    writer = PdfWriter(
        clone_from=PdfReader(
            io.BytesIO(f"{data}xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode())
        )
    )
    for title, page in outline:
        writer.add_outline_item(title=title, page_number=page)
    if password is not None:
        writer.encrypt(user_password=password, owner_password="owner")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def test_pdf_gives_text_pages_and_sections_of_its_outline() -> None:
    data = pdf(
        ["1  Introduction", "How to go about roll-", "ing back."],
        [],
        ["More of it.", "2.1 Set-up", "Run make."],
        outline=[("Introduction", 0), ("Set-up", 2), ("Not on the page", 2)],
    )
    document = parse(RawFile("a.pdf", data))
    assert document.title == "Introduction"
    assert [(b.kind, b.page, body(document, b)) for b in document.blocks] == [
        ("heading", 1, "1  Introduction"),
        ("text", 1, "How to go about rolling back."),
        ("text", 3, "More of it."),
        ("heading", 3, "2.1 Set-up"),
        ("text", 3, "Run make."),
    ]
    for block in document.blocks:
        assert block.line == 1 + document.text.count("\n", 0, block.start)


@pytest.mark.parametrize(
    ("stated", "title"),
    [("Operating guide", "Operating guide"), ("Microsoft Word - g.docx", "a.pdf"), (" ", "a.pdf")],
)
def test_pdf_title_is_the_one_it_states_unless_that_is_a_file_name(stated: str, title: str) -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(["text"]))))
    writer.add_metadata({"/Title": stated})
    buffer = io.BytesIO()
    writer.write(buffer)
    assert parse(RawFile("a.pdf", buffer.getvalue())).title == title


def test_pdf_by_matplotlib_is_read() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    figure.text(0.1, 0.5, "Retrieval by BM25 and vectors.")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="pdf")
    assert "Retrieval by BM25 and vectors." in parse(RawFile("a.pdf", buffer.getvalue())).text


def test_pdf_that_needs_a_password_is_refused_and_one_that_does_not_is_read() -> None:
    assert "password" in reason("a.pdf", pdf(["x"], password="secret"))
    assert parse(RawFile("a.pdf", pdf(["open"], password=""))).text == "open"


def test_pdf_without_text_is_refused() -> None:
    assert "scanned" in reason("a.pdf", pdf([""]))


@settings(deadline=None)
@given(st.data())
def test_damaged_pdf_gives_a_document_or_a_reason(data: st.DataObject) -> None:
    damaged = bytearray(DAMAGED)
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=20)):
        damaged[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    try:
        parse(RawFile("a.pdf", bytes(damaged[:cut])))
    except SourceError as error:
        assert error.problem


DAMAGED = pdf(["Some text"], ["More"], outline=[("More", 1)])


# Encodings and files that are no text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Café au lait, déjà vu. Ça va très bien, merci.", "latin-1"),
        ("Grüße aus München. Übermäßig schön.", "cp1252"),
        ("It’s “quoted” — 30 €.", "cp1252"),
        ("naïve café", "latin-1"),
        ("Привет, мир. Как дела? Это тестовый документ.", "cp1251"),
        ("Привет, мир. Как дела? Это тестовый документ.", "koi8-r"),
        ("Zażółć gęślą jaźń. Chrząszcz brzmi w trzcinie.", "cp1250"),
        ("日本語のテキストです。これはテストです。", "shift_jis"),
        ("日本語のテキストです。これはテストです。", "euc_jp"),
        ("这是一个中文文档。它有几句话。机器学习很有趣。", "gb18030"),
        ("안녕하세요. 이것은 한국어 문서입니다.", "cp949"),
        ("Plain words in UTF-16 without a mark.", "utf-16-le"),
        ("Plain words in UTF-16 without a mark.", "utf-16-be"),
    ],
)
def test_legacy_encodings_are_detected(text: str, encoding: str) -> None:
    padding = "# Title\n\n" + "Words in between.\n" * 3000 if encoding == "latin-1" else ""
    assert decode((padding + text).encode(encoding)) == padding + text


def test_utf8_with_a_few_broken_bytes_keeps_the_rest() -> None:
    data = ("Grüße aus München. Übermäßig schön. " * 3).encode()
    assert data[49:51].isascii()
    text = decode(data[:50] + b"\xc3" + data[50:] + "ü".encode()[:1])
    assert text.count("\ufffd") == 2
    assert text.count("München") == 3


def test_carriage_returns_become_newlines() -> None:
    assert parsed("a.md", "# A\r\n\r\ntext\rmore\r\n").text == "# A\n\ntext\nmore\n"


def test_nothing_but_a_byte_order_mark_holds_no_text() -> None:
    assert reason("a.txt", b"\xef\xbb\xbf") == "holds no text, only white space."


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_empty_file_is_refused(suffix: str) -> None:
    assert reason(f"a{suffix}", b"") == "is empty."


@pytest.mark.parametrize("suffix", [".md", ".txt", ".rst", ".html"])
def test_white_space_alone_is_refused(suffix: str) -> None:
    assert reason(f"a{suffix}", b" \n\t\r\n \n").startswith("holds no text")


@pytest.mark.parametrize(
    "data",
    [
        random.Random(0).randbytes(5000),
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8,
        b"PK\x03\x04" + bytes(64),
        b"\x7fELF\x02\x01\x01" + bytes(500),
        b"\x01\x02\x03\x04" * 200,
    ],
)
@pytest.mark.parametrize("suffix", [".md", ".txt", ".rst", ".html", ".pdf"])
def test_binary_junk_is_refused_whatever_its_name(data: bytes, suffix: str) -> None:
    assert re.search("binary|encoding|PDF", reason(f"a{suffix}", data))


def test_file_that_could_not_be_opened_keeps_its_reason() -> None:
    assert reason("a.md", None) == "cannot be read: Permission denied"


def test_unknown_suffix_names_the_known_ones() -> None:
    assert ".md" in reason("a.xyz", b"text")
    assert "no suffix" in reason("Makefile", b"text")


def test_suffix_counts_in_any_case() -> None:
    assert parsed("README.MD", "# A").title == "A"


def test_title_falls_back_to_the_file_name() -> None:
    assert parsed("docs/notes.txt", "plain").title == "notes.txt"
    assert parsed("docs/notes.md", "plain").title == "notes.md"


def test_lone_surrogates_cannot_get_in() -> None:
    document = parsed("a.html", "<p>a&#xD800;b</p>")
    assert document.text.encode()
