"""How often each term stands in each text: all that BM25 needs of the words, as flat arrays.

Counting reads every word of a text and takes minutes for a million; scores are made from counts in
seconds. So counts are kept: those of unchanged texts are put together with those of new ones, and
give the very arrays that counting everything anew would give.
"""

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.lexical import tokenize

_TEXTS_AT_ONCE = 8192
_WORDS_REMEMBERED = 1 << 20
_VOCABULARY = "vocabulary.json"
_ARRAYS = ("offsets", "terms", "counts", "lengths")


@dataclass(frozen=True)
class TermCounts:
    """``vocabulary``: the distinct terms, sorted. Text i has the terms ``terms[offsets[i]:offsets[
    i + 1]]``, numbers into the vocabulary in rising order, ``counts`` times each, and
    ``lengths[i]`` terms in all, repeats included."""

    vocabulary: list[str]
    offsets: NDArray[np.int64]
    terms: NDArray[np.int32]
    counts: NDArray[np.int32]
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def of(cls, texts: Iterable[str]) -> "TermCounts":
        """Count the terms of ``texts``, stopwords included."""
        numbers = _Numbers()
        source, blocks = iter(texts), []
        while block := list(islice(source, _TEXTS_AT_ONCE)):
            blocks.append(numbers.read(block))
        vocabulary, rank = _sorted(numbers.vocabulary)
        rows = [_counted(rank[terms], lengths, len(vocabulary)) for terms, lengths in blocks]
        return _stacked(vocabulary, [*rows, _NOTHING], [*(b[1] for b in blocks), _NOTHING[0]])

    def rows(self, order: NDArray[np.int64]) -> "TermCounts":
        """The texts at ``order``, in that order, under a vocabulary of just their terms."""
        sizes = np.diff(self.offsets)[order]
        ends = np.cumsum(sizes, dtype=np.int64)
        places = np.arange(int(sizes.sum())) + np.repeat(self.offsets[order] - ends + sizes, sizes)
        offsets = np.concatenate([np.zeros(1, np.int64), ends])
        picked = (self.terms[places], self.counts[places], self.lengths[order])
        return _without_unused(TermCounts(self.vocabulary, offsets, *picked))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.vocabulary, ensure_ascii=False, separators=(",", ":"))
        (folder / _VOCABULARY).write_text(text, encoding="utf-8")
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "TermCounts":
        """The counts in ``folder``, mapped from disk. Raises OSError or ValueError."""
        vocabulary = json.loads((folder / _VOCABULARY).read_text(encoding="utf-8"))
        arrays = [np.load(folder / f"{name}.npy", "r", allow_pickle=False) for name in _ARRAYS]
        return cls(vocabulary, *arrays)


def joined(parts: Sequence[TermCounts]) -> TermCounts:
    """The texts of all ``parts`` in order, under one vocabulary of the terms that they have."""
    union = sorted(set(chain.from_iterable(part.vocabulary for part in parts)))
    number = {term: place for place, term in enumerate(union)}
    rows = [_NOTHING]
    for part in parts:
        # Both vocabularies are sorted, so terms of a text stay in rising order.
        renumber = np.array([number[term] for term in part.vocabulary], dtype=np.int32)
        rows.append((np.diff(part.offsets), renumber[part.terms], part.counts))
    lengths = [_NOTHING[0], *(part.lengths for part in parts)]
    return _stacked(union, rows, lengths)


_Rows = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]
_NOTHING: _Rows = (np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32))


class _Numbers:
    """Numbers terms in order of appearance, and remembers the terms of words."""

    def __init__(self) -> None:
        self.vocabulary: dict[str, int] = {}
        self._words: dict[str, tuple[int, ...]] = {}

    def read(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The numbers of all terms of ``texts``, one after the other, and how many each has."""
        if len(self._words) > _WORDS_REMEMBERED:
            self._words.clear()
        flat, ends = array("i"), [0]
        for text in texts:
            for word in tokenize.words(text):
                flat.extend(self._words.get(word) or self._new(word))
            ends.append(len(flat))
        bounds = np.array(ends, dtype=np.int64)
        return np.array(flat, dtype=np.int32), bounds[1:] - bounds[:-1]

    def _new(self, word: str) -> tuple[int, ...]:
        numbers = self.vocabulary
        terms = tuple(numbers.setdefault(t, len(numbers)) for t in tokenize.word_terms(word))
        self._words[word] = terms
        return terms


def _sorted(numbered: dict[str, int]) -> tuple[list[str], NDArray[np.int32]]:
    """The terms in order, and the place in it of each term by its number."""
    vocabulary = sorted(numbered)
    rank = np.empty(len(vocabulary), dtype=np.int32)
    rank[[numbered[term] for term in vocabulary]] = np.arange(len(vocabulary), dtype=np.int32)
    return vocabulary, rank


def _counted(terms: NDArray[np.int32], lengths: NDArray[np.int64], vocabulary: int) -> _Rows:
    """Distinct terms of each text with their counts, out of all its terms."""
    texts = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    keys = np.sort(texts * vocabulary + terms)
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    counts = np.diff(first, append=len(keys)).astype(np.int32)
    text, term = np.divmod(keys[first], max(vocabulary, 1))
    return np.bincount(text, minlength=len(lengths)), term.astype(np.int32), counts


def _stacked(
    vocabulary: list[str], rows: Sequence[_Rows], lengths: Sequence[NDArray[np.int64]]
) -> TermCounts:
    sizes, terms, counts = (np.concatenate(part) for part in zip(*rows, strict=True))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
    return TermCounts(vocabulary, offsets, terms, counts, np.concatenate(lengths))


def _without_unused(counts: TermCounts) -> TermCounts:
    used = np.zeros(len(counts.vocabulary), dtype=bool)
    used[counts.terms] = True
    if used.all():
        return counts
    renumber = (np.cumsum(used) - 1).astype(np.int32)
    vocabulary = [term for term, there in zip(counts.vocabulary, used, strict=True) if there]
    terms = renumber[counts.terms]
    return TermCounts(vocabulary, counts.offsets, terms, counts.counts, counts.lengths)


def by_term(counts: TermCounts) -> Iterator[dict[str, int]]:
    """Each text's counts by term."""
    for i in range(len(counts)):
        part = slice(counts.offsets[i], counts.offsets[i + 1])
        terms = (counts.vocabulary[term] for term in counts.terms[part])
        yield dict(zip(terms, counts.counts[part].tolist(), strict=True))
