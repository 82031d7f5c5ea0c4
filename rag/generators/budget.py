"""Which passages fit into a language model's context."""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace

from rag.sentences import sentence_spans
from rag.types import Passage


def fitting(
    passages: Sequence[Passage], room: int, tokens: Callable[[Sequence[Passage]], int]
) -> list[Passage]:
    """As many of ``passages`` as ``room`` holds, from the first, so that their numbers stay right.

    The first that does not fit is cut behind a sentence, or behind a word where it would be the
    only one. ``tokens``: what a prompt with these passages takes. Empty where none fits.
    """
    whole = _most(len(passages), lambda count: tokens(passages[:count]) <= room)
    kept = list(passages[:whole])
    if whole == len(passages):
        return kept
    text = passages[whole].chunk.text
    sentences = [end for _, end in sentence_spans(text)]
    words = [] if kept else [match.end() for match in re.finditer(r"\S+", text)]
    for ends in (sentences, words):
        most = _longest(passages[whole], ends, lambda one: tokens([*kept, one]) <= room)
        if most:
            return [*kept, most]
    return kept


def _longest(
    passage: Passage, ends: Sequence[int], fits: Callable[[Passage], bool]
) -> Passage | None:
    """``passage`` up to the last of ``ends`` with which it fits."""
    count = _most(len(ends), lambda number: fits(_cut(passage, ends[number - 1])))
    return _cut(passage, ends[count - 1]) if count else None


def _most(count: int, fits: Callable[[int], bool]) -> int:
    """The greatest number up to ``count`` that fits, as does every smaller one; 0 if none does."""
    return bisect_right(range(1, count + 1), False, key=lambda number: not fits(number))


def _cut(passage: Passage, end: int) -> Passage:
    return replace(passage, chunk=replace(passage.chunk, text=f"{passage.chunk.text[:end]} …"))
