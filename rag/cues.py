"""What kind of thing an English question asks for, and whether a sentence has one to offer.

The question-type and answer-type rules of early question answering (Li and Roth 2002 list the
types) in their simplest form. Questions of other kinds or languages are of no type, and then every
sentence is as good as any other.
"""

import re

NEUTRAL = 0.5

_MEASURES = "many|much|long|old|far|large|tall|big|often|fast|high|deep|wide|late|hot|cold|heavy"
_AMOUNTS = "percent|percentage|number|temperature|proportion|fraction|share|portion|age|amount"
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_NUMBERS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    "|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    "|hundred|thousand|million|billion|half|third|quarter|several|dozen|twice|both|single|double"
)
# The first that matches a question is its type, so that "what year" is no amount.
_TYPES = {
    "time": re.compile(
        r"\bwhen\b|\b(?:what|which) (?:year|date|century|day|month|decade|time)\b", re.I
    ),
    "amount": re.compile(rf"\bhow (?:{_MEASURES})\b|\bwhat (?:{_AMOUNTS})\b", re.I),
    "name": re.compile(
        r"\bwho(?:m|se)?\b|\bwhere\b|\b(?:what|which) (?:person|man|woman|city|country|place"
        r"|continent|state|river|island|sea)\b",
        re.I,
    ),
    "reason": re.compile(r"\bwhy\b", re.I),
}
_TIME = re.compile(
    rf"\b1\d\d\d\b|\b20\d\d\b|\b(?:{_MONTHS}|{_DAYS}|century|spring|summer|autumn|winter|\d+0s|BC|AD"
    r"|years?|days?|ago)\b"
)
_AMOUNT = re.compile(rf"\d|\b(?:{_NUMBERS})\b", re.I)
_REASON = re.compile(
    r"\b(?:because|since|due|so that|in order|as a result|caused?|reason|therefore|thus|owing"
    r"|thanks|led to|leads? to|to \w+)\b",
    re.I,
)
# A capital that does not merely begin the sentence.
_NAME = re.compile(r"(?<!^)(?<![.!?] )\b[A-Z][\w’'-]+")


def question_type(question: str) -> str:
    """``time``, ``amount``, ``name``, ``reason``, or an empty string."""
    return next((name for name, rule in _TYPES.items() if rule.search(question)), "")


def offers(question: str, sentence: str) -> float:
    """1 where ``sentence`` holds a thing of the type asked for, 0 where not, NEUTRAL if untyped."""
    match question_type(question):
        case "time":
            return float(_TIME.search(sentence) is not None)
        case "amount":
            return float(_AMOUNT.search(sentence) is not None)
        case "name":
            asked = question.lower()
            return float(any(name.lower() not in asked for name in _NAME.findall(sentence)))
        case "reason":
            return float(_REASON.search(sentence) is not None)
    return NEUTRAL
