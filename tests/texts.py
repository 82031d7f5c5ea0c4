"""Strategies and helpers for documents: what parsers and chunker are tested on."""

from hypothesis import strategies as st

from lifecycle.sources import RawFile
from rag.parsers import parse
from rag.types import Document

LINES = (
    "# Title",
    "## Section *one*",
    "### Deeper",
    "Setext",
    "======",
    "------",
    "```python",
    "# not a heading",
    "def f(x):",
    "    return x + 1",
    "```",
    "~~~",
    "| a | b |",
    "|---|---|",
    "| 1 | 2 |",
    "+---+---+",
    "| x | y |",
    "- item one. It goes on.",
    "  1. nested",
    "> quoted",
    "---",
    "title: Front",
    ".. note::",
    ".. code-block:: python",
    "   indented text that is long enough to be a paragraph of its own, with words.",
    "   x = 1",
    ".. _label:",
    "object.method(self)",
    "A paragraph follows::",
    "A sentence ends here. Another one begins! Is this e.g. a third? Yes.",
    "今天天气很好。我们去公园吧！好吗？",
    "مرحبا بالعالم. كيف حالك؟ أنا بخير.",
    "मैं घर जा रहा हूँ। तुम कहाँ हो?",
    "x" * 130,
    "word " * 90,
    "<b>bold</b> &amp; <!-- comment -->",
    "caf\u00e9 na\u00efve 👩\u200d👩\u200d👧 e\u0301",
    "a\x0bb\x0cc\u00a0d\u2028e",
    "[CLS] [SEP] ##ing",
    "",
    "",
    "   ",
    "\t",
)


def documents_text() -> st.SearchStrategy[str]:
    """Texts of lines with a meaning to one format or another, and of any characters."""
    anything = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=80)
    line = st.one_of(st.sampled_from(LINES), st.sampled_from(LINES), anything)
    return st.lists(line, max_size=40).map("\n".join)


def parsed(uri: str, text: str) -> Document:
    return parse(RawFile(uri, text.encode()))
