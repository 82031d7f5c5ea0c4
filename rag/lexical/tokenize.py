"""Text to the terms that BM25 counts.

Documents and questions go through the same rules: words are split at case changes, underscores,
dots and between letters and digits, and the joined form is kept beside the parts, so that
``LinearModel``, ``linear_model`` and ``linear model`` meet; accents are folded, case is dropped,
English endings are removed (Snowball); scripts without spaces between words give bigrams.

Stopwords stay in documents, where they only make length honest, and are dropped from questions
(on SciFact's train questions better than dropping them from both).
"""

import re
import threading
import unicodedata
from functools import lru_cache
from itertools import chain

import regex
import Stemmer

TOKENIZER = "identifiers-1"
"""Changes with the rules: an index remembers which rules made it."""

STOPWORDS = frozenset(
    """a about am an and any are as at be been being but by can cannot could did do does doing done
    each for from had has have having he her here hers him his how i if in into is it its itself
    just may me might mine must my no nor not of on only or our ours own shall she should so some
    such than that the their theirs them then there these they this those to too us very was we
    were what when where which while who whom whose why will with would you your yours""".split()
)
_CONTRACTION = regex.compile(r"n?['’](?:s|t|d|m|re|ve|ll)$", regex.IGNORECASE)
_SEPARATOR = regex.compile(r"[.'’]")
_QUOTED = regex.compile(r"[`'\"‘“]([\p{L}_]+)[`'\"’”]")

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
# Bounded, so that a file without spaces cannot make one endless word.
_WORD = regex.compile(r"[\p{L}\p{N}\p{M}_]{1,64}(?:[.'’][\p{L}\p{N}\p{M}_]{1,64}){0,15}")
# The same for text without anything else, by the quicker module.
_ASCII_WORD = re.compile(r"[A-Za-z0-9_]{1,64}(?:[.'][A-Za-z0-9_]{1,64}){0,15}")
_LOWER = rf"[[\p{{L}}\p{{M}}]--[\p{{Lu}}{_UNSPACED}]]"
_PART = regex.compile(
    rf"(?P<unspaced>[{_UNSPACED}]+)"
    rf"|(?P<plural>\p{{Lu}}{{2,}})s(?!{_LOWER})"  # RNAs
    rf"|\p{{Lu}}+(?=\p{{Lu}}{_LOWER})"  # HTTP of HTTPServer
    rf"|\p{{Lu}}?{_LOWER}+|\p{{Lu}}+|\p{{N}}+",
    regex.VERSION1,
)
_local = threading.local()


def tokenize(text: str, *, keep_stopwords: bool = False) -> list[str]:
    """The terms of ``text`` in order, repeats included; ``[]`` where it holds no word."""
    terms = list(chain.from_iterable(map(word_terms, words(text))))
    return terms if keep_stopwords else [term for term in terms if term not in _stop_terms()]


def words(text: str) -> list[str]:
    """What stands between blanks and marks, identifiers and dotted names whole."""
    found: list[str] = (_ASCII_WORD if text.isascii() else _WORD).findall(text)
    return found


def query_terms(question: str) -> list[str]:
    """The terms of a question that are worth looking up.

    Stopwords are dropped unless they are quoted (what does `with` do?) or nothing else is left.
    """
    terms = tokenize(question)
    terms += [
        t for word in _QUOTED.findall(question) for t in word_terms(word) if t in _stop_terms()
    ]
    return terms or tokenize(question, keep_stopwords=True)


@lru_cache(maxsize=1 << 17)
def word_terms(word: str) -> tuple[str, ...]:
    """The terms of one of a text's `words`."""
    pieces = _SEPARATOR.split(_fold(_CONTRACTION.sub("", word)))
    terms = [term for piece in pieces for term in _piece_terms(piece)]
    if len(pieces) == 1 or not terms:
        return tuple(terms)
    return (_stem(_joined(pieces)), *(term for term in terms if len(term) > 1))


def _piece_terms(piece: str) -> list[str]:
    """An identifier's joined form and its parts; a plain word alone."""
    parts = list(_PART.finditer(piece))
    if any(part["unspaced"] for part in parts):
        return [term for part in parts for term in _spread(part)]
    if len(parts) < 2:
        return [_part_term(part) for part in parts]
    joined = _stem(piece.replace("_", ""))
    return [joined, *(_part_term(part) for part in parts if len(part.group()) > 1)]


def _part_term(part: "regex.Match[str]") -> str:
    return _stem(part["plural"] or part.group())


def _spread(part: "regex.Match[str]") -> list[str]:
    """Bigrams of a run in a script without spaces."""
    run = part["unspaced"]
    if not run or len(run) == 1:
        return [_part_term(part)]
    return [run[i : i + 2] for i in range(len(run) - 1)]


def _joined(pieces: list[str]) -> str:
    """One spelling for a compound however it is written; a number keeps its points."""
    numeric = all(piece.isdecimal() for piece in pieces)
    return (".".join(pieces) if numeric else "".join(pieces)).replace("_", "")


def _fold(word: str) -> str:
    """Compatibility forms unified and accents (U+0300 to U+036F) removed; other marks stay."""
    if word.isascii():
        return word
    plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not "\u0300" <= c <= "\u036f")
    return unicodedata.normalize("NFC", plain)


def _stem(word: str) -> str:
    # A Stemmer must not be used by two threads at once.
    if not hasattr(_local, "stemmer"):
        _local.stemmer = Stemmer.Stemmer("english", 0)
    stemmed: str = _local.stemmer.stemWord(word.casefold())
    return stemmed


@lru_cache(maxsize=1)
def _stop_terms() -> frozenset[str]:
    return frozenset(term for word in STOPWORDS for term in word_terms(word))
