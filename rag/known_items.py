"""Questions made of the documents themselves, for a corpus that nobody wrote questions about."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from rag.questions import Question, folded
from rag.sentences import sentence_spans
from rag.types import Chunk

_MOST_KEYWORDS = 12
_FEWEST_WORDS = 6
_LONGEST_WORD = 30  # characters; what is longer and not ASCII is taken for unspaced writing
_KEPT = 2 / 3


def synthetic_questions(chunks: Sequence[Chunk], n: int, seed: int = 0) -> list[Question]:
    """Up to ``n`` known-item questions, each from a sentence that stands in one place only.

    A third of the sentence's words is left out; the sentence itself is quote and answer. They
    measure whether the index finds again what is in it, no more: nobody asked them, they share
    their words with the passage, and all of them have an answer. The same chunks and seed give
    the same questions; fewer than ``n`` where there are too few sentences. Only where all of them
    are repeated, repeated ones are asked for.
    """
    rng = np.random.default_rng(seed)
    order = [chunks[int(place)] for place in rng.permutation(len(chunks))]
    for fewest in (_FEWEST_WORDS, 1):
        sentences = _sample(order, 2 * n, fewest)
        if sentences:
            asked = _in_one_place(sentences, chunks) or sentences
            return [_known_item(*pair, number, rng) for number, pair in enumerate(asked[:n], 1)]
    return []


def _sample(chunks: Iterable[Chunk], n: int, fewest_words: int) -> list[tuple[Chunk, str]]:
    """One sentence of each chunk that has one of at least so many words, the longest."""
    sentences: dict[str, Chunk] = {}
    for chunk in chunks:
        if len(sentences) == n:
            break
        spans = [chunk.text[start:end] for start, end in sentence_spans(chunk.text)]
        longest = max(spans, key=lambda text: len(_keywords(text)), default="")
        if len(_keywords(longest)) >= fewest_words:
            sentences.setdefault(folded(longest), chunk)
    return [(chunk, sentence) for sentence, chunk in sentences.items()]


def _in_one_place(
    sentences: Sequence[tuple[Chunk, str]], chunks: Iterable[Chunk]
) -> list[tuple[Chunk, str]]:
    """Those that stand in no chunk but their own and the ones that overlap it."""
    home = {sentence: chunk for chunk, sentence in sentences}
    for chunk in chunks:
        text = folded(chunk.text)
        for sentence in [one for one in home if one in text and _apart(home[one], chunk)]:
            del home[sentence]
    return [pair for pair in sentences if pair[1] in home]


def _apart(one: Chunk, other: Chunk) -> bool:
    return one.uri != other.uri or one.end <= other.start or other.end <= one.start


def _known_item(chunk: Chunk, sentence: str, number: int, rng: np.random.Generator) -> Question:
    words = _keywords(sentence)
    count = min(_MOST_KEYWORDS, max(1, round(len(words) * _KEPT)))
    kept = sorted(rng.choice(len(words), size=count, replace=False))
    return Question(
        id=f"known-{number:04d}",
        question=" ".join(words[place] for place in kept),
        source=chunk.uri,
        quote=sentence,
        answer=sentence,
        topic="synthetic",
        synthetic=True,
    )


def _keywords(sentence: str) -> list[str]:
    """Words, longer ones in scripts without blanks cut into pieces of four characters."""
    words = re.findall(r"\w+(?:['’.-]\w+)*", sentence)
    return [piece for word in words for piece in _cut(word)]


def _cut(word: str) -> list[str]:
    if word.isascii() or len(word) <= _LONGEST_WORD:
        return [word]
    return [word[start : start + 4] for start in range(0, len(word), 4)]
