"""Measures of one question's ranking, answer and abstention.

Every function looks at a single question and gives a number between 0 and 1, or NaN where the
measure does not apply to it, so that the mean over the questions that remain is the metric.
Relevance is binary. A ranking is a sequence of chunk ids, best first, without repetition.
"""

import math
import string
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence

NOT_APPLICABLE = math.nan
_ARTICLES = frozenset(("a", "an", "the"))
# Scripts written without blanks: kana, Han, Hangul is excluded as it has blanks; Thai, Lao, Khmer.
_UNSPACED = (("\u0e00", "\u0eff"), ("\u1780", "\u17ff"), ("\u3040", "\u30ff"), ("\u3400", "\u9fff"))


def ndcg_at_k(ranking: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Normalised discounted cumulative gain of the first ``k``, Järvelin and Kekäläinen 2002.

    Gain 1 for a relevant chunk, discount 1 / log2(rank + 1); 1 where every relevant chunk that
    fits into ``k`` stands at the top. NaN where nothing is relevant.
    """
    if not relevant:
        return NOT_APPLICABLE
    found = sum(_discount(rank) for rank, one in enumerate(ranking[:k], 1) if one in relevant)
    ideal = sum(_discount(rank) for rank in range(1, min(k, len(relevant)) + 1))
    return found / ideal


def recall_at_k(ranking: Sequence[str], relevant: Collection[str], k: int) -> float:
    """Share of the relevant chunks among the first ``k``; NaN where nothing is relevant."""
    if not relevant:
        return NOT_APPLICABLE
    return len(set(ranking[:k]) & set(relevant)) / len(set(relevant))


def reciprocal_rank(ranking: Sequence[str], relevant: Collection[str]) -> float:
    """1 / rank of the first relevant chunk, 0 where none is ranked; its mean is MRR.

    Voorhees 1999. NaN where nothing is relevant.
    """
    if not relevant:
        return NOT_APPLICABLE
    return next((1 / rank for rank, one in enumerate(ranking, 1) if one in relevant), 0.0)


def token_f1(answer: str, gold: str) -> float:
    """F1 between the tokens of the whole answer and of the gold span, as in SQuAD.

    Rajpurkar et al. 2016, with punctuation of every script removed and unspaced scripts taken
    character by character as in MLQA (Lewis et al. 2020). NaN where the gold span has no token.
    """
    return _f1(tokens(answer), tokens(gold))


def span_f1(answer: str, gold: str) -> float:
    """Best SQuAD token F1 between the gold span and any window of the answer.

    Windows are runs of tokens at most twice as long as the gold span. An answer made of whole
    sentences is right if the span stands in it, which ``token_f1`` would punish as verbose: 1
    means exactly that the normalised span is in the answer. NaN where the gold span has no token.
    """
    said, wanted = tokens(answer), tokens(gold)
    if not wanted:
        return NOT_APPLICABLE
    return max((_best_window_from(said, start, wanted) for start in range(len(said))), default=0.0)


def citation_precision(cited: Sequence[Collection[str]], relevant: Collection[str]) -> float:
    """Share of the cited passages, each the ids of its chunks, with a relevant chunk in them; NaN
    where nothing is cited or relevant."""
    if not cited or not relevant:
        return NOT_APPLICABLE
    return sum(any(one in relevant for one in ids) for ids in cited) / len(cited)


def abstention_precision(abstained: bool, answerable: bool) -> float:
    """1 for a right abstention, 0 for a wrong one; NaN where an answer was given."""
    return float(not answerable) if abstained else NOT_APPLICABLE


def abstention_recall(abstained: bool, answerable: bool) -> float:
    """1 where an unanswerable question was declined, else 0; NaN for an answerable question."""
    return NOT_APPLICABLE if answerable else float(abstained)


def tokens(text: str) -> list[str]:
    """Lower-case words without punctuation and English articles, SQuAD's normalisation."""
    kept = "".join(_spaced(character) for character in text.lower() if not _is_mark(character))
    return [word for word in kept.split() if word not in _ARTICLES]


def _best_window_from(said: Sequence[str], start: int, wanted: Sequence[str]) -> float:
    left, shared, best = Counter(wanted), 0, 0.0
    for length, word in enumerate(said[start : start + 2 * len(wanted)], 1):
        if left[word] > 0:
            left[word] -= 1
            shared += 1
            best = max(best, 2 * shared / (length + len(wanted)))
    return best


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    if not wanted:
        return NOT_APPLICABLE
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / (len(said) + len(wanted))


def _discount(rank: int) -> float:
    return 1 / math.log2(rank + 1)


def _is_mark(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def _spaced(character: str) -> str:
    unspaced = any(first <= character <= last for first, last in _UNSPACED)
    return f" {character} " if unspaced else character
