"""What a sentence states that has to match to the letter: numbers, names, and what it denies."""

import re
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass

from rag.evidence import names
from rag.lexical.tokenize import tokenize

_NEGATION = re.compile(r"not|no|never|neither|nor|without|cannot|lacks?|\w+n['’]t", re.I)
_PASSED_OVER = re.compile(r"longer|\w+ly", re.I)
_NO_NEGATION = re.compile(r"only|just|merely", re.I)
_WORDS = re.compile(r"\w+(?:['’]\w+)*|[.;:!?]|,(?= (?:and|but|while|whereas|so|or) )")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SPELLED = {
    word: str(value)
    for value, word in enumerate(
        """two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
        sixteen seventeen eighteen nineteen twenty""".split(),
        start=2,
    )
} | {
    word: str(10 * value)
    for value, word in enumerate("thirty forty fifty sixty seventy eighty ninety".split(), start=3)
}
_SPELLED |= {"hundred": "100", "thousand": "1000", "million": "1000000", "billion": "1000000000"}
_SPELLED_WORD = re.compile(rf"\b(?:{'|'.join(_SPELLED)})\b", re.I)


def facts(text: str) -> set[str]:
    """Numbers, in figures, and terms of names in ``text``, the first word's capital apart."""
    text = re.sub(r"^\W+", "", text)
    if re.match(r"\w+[A-Z\d]", text):  # GPU is a name wherever it stands
        text = f" {text}"
    figures = {_figure(one) for one in _NUMBER.findall(text)}
    spelled = {_SPELLED[one.lower()] for one in _SPELLED_WORD.findall(text)}
    return figures | spelled | {one for one in names(text) if not one[0].isdigit()}


def _figure(number: str) -> str:
    """``8,900`` as ``8900``."""
    return re.sub(r",(?=\d{3}(?!\d))", "", number)


def stands(fact: str, given: Set[str]) -> bool:
    """Whether a fact is among those given, as it is or as ``Egypt`` is in ``Egyptian``."""
    return fact in given or (fact.isalpha() and any(_derived(fact, one) for one in given))


def _derived(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= 4 and long.startswith(short) and len(long) - len(short) <= 3


@dataclass(frozen=True)
class Polarity:
    """How often each term stands in a sentence, and how often it is denied there."""

    said: Counter[str]
    denied: Counter[str]

    @classmethod
    def of(cls, text: str) -> "Polarity":
        """A negation denies the next word that is no stopword, adverbs apart."""
        said, denied, pending = Counter[str](), Counter[str](), False
        for word in _WORDS.findall(text):
            if _NEGATION.fullmatch(word):
                pending = True
                continue
            terms = tokenize(word)
            said.update(terms)
            if pending:
                denied.update(terms)
            ends = _NO_NEGATION.fullmatch(word) or word in ".;:!?,"
            pending = pending and not ends and (not terms or bool(_PASSED_OVER.fullmatch(word)))
        return cls(said, denied)

    def agrees(self, other: "Polarity") -> bool:
        """Whether neither denies what the other says; where both do either, nobody can tell."""
        shared = (self.denied.keys() | other.denied.keys()) & self.said.keys() & other.said.keys()
        return not any(self._contradicts(other, term) for term in shared)

    def _contradicts(self, other: "Polarity", term: str) -> bool:
        if self.said[term] == other.said[term]:
            return self.denied[term] != other.denied[term]
        return {one.denied[term] / one.said[term] for one in (self, other)} == {0.0, 1.0}
