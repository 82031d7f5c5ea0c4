"""Passages that stand next to each other in a document, put together for the generator."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from rag.types import Passage


def merged(
    passages: Sequence[Passage], text_of: Callable[[str], str], most_tokens: int
) -> list[Passage]:
    """``passages`` with those of one section that touch or overlap as one, best first.

    ``text_of`` gives the text of a document by its id; it is asked only where several passages
    are of one document. The pair with the best passage is put together first, and nothing that
    would have more than ``most_tokens`` tokens, counted as the sum over its chunks. Each new
    passage holds the exact slice of the document from its first to its last chunk; score,
    similarity and chunk id are those of its best chunk, ``members`` all its chunks, and ranks
    count anew. With ``most_tokens`` 0 nothing is put together.
    """
    by_document: dict[str, list[Passage]] = defaultdict(list)
    for passage in passages:
        by_document[passage.chunk.doc_id].append(passage)
    found: list[Passage] = []
    for doc_id, own in by_document.items():
        text = text_of(doc_id) if most_tokens and len(own) > 1 else ""
        found += [_joined(run, text) for run in _runs(own, text, most_tokens)]
    found.sort(key=lambda passage: passage.rank)
    return [replace(passage, rank=rank) for rank, passage in enumerate(found, 1)]


def _runs(passages: Sequence[Passage], text: str, most: int) -> list[list[Passage]]:
    """The passages of one document in runs to put together, each in the order of the text."""
    ordered = sorted(passages, key=lambda passage: passage.chunk.start)
    run_of = {passage.rank: [passage] for passage in ordered}
    pairs = [pair for pair in pairwise(ordered) if _touch(*pair, text)]
    for left, right in sorted(pairs, key=lambda pair: sorted(one.rank for one in pair)):
        before, after = run_of[left.rank], run_of[right.rank]
        if _tokens(before) + _tokens(after) <= most:
            before.extend(after)
            run_of |= {passage.rank: before for passage in after}
    return list({id(run): run for run in run_of.values()}.values())


def _touch(left: Passage, right: Passage, text: str) -> bool:
    before, after = left.chunk, right.chunk
    beside = after.start <= before.end or text[before.end : after.start].isspace()
    return beside and before.trail == after.trail


def _tokens(run: Sequence[Passage]) -> int:
    return sum(passage.chunk.tokens for passage in run)


def _joined(run: Sequence[Passage], text: str) -> Passage:
    if len(run) == 1:
        return run[0]
    best = min(run, key=lambda passage: passage.rank)
    start, end = run[0].chunk.start, max(passage.chunk.end for passage in run)
    chunk = replace(
        best.chunk,
        text=text[start:end],
        start=start,
        end=end,
        line_start=run[0].chunk.line_start,
        line_end=max(passage.chunk.line_end for passage in run),
        page=run[0].chunk.page,
        tokens=_tokens(run),
    )
    return replace(best, chunk=chunk, members=tuple(one.chunk.chunk_id for one in run))
