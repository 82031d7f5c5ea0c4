"""reStructuredText by its line structure, and the plain text that Sphinx renders from it.

Docutils would drop Sphinx's directives and keep no exact offsets. The rendered form, as in
Python's ``pydoc_data``, marks neither code nor definitions: both are told from prose by their
looks (``rag.parsers.layout``).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rag.parsers.base import Kind, Mark, Parsed, blocks_from_marks, first_heading
from rag.parsers.encoding import decode
from rag.parsers.layout import (
    block_end,
    directive,
    heading,
    indent,
    is_code,
    next_line,
    paragraph_end,
    plain,
    table_end,
    term_end,
    text_margin,
)

MEDIA = "text/x-rst"
SUFFIXES = (".rst", ".rest")

_CODE = re.compile(
    "code|code-block|sourcecode|parsed-literal|highlight|literalinclude|math|graphviz|doctest"
    "|test(code|setup|output)|productionlist|prompt|console|ipython|plot|(csv-|list-)?table"
)
_DEFINING = re.compile(
    "function|(class|static)?method|decorator|class|exception|attribute|property|data|type|macro"
    "|member|var|enum|struct|option|envvar|confval|describe|object|command|signature"
)
_RUBRIC_LEVEL = 2
_LEAST_DEFINITION = 300  # characters; shorter ones are read together with their neighbours


def parse(data: bytes) -> Parsed:
    """Blocks: titles and defined terms as headings, literal blocks and tables as code, text.

    A term, such as the signature of a function, is a heading below the section's own, and what
    follows its definition resumes the section: that block's ``level`` is the section's.
    """
    return parse_text(decode(data))


def parse_text(text: str) -> Parsed:
    lines = text.split("\n")
    scanner = _Scanner(lines)
    number = 0
    while number < len(lines):
        number = scanner.step(number) if lines[number].strip() else number + 1
    blocks = blocks_from_marks(lines, scanner.marks)
    return Parsed(text, blocks, scanner.title or first_heading(blocks))


@dataclass
class _Scanner:
    lines: Sequence[str]
    marks: list[Mark] = field(default_factory=list)
    title: str = ""
    _styles: list[str] = field(default_factory=list)  # adornments; a style's place is its level
    _level: int = 0
    _terms: list[int] = field(default_factory=list)  # indents of the terms that are open
    _introduced: bool = False

    def step(self, number: int) -> int:
        """Marks what starts at line ``number``, which is not blank; returns where it ends."""
        titled = self._behind_label(number)
        found = heading(self.lines, titled) if titled < len(self.lines) else None
        if found:
            self._section(found.style)
            self.title = self.title or found.title
            return self._mark(number, found.end, "heading", self._level, found.title)
        resumed = self._leave_terms(indent(self.lines[number]))
        table = table_end(self.lines, number)
        if table:
            return self._mark(number, table, "code", resumed)
        end = self._directive(number, resumed) or self._term(number)
        return end or self._paragraph(number, resumed)

    def _behind_label(self, number: int) -> int:
        """The first line that is not a link target: those right above a title belong to it."""
        while number < len(self.lines) and self.lines[number].startswith(".. _"):
            number = next_line(self.lines, number + 1)
        return number

    def _section(self, style: str) -> None:
        self._terms.clear()
        if style == "-[":
            self._level = _RUBRIC_LEVEL
            return
        if style not in self._styles:
            self._styles.append(style)
        self._level = self._styles.index(style) + 1

    def _mark(self, first: int, end: int, kind: Kind, level: int = 0, title: str = "") -> int:
        self.marks.append(Mark(first, end, kind, level, title))
        self._introduced = False
        return end

    def _leave_terms(self, margin: int) -> int:
        """The level that text with this margin falls back to; 0 where it leaves no term."""
        before = len(self._terms)
        while self._terms and self._terms[-1] >= margin:
            self._terms.pop()
        return self._level + len(self._terms) if len(self._terms) < before else 0

    def _define(self, first: int, end: int, title: str) -> int:
        """Opens a term, if its definition is worth a section; returns 0 if it is not."""
        body = block_end(self.lines, end, indent(self.lines[first]))
        if not self._level or sum(map(len, self.lines[end:body])) < _LEAST_DEFINITION:
            return 0
        self._terms.append(indent(self.lines[first]))
        return self._mark(first, end, "heading", self._level + len(self._terms), title)

    def _term(self, number: int) -> int:
        end = term_end(self.lines, number)
        names = [plain(line) for line in self.lines[number:end]]
        return self._define(number, end, ", ".join(names[:3])) if end else 0

    def _directive(self, number: int, resumed: int) -> int:
        found = directive(self.lines[number])
        if not found:
            return 0
        name, argument = found
        margin = indent(self.lines[number])
        if _CODE.fullmatch(name):
            end = block_end(self.lines, number + 1, margin)
            return self._mark(number, end, "code", resumed)
        if _DEFINING.fullmatch(name) and argument:
            return self._define(number, number + 1, plain(argument))
        return self._mark(number, number + 1, "text", resumed)

    def _paragraph(self, number: int, resumed: int) -> int:
        margin = indent(self.lines[number])
        end = paragraph_end(self.lines, number)
        doctest = self.lines[number].startswith(">>>")
        if doctest or (margin and is_code(self.lines[number:end], self._introduced)):
            return self._mark(number, self._code_end(end, margin), "code", resumed)
        if resumed:
            self._mark(number, end, "text", resumed)
        last = self.lines[end - 1].rstrip()
        self._introduced = last.endswith(":")
        return self._literal(number, end) if last.endswith("::") else end

    def _code_end(self, end: int, margin: int) -> int:
        """Takes in the paragraphs after a blank line that go on with the code before it."""
        following = next_line(self.lines, end)
        while following < len(self.lines) and indent(self.lines[following]) >= margin:
            after = paragraph_end(self.lines, following)
            deeper = indent(self.lines[following]) > margin
            if not deeper and not is_code(self.lines[following:after], introduced=False):
                break
            end, following = after, next_line(self.lines, after)
        return end

    def _literal(self, number: int, end: int) -> int:
        """Where the literal block ends that a paragraph ending in ``::`` brings."""
        body = next_line(self.lines, end)
        margin = text_margin(self.lines[number])
        if body == len(self.lines) or indent(self.lines[body]) <= margin:
            return end
        return self._mark(body, block_end(self.lines, body, margin), "code")
