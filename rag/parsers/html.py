"""HTML to text by lxml: the main content, without navigation, scripts and styles.

Line numbers are those of the source: libxml2 knows the line of each tag, and the line breaks
inside a paragraph's text are kept.
"""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.errors import SourceError
from rag.parsers.base import Kind, Parsed, first_heading, one_line
from rag.parsers.encoding import decode
from rag.types import Block

if TYPE_CHECKING:
    from lxml.html import HtmlElement

MEDIA = "text/html"
SUFFIXES = (".html", ".htm", ".xhtml")

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.I)
_SKIPPED = re.compile("script|style|noscript|template|nav|footer|svg|iframe|button|select|title")
_SKIPPED_ROLES = frozenset({"navigation", "contentinfo", "search", "banner"})
_HEADING = re.compile("h[1-6]")
_BLOCK = re.compile(
    "h[1-6]|address|article|aside|blockquote|body|caption|center|d[dlt]|details|div|fieldset"
    "|figcaption|figure|form|header|hgroup|hr|html|li|main|ol|p|pre|section|summary|table|tbody"
    "|tfoot|thead|tr|ul"
)
_CELL = re.compile("t[dh]")


def parse(data: bytes) -> Parsed:
    """Blocks: headings, ``pre`` as code, paragraphs, list items and table rows each as text."""
    from lxml import etree, html

    source = decode(data, _declared(data))
    parser = html.HTMLParser(encoding="utf-8", huge_tree=True)
    try:
        root = html.document_fromstring(source.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError as error:
        raise SourceError("holds no text, only markup.") from error
    page_title = one_line(root.findtext(".//title") or "")
    text, blocks = _extract(_main(root))
    headline = next((block.title for block in blocks if block.level == 1), "")
    return Parsed(text, blocks, headline or page_title or first_heading(blocks))


def _declared(data: bytes) -> str:
    match = _CHARSET.search(data[:4096])
    return match[1].decode("ascii") if match else ""


def _main(root: "HtmlElement") -> "HtmlElement":
    """The page's main content where it says which that is, else all of it."""
    for path in ("//main", "//*[@role='main']", "//article"):
        found = root.xpath(path)
        if len(found) == 1 and found[0].text_content().strip():
            return found[0]
    return root


def _extract(root: "HtmlElement") -> tuple[str, tuple[Block, ...]]:
    from lxml import etree

    writer = _Writer()
    walk = etree.iterwalk(root, events=("start", "end", "comment", "pi"))
    skipped: HtmlElement | None = None
    for event, element in walk:
        if event in ("comment", "pi"):
            writer.add("\n" * (element.text or "").count("\n"))
            writer.add(element.tail)
        elif event == "start":
            if _is_skipped(element):
                skipped = element
                walk.skip_subtree()
                writer.add("\n" * sum(text.count("\n") for text in element.itertext()))
            else:
                writer.open(element)
        elif skipped is not None and element is skipped:
            writer.add(skipped.tail)
            skipped = None
        else:
            writer.close(element, with_tail=element is not root)
    writer.flush("text")
    return writer.text(), tuple(writer.blocks)


def _is_skipped(element: "HtmlElement") -> bool:
    return (
        _SKIPPED.fullmatch(element.tag) is not None
        or element.get("role") in _SKIPPED_ROLES
        or element.get("aria-hidden") == "true"
        or "hidden" in element.attrib
        or "headerlink" in element.get("class", "")
    )


@dataclass
class _Writer:
    """Collects a block's pieces until a tag ends it, and keeps count of source lines."""

    blocks: list[Block] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _length: int = 0
    _pieces: list[str] = field(default_factory=list)
    _line: int = 1
    _start_line: int = 1
    _preformatted: int = 0
    _tight: bool = False  # the next block goes on right below, behind a line break

    def open(self, element: "HtmlElement") -> None:
        if _BLOCK.fullmatch(element.tag):
            self.flush("code" if self._preformatted else "text")
        elif element.tag == "br":
            self._break_line()
        self._line = max(self._line, element.sourceline or 0)
        if element.tag == "pre":
            self._preformatted += 1
        elif element.tag == "li":
            self._put("- ")
        elif _CELL.fullmatch(element.tag) and self._pieces:
            self._put(" | ")
        self.add(element.text)

    def _break_line(self) -> None:
        if self._preformatted:
            self._put("\n")
        else:
            self.flush("text")
            self._tight = bool(self._texts)

    def close(self, element: "HtmlElement", with_tail: bool) -> None:
        if _HEADING.fullmatch(element.tag):
            self.flush("heading", int(element.tag[1]))
        elif _BLOCK.fullmatch(element.tag):
            self.flush("code" if self._preformatted else "text")
        if element.tag == "pre":
            self._preformatted -= 1
        if with_tail:
            self.add(element.tail)

    def add(self, text: str | None) -> None:
        if text:
            self._put(text)
            self._line += text.count("\n")

    def _put(self, piece: str) -> None:
        if not self._pieces:
            self._start_line = self._line
        self._pieces.append(piece)

    def flush(self, kind: Kind, level: int = 0) -> None:
        """Ends the block that the pieces make, if they hold more than a bullet or empty cells."""
        raw = "".join(self._pieces)
        self._pieces.clear()
        if not raw.strip(" \n\t|-"):
            return
        body = raw.strip("\n").rstrip() if kind == "code" else _folded(raw)
        line = self._start_line + raw[: raw.index(body[:1])].count("\n")
        start = self._append(body)
        title = one_line(body) if kind == "heading" else ""
        self.blocks.append(Block(kind, start, self._length, line, level, title=title))

    def _append(self, body: str) -> int:
        """Adds ``body`` to the text and returns where it starts."""
        if self._texts:
            listed = body.startswith("- ") and self._texts[-1].startswith("- ")
            joint = "\n" if listed or self._tight else "\n\n"
            self._texts.append(joint)
            self._length += len(joint)
        self._tight = False
        start = self._length
        self._texts.append(body)
        self._length += len(body)
        return start

    def text(self) -> str:
        return "".join(self._texts)


def _folded(text: str) -> str:
    """White space as a browser shows it, but with the source's line breaks."""
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[^\S\n]+", " ", text)).strip().strip("|").strip()
