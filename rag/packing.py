"""Which units make a chunk: a shortest path over all ways of cutting a section."""

from collections.abc import Sequence
from itertools import accumulate
from math import inf

from rag.units import SECTION, Unit

_CHUNK = 0.1  # the cost of one more chunk
_MOST_OVERLAP = 0.25  # of a chunk's budget


def pack(
    units: Sequence[Unit], budget: int, most_characters: int, overlap: int
) -> list[Sequence[Unit]]:
    """``units`` in runs of at most ``budget`` tokens, each with up to ``overlap`` sentences of
    the run before it in front.

    The sum over chunks of cost to begin there + squared share of the budget left empty is least,
    which favours cuts between paragraphs and chunks of even size. The method is that of breaking
    paragraphs into lines (Knuth and Plass, Breaking Paragraphs into Lines, 1981). A unit over
    the budget makes a run by itself.
    """
    total = [0, *accumulate(unit.tokens for unit in units)]
    room = (budget, most_characters)
    lead = [_lead(units, first, room, overlap) for first in range(len(units))]

    def fits(begin: int, end: int) -> bool:
        width = units[end - 1].end - units[begin].start
        return total[end] - total[begin] <= budget and width <= most_characters

    best = [0.0] + [inf] * len(units)
    came = [0] * (len(units) + 1)
    for end in range(1, len(units) + 1):
        for first in range(end - 1, -1, -1):
            begin = first - lead[first]
            if first < end - 1 and not fits(begin, end):
                if not fits(first, end):
                    break
                continue
            empty = (1 - (total[end] - total[begin]) / budget) ** 2
            cost = best[first] + (units[first].cost if first else 0) + _CHUNK + empty
            if cost < best[end]:
                best[end], came[end] = cost, first
    return _runs(units, lead, came)


def _runs(units: Sequence[Unit], lead: Sequence[int], came: Sequence[int]) -> list[Sequence[Unit]]:
    runs: list[Sequence[Unit]] = []
    end = len(units)
    while end:
        runs.append(units[came[end] - lead[came[end]] : end])
        end = came[end]
    return runs[::-1]


def _lead(units: Sequence[Unit], first: int, room: tuple[int, int], overlap: int) -> int:
    """How many units before ``first`` a chunk that begins there repeats."""
    budget, most_characters = room
    left = min(budget * _MOST_OVERLAP, budget - units[first].tokens)
    count = 0
    while count < min(overlap, first) and units[first - count].cost > SECTION:
        unit = units[first - count - 1]
        left -= unit.tokens
        wide = units[first].end - unit.start > most_characters
        if not unit.prose or left < 0 or wide:
            break
        count += 1
    return count
