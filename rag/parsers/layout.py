"""What a line or paragraph is, by its looks: headings, tables, terms, code.

Functions take all lines and the number (from 0) of the one in question; ends are exclusive.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.parsers.base import one_line

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*$")
_RUBRIC = re.compile(r"-\[ (.+) \]-$")
_GRID = re.compile(r"\s*\+(?:[-=]+\+)+\s*$")
_SIMPLE_TABLE = re.compile(r"\s*={2,}(?: +={2,})+\s*$")
_DIRECTIVE = re.compile(r"(\s*)\.\. ([\w:+.-]+)::\s*(.*)$")
_LIST_ITEM = re.compile(
    r"\s*(?:[-*+•|>]\s|\(?(?:\d{1,3}|[a-zA-Z#])[.)]\s|\.\. |:[^:`]+:|\[\S+\]\s|>>>)"
)
_MARKER = re.compile(r"\s*(?:[-*+•]|\(?(?:\d{1,3}|[a-zA-Z#])[.)])\s+")
_ROLE = re.compile(r":[\w:+.-]+:`(?:([^`<]+?)\s*<[^`>]*>|([^`]*))`")
_EMPHASIS = re.compile(r"(?<![\w(*,])(\*\*?)([^\s*](?:[^*]*[^\s*,])?)\1(?![\w*])|``?([^`]+)``?_?")

_PROMPT = re.compile(r"\s*(?:>>>|\.\.\.(?: |$)|\$ |\(Pdb\)|#!|-> )")
_STATEMENT = re.compile(
    r"\s*(?:(?:async )?(?:def|for|with) .*[:(,]$|class \w+.*:$|(?:el)?if .+:|while .+:|else:|try:"
    r"|finally:|except\b.*:|match .+:|case .+:|lambda\b|return\b|raise \w|import \w"
    r"|from [\w.]+ import|assert |del |pass$|break$|continue$|yield\b|await |global |nonlocal "
    r"|print\(|@\w|#|//|/\*|\*/)"
)
_EXPRESSION = re.compile(
    r"\s*(?:[\w.]+\(.*\)?,?;?$"  # a call
    r"|[\w.\[\]\"', *()]+\s*[-+*/%&|^:]?=(?!=)\s*\S.*"  # an assignment
    r"|[\])}]+[,;:]?$|.*[{\[(\\;]$|.*::=.*|\|.*\"$|[\w.]+$)"
)
_PLAIN_WORDS = re.compile(r"(?:\b[a-z]+(?:['’][a-z]+)?,? ){3}[a-z]+\b")
_MOST_TERM = 100  # characters in a term that is no sentence
_MOST_TERMS = 8  # that share a definition


@dataclass(frozen=True)
class Heading:
    """``style`` is the adornment, doubled where it stands above the title as well."""

    end: int
    style: str
    title: str


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def heading(lines: Sequence[str], number: int) -> Heading | None:
    """A section title with a line of punctuation under it, or under and over it."""
    line = lines[number].rstrip()
    rubric = _RUBRIC.match(line)
    if rubric:
        return Heading(number + 1, "-[", plain(rubric[1]))
    after = [_line(lines, number + 1), _line(lines, number + 2)]
    if _ADORNMENT.match(line):
        over = after[0].strip() and after[1].rstrip() == line and not _ADORNMENT.match(after[0])
        return Heading(number + 3, line[0] * 2, plain(after[0])) if over else None
    blank_before = number == 0 or not lines[number - 1].strip()
    under = _ADORNMENT.match(after[0]) and len(after[0].rstrip()) >= min(len(line), 4)
    if blank_before and under and indent(line) == 0:
        return Heading(number + 2, after[0][0], plain(line))
    return None


def _line(lines: Sequence[str], number: int) -> str:
    return lines[number] if number < len(lines) else ""


def plain(title: str) -> str:
    """A title without reStructuredText's inline markup."""
    words = _ROLE.sub(lambda match: match[1] or match[2], title)
    words = _EMPHASIS.sub(lambda match: match[2] or match[3], words)
    return one_line(re.sub(r"\\([*`_\\])", r"\1", words)) or title.strip()


def text_margin(line: str) -> int:
    """The column in which the text of a line begins: after the marker, for a list item."""
    marker = _MARKER.match(line)
    return marker.end() if marker else indent(line)


def next_line(lines: Sequence[str], number: int) -> int:
    """The first line from ``number`` on that is not blank."""
    while number < len(lines) and not lines[number].strip():
        number += 1
    return number


def paragraph_end(lines: Sequence[str], number: int) -> int:
    """Where the lines from ``number`` become blank or less indented than the first."""
    margin = indent(lines[number])
    end = number + 1
    while end < len(lines) and lines[end].strip() and indent(lines[end]) >= margin:
        end += 1
    return end


def block_end(lines: Sequence[str], number: int, margin: int) -> int:
    """Where the lines from ``number`` stop being blank or indented deeper than ``margin``."""
    end = number
    while number < len(lines):
        if lines[number].strip():
            if indent(lines[number]) <= margin:
                break
            end = number + 1
        number += 1
    return end


def table_end(lines: Sequence[str], number: int) -> int:
    """Where the grid or simple table that starts at ``number`` ends; 0 for no table."""
    if _GRID.match(lines[number]):
        return paragraph_end(lines, number)
    if not _SIMPLE_TABLE.match(lines[number]):
        return 0
    borders = 1
    for end in range(number + 1, len(lines)):
        borders += bool(_SIMPLE_TABLE.match(lines[end]))
        closed = not _line(lines, end + 1).strip()
        if _SIMPLE_TABLE.match(lines[end]) and borders > 1 and closed:
            return end + 1
    return 0


def directive(line: str) -> tuple[str, str] | None:
    """Name without its domain, and argument: ``.. py:function:: f(x)`` is (function, f(x))."""
    match = _DIRECTIVE.match(line)
    return (match[2].rsplit(":", 1)[-1], match[3].strip()) if match else None


def is_list_item(line: str) -> bool:
    return bool(_LIST_ITEM.match(line))


def term_end(lines: Sequence[str], number: int) -> int:
    """Where the terms end that a deeper indented paragraph of prose defines; 0 for none.

    One line right above its definition, as in a definition list, or a few lines and a
    blank one, as Sphinx renders the signatures of functions.
    """
    margin = indent(lines[number])
    end = number
    while (
        end < min(len(lines), number + 8) and _is_term(lines[end]) and indent(lines[end]) == margin
    ):
        end += 1
    if end == number or (end > number + 1 and _line(lines, end).strip()):
        return 0
    body = end if _line(lines, end).strip() else end + 1
    if body >= len(lines) or indent(lines[body]) < margin + 2 or not lines[body].strip():
        return 0
    return 0 if is_code(lines[body : paragraph_end(lines, body)], introduced=False) else end


def _is_term(line: str) -> bool:
    words = line.strip()
    return (
        0 < len(words) <= _MOST_TERM
        and words[-1] not in ".:,;!?"
        and not is_list_item(line)
        and not _PROMPT.match(line)
        and "::=" not in words
        and not _PLAIN_WORDS.search(words)
    )


def is_code(paragraph: Sequence[str], introduced: bool) -> bool:
    """Whether an indented paragraph reads as code. ``introduced``: what stands before ends with
    a colon, so that only prose speaks against it."""
    bare = [re.sub(r"\s(?:#|//) .*", "", line) for line in paragraph]
    if _PROMPT.match(bare[0]) or any("::=" in line for line in bare):
        return True
    prose = sum(bool(_PLAIN_WORDS.search(line)) for line in bare)
    code = sum(bool(_STATEMENT.match(line) or _EXPRESSION.match(line)) for line in bare)
    if is_list_item(bare[0]) or (introduced and prose == 0 and not _is_sentence(bare)):
        return introduced and not is_list_item(bare[0])
    return 2 * code >= len(bare) and code > 2 * prose and not _is_sentence(bare)


def _is_sentence(lines: Sequence[str]) -> bool:
    first, last = lines[0].strip(), lines[-1].rstrip()
    return first[:1].isupper() and last.endswith((".", ":")) and " " in first
