"""Sentences that passages support, and sentences that they do not, made by rule from both.

Each is held against the passage it was made from and another one on the same subject, as an answer
that cites two. Nothing here comes from a language model, so what is true is known.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.answer_cases import Collection, folded
from rag.lexical.tokenize import tokenize
from rag.questions import Question
from rag.readable import units
from rag.relevance import locate
from rag.types import Chunk

SUPPORTED = ("verbatim", "reordered", "synonyms", "shortened", "joined", "restated", "answered")
UNSUPPORTED = (
    *("elsewhere", "number", "name", "exchanged", "negated"),
    *("appended", "spliced", "misstated", "misanswered"),
)
FRAMES = ("The answer is {}.", "It is {}.", "According to the text, {}.")
LEAST_WORDS = 7
OF_EACH_KIND = 2  # claims of one kind from one passage

SYNONYMS = dict(
    pair.split("=")
    for pair in """big=large large=big small=little began=started started=began begin=start
    built=constructed constructed=built many=numerous numerous=many important=significant
    significant=important near=close_to shut=closed quickly=rapidly rapidly=quickly
    show=demonstrate shows=demonstrates showed=demonstrated used=employed use=employ help=aid
    helped=aided obtained=got received=got several=various various=several called=named named=called
    nearly=almost almost=nearly approximately=about about=roughly after=following because=since
    however=but also=additionally often=frequently frequently=often usually=normally
    created=made made=produced produced=made founded=established established=founded
    require=need requires=needs need=require needs=requires must=has_to allows=permits
    allow=permit given=supplied return=give_back returned=given_back raised=thrown
    whole=entire entire=whole main=chief rest=remainder kept=retained changes=alters change=alter
    first=initial final=last last=final won=gained lost=forfeited people=persons
    city=town old=ancient region=area area=region believed=thought""".split()
)
_LEADING = re.compile(
    r"^(?P<adjunct>(?:In|On|After|Before|During|By|At|From|Because|When|If|As|Since|With|Where|For)"
    r"\b[^,;:]{4,90}), (?P<rest>[^;:]{25,})(?P<end>[.!?])$"
)
_TRAILING = re.compile(
    r"^(?P<rest>[^;:]{25,}?) (?P<adjunct>(?:in|on|after|before|during|by|because|when|if|since)"
    r"\b[^,;:]{4,60})(?P<end>[.!?])$"
)
_BRACKETED = re.compile(r" ?\([^()]{3,}\)|, (?:which|who|where) [^,.;]{5,}(?=[,.])")
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|has|have|had|can|will|must|may|would|could|should|does|did)\b"
    r"(?= \w)(?! (?:not|no|never|only|just)\b)"
)
_NOT = re.compile(r"\b(is|are|was|were|has|have|had|can|will|must|would|could|does|did) not\b")
_NUMBERS = "two three four five six seven eight nine ten twelve twenty thirty fifty".split()
_NUMBER = re.compile(rf"\b(?:\d+(?:[.,]\d+)*|{'|'.join(_NUMBERS)})\b")
_NAME = re.compile(r"(?<!^)(?<![.!?:] )\b[A-Z][a-zé]{2,}(?: [A-Z][a-zé]{2,})*")

_FACTUAL = re.compile(r"(?:Who|What|When|Where|Which|In w|How (?:many|much|long|old|far))", re.I)


@dataclass(frozen=True)
class Claim:
    """``text`` held against ``passages``; ``origin`` numbers the passage it was made from."""

    text: str
    passages: tuple[Chunk, ...]
    kind: str
    origin: int

    @property
    def supported(self) -> bool:
        return self.kind in SUPPORTED


def claims(collection: Collection, most: int, seed: int = 0) -> list[list[Claim]]:
    """Claims of every kind from at most so many passages, a list for each passage; the same for
    the same seed."""
    rng = random.Random(seed)
    maker = _Maker(collection, rng)
    numbers = sorted(rng.sample(range(len(maker.chunks)), min(most, len(maker.chunks))))
    return [found for number in numbers if (found := list(maker.of_passage(number)))]


class _Maker:
    def __init__(self, collection: Collection, rng: random.Random) -> None:
        self.rng = rng
        self.chunks = collection.chunks
        self.sentences = [_plain_sentences(chunk) for chunk in self.chunks]
        self.by_subject: dict[str, list[int]] = defaultdict(list)
        for number, chunk in enumerate(self.chunks):
            self.by_subject[_subject(chunk)].append(number)
        every = [one for found in self.sentences for one in found]
        self.numbers = sorted({n for one in every for n in _NUMBER.findall(one)})
        self.names = sorted({n for one in every for n in _NAME.findall(one)})
        self.questions = _questions(collection)
        self.spans = sorted({one.answer for found in self.questions.values() for one in found})

    def of_passage(self, number: int) -> Iterator[Claim]:
        own = [one for one in self.by_subject[_subject(self.chunks[number])] if one != number]
        others = own or [n for n in range(len(self.chunks)) if n != number]
        second = self.rng.choice(others)
        passages = (self.chunks[number], self.chunks[second])
        given = words("\n".join(f"{one.heading} {one.text}" for one in passages))
        strange = [
            sentence
            for other in others
            for sentence in self.sentences[other]
            if words(sentence) not in given
        ]
        made: dict[str, list[str]] = defaultdict(list)
        for sentence in self.sentences[number]:
            for kind, text in self._of_sentence(number, sentence, strange, given):
                made[kind].append(text)
        made["elsewhere"] = strange
        made["joined"] = [
            appended(*self.rng.sample(self.sentences[number], 2))
            for _ in range(OF_EACH_KIND)
            if len(self.sentences[number]) > 1
        ]
        for kind, text in self._of_questions(number, given):
            made[kind].append(text)
        for kind, texts in made.items():
            for text in self.rng.sample(texts, min(OF_EACH_KIND, len(texts))):
                yield Claim(text, passages, kind, number)

    def _of_sentence(
        self, number: int, sentence: str, strange: Sequence[str], given: str
    ) -> Iterator[tuple[str, str]]:
        yield "verbatim", sentence
        for kind, changed in (
            ("reordered", reordered(sentence)),
            ("synonyms", with_synonyms(sentence)),
            ("shortened", shortened(sentence)),
            ("number", self._swapped(sentence, _NUMBER, self.numbers, given)),
            ("name", self._swapped(sentence, _NAME, self.names, given)),
            ("exchanged", self._exchanged(sentence, number, given)),
            ("negated", negated(sentence)),
            ("spliced", spliced(sentence, self.rng.choice(strange)) if strange else ""),
            ("appended", appended(sentence, self.rng.choice(strange)) if strange else ""),
        ):
            if changed and changed != sentence:
                yield kind, changed

    def _swapped(
        self, sentence: str, pattern: re.Pattern[str], others: Sequence[str], given: str
    ) -> str:
        """One match replaced with another of the corpus, which may stand in the passages too."""
        found = list(pattern.finditer(sentence))
        if not found:
            return ""
        match = self.rng.choice(found)
        fitting = [one for one in others if one not in sentence and _alike(one, match[0])]
        if not fitting:
            return ""
        changed = sentence[: match.start()] + self.rng.choice(fitting) + sentence[match.end() :]
        return changed if words(changed) not in given else ""

    def _exchanged(self, sentence: str, number: int, given: str) -> str:
        """A name or number replaced with another one of the same passage."""
        pattern = self.rng.choice((_NAME, _NUMBER))
        others = {one for text in self.sentences[number] for one in pattern.findall(text)}
        return self._swapped(sentence, pattern, sorted(others), given)

    def _of_questions(self, number: int, given: str) -> Iterator[tuple[str, str]]:
        for question in self.questions.get(number, ()):
            frame = self.rng.choice(
                ("The answer is {}.", "It is {}.", "According to the text, {}.")
            )
            asked = question.question.rstrip("?")
            factual = bool(_FACTUAL.match(asked))
            yield "restated", frame.format(question.answer)
            if factual:
                yield "answered", f"{asked}: {question.answer}."
            other = self.rng.choice(self.spans)
            if words(other) not in given:
                yield "misstated", frame.format(other)
                if factual:
                    yield "misanswered", f"{asked}: {other}."


def words(text: str) -> str:
    """The words of ``text`` alone, to see whether one text stands in another."""
    return " ".join(["", *tokenize(text, keep_stopwords=True), ""])


def reordered(sentence: str) -> str:
    """An adjunct moved from the front to the end, or back."""
    if match := _LEADING.match(sentence):
        rest, adjunct = match["rest"], match["adjunct"]
        return f"{_capital(rest)} {adjunct[0].lower()}{adjunct[1:]}{match['end']}"
    if match := _TRAILING.match(sentence):
        return f"{_capital(match['adjunct'])}, {_small(match['rest'])}{match['end']}"
    return ""


def with_synonyms(sentence: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        return SYNONYMS.get(match[0], match[0]).replace("_", " ")

    return re.sub(r"\b[a-z]+\b", replaced, sentence)


def shortened(sentence: str) -> str:
    """Without brackets, relative clauses, or the adjunct in front."""
    without = _BRACKETED.sub("", sentence)
    if without != sentence:
        return without.replace(",.", ".")
    match = _LEADING.match(sentence)
    return _capital(match["rest"]) + match["end"] if match else ""


def negated(sentence: str) -> str:
    if _NOT.search(sentence):
        return _NOT.sub(r"\1", sentence, count=1)
    return _AUXILIARY.sub(r"\1 not", sentence, count=1)


def appended(sentence: str, other: str) -> str:
    """A true sentence that goes on with what the passages do not say."""
    return f"{sentence.rstrip('.!?')}, and {_small(other.rstrip('.!?'))}."


def spliced(sentence: str, other: str) -> str:
    """The first half of one sentence and the second of another."""
    first, second = sentence.split(), other.split()
    return " ".join([*first[: len(first) // 2], *second[len(second) // 2 :]])


def _plain_sentences(chunk: Chunk) -> list[str]:
    return [
        unit.text
        for unit in units(chunk)
        if "\n" not in unit.text
        and unit.text[-1] in ".!?"
        and unit.text[0].isupper()
        and len(unit.text.split()) >= LEAST_WORDS
    ]


def _subject(chunk: Chunk) -> str:
    return chunk.trail[0] if chunk.trail else chunk.uri


def _questions(collection: Collection) -> dict[int, list[Question]]:
    """Questions by number of the chunk that holds their answer."""
    places = {chunk.chunk_id: number for number, chunk in enumerate(collection.chunks)}
    relevant = locate(collection.questions, collection.chunks).relevant
    found: dict[int, list[Question]] = defaultdict(list)
    for question in collection.questions:
        for chunk_id in sorted(relevant.get(question.id, ())):
            text = folded(collection.chunks[places[chunk_id]].text)
            if question.answer and folded(question.answer) in text:
                found[places[chunk_id]].append(question)
    return found


def _alike(one: str, other: str) -> bool:
    """Figures for figures, spelled numbers for spelled ones, names for names."""
    return one[0].isdigit() == other[0].isdigit() and len(one.split()) == len(other.split())


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _small(text: str) -> str:
    """Without a sentence's capital; names keep theirs."""
    first = text.split(maxsplit=1)[0]
    common = first in {"The", "A", "An", "In", "On", "It", "This", "These", "By", "At", "After"}
    return text[0].lower() + text[1:] if common or text[0].islower() else text
