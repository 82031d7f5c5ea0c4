"""Where sentences, list items and paragraphs begin, in any script."""

import re
from collections.abc import Iterator
from enum import Enum

_CLOSING = "[\"'”’»›)\\]*_`」』）》】〉]*+"
_ITEM = re.compile(r"(?:[-*+•‣▪◦]|\(?\d{1,3}[.)]|\(?[a-zA-Z]\))[^\S\n]|:[\w ]+:[ \n]|\.\.[ ]")
_POINT, _FULL, _OTHER = "[.!?…]", "[。！？｡]", "[؟۔।॥։።။།]"
# One character class first, which the engine skips to quickly. Possessive, and each run of points
# tried from its start only, so that time grows with the text's length even where the text is
# nothing but points or spaces.
_BREAKS = re.compile(
    rf"""
    [\n.!?…。！？｡؟۔।॥։።။།]
    (?: (?<=\n) (?: [^\S\n]*+\n \s*+ | [^\S\n]*+(?={_ITEM.pattern}) )
      | (?<={_POINT}) (?<!{_POINT}{_POINT}) {_POINT}*+ {_CLOSING} (?:[ ]\[\d{{1,3}}\])*+
        (?P<point>) \s++ (?=\S)
      | (?<={_FULL}) (?<!{_FULL}{_FULL}) {_FULL}*+ {_CLOSING} (?P<full>) \s*+  # no space follows
      | (?<={_OTHER}) (?<!{_OTHER}{_OTHER}) {_OTHER}*+ {_CLOSING} (?P<other>) \s++
    )
    """,
    re.X,
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'“‘])(?:e\.g|i\.e|cf|vs|viz|[dm]r|mrs|ms|prof|st|jr|sr|messrs|resp|approx|ca"
    r"|[A-Za-z])\.$",
    re.I,
)
_BEFORE_NUMBER = re.compile(r"\b(?:no|nr|fig|figs|eq|sec|sect|ch|vol|pp?|art|tab|ver|v)\.$", re.I)
_NUMBERING = re.compile(r"(?:^|\n)\s*\(?\d{1,3}\.$")
_CODE_LINE = 240  # characters of a line in which an open backtick is looked for
_LOOK_BACK = 12  # characters; the longest abbreviation and what stands before it


class Break(Enum):
    """What begins at a position: the first is the best place to cut a text."""

    PARAGRAPH = "paragraph"
    ITEM = "item"
    SENTENCE = "sentence"


def breaks(text: str, start: int, end: int) -> Iterator[tuple[int, int, Break]]:
    """Where ``text[start:end]`` may be cut: (end of what goes before, start of what follows, what
    begins there), in order. What lies between the two is white space."""
    for match in _BREAKS.finditer(text, start, end):
        name = match.lastgroup
        stop = match.end(name) if name else match.start()
        kind = _kind(text, stop, match.end())
        goes_on = kind is Break.SENTENCE and name == "point" and _goes_on(text, start, match)
        if not goes_on:
            yield stop, match.end(), kind


def _kind(text: str, stop: int, following: int) -> Break:
    newlines = text.count("\n", stop, following)
    if newlines > 1:
        return Break.PARAGRAPH
    return Break.ITEM if newlines and _ITEM.match(text, following) else Break.SENTENCE


def _goes_on(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether the sentence goes on behind the point: before a small letter, inside of inline code,
    after abbreviations, initials and the numbers of a list."""
    following = text[match.end()]
    if following.islower() or _in_code(text, start, match.start()):
        return True
    if text[match.start() : match.end("point")] != ".":
        return False
    before = text[max(start, match.end("point") - _LOOK_BACK) : match.end("point")]
    if following.isdigit() and _BEFORE_NUMBER.search(before):
        return True
    return bool(_ABBREVIATION.search(before) or _NUMBERING.search(before))


def _in_code(text: str, start: int, position: int) -> bool:
    """Whether a backtick stands open before ``position`` in its line; long lines are not read."""
    reach = max(start, position - _CODE_LINE)
    line = text.rfind("\n", reach, position)
    if line < 0 and reach > start:
        return False
    return text.count("`", max(line, reach), position) % 2 == 1


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence or list item in ``text``, without the space around them."""
    spans: list[tuple[int, int]] = []
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    for stop, following, _ in breaks(text, start, end):
        if start < stop:
            spans.append((start, start + len(text[start:stop].rstrip())))
        start = following
    return [*spans, (start, end)] if start < end else spans
