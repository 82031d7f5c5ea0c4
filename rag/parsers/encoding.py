"""Bytes of a text file to text, whatever wrote them."""

import codecs
import re

from lifecycle.errors import SourceError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is a prefix of this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# The legacy encodings of the WHATWG standard in wide use. Left to itself the detector prefers
# rare code pages (cp775, cp1006) for short Western texts.
_LEGACY = [
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp874"),
    *("cp932", "euc_jp", "cp949", "gb18030", "big5"),
]
_SAMPLE = 200_000  # bytes that the detector reads
_CONTROL = re.compile("[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")  # not \a \b \t \n \v \f \r ESC
_MOST_STRANGE = 0.02  # of all characters: control characters, broken ones
_MOST_BROKEN = 0.2  # of the characters beyond ASCII
_BINARY = "is not a text file (binary content)."


def decode(data: bytes, declared: str = "") -> str:
    """``data`` as text with ``\\n`` line ends and without a byte-order mark.

    Tries, in order: the byte-order mark; UTF-8; ``declared`` (what the file says of itself);
    UTF-16 by the place of its zero bytes; detection. A UTF-8 file with few broken characters
    keeps the rest and shows them as U+FFFD. Raises SourceError for what is no text.
    """
    text = _decoded(data, declared)
    strange = len(_CONTROL.findall(text)) + text.count("\ufffd")
    if strange > _MOST_STRANGE * len(text):
        raise SourceError(_BINARY)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(data: bytes, declared: str) -> str:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    if b"\x00" in data[:_SAMPLE]:
        return _utf16_by_zeros(data)
    for name in ("utf-8", declared):
        if name and (text := _strict(data, name)) is not None:
            return text
    mended = data.decode("utf-8", "replace")
    return mended if _mostly_whole(mended) else _detected(data)


def _strict(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except (UnicodeDecodeError, LookupError):
        return None


def _utf16_by_zeros(data: bytes) -> str:
    """Text of Latin letters in UTF-16 has a zero in every second byte, and none in the others."""
    sample = data[:_SAMPLE]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    text = _strict(data, "utf-16-le" if odd > even else "utf-16-be")
    lopsided = max(even, odd) > 0.2 * len(sample) and min(even, odd) < 0.02 * len(sample)
    if text is None or not lopsided:
        raise SourceError(_BINARY)
    return text


def _mostly_whole(text: str) -> bool:
    beyond_ascii = sum(map(len, re.findall("[^\x00-\x7f]+", text)))
    return text.count("\ufffd") <= _MOST_BROKEN * beyond_ascii


def _detected(data: bytes) -> str:
    from charset_normalizer import from_bytes

    western = data.decode("cp1252", "replace")
    if not re.search(r"[^\W\d_\x00-\x7f]", western):
        return western  # English with typographic quotes and the like
    first = re.search(b"[\x80-\xff]", data)
    middle = first.start() if first else 0
    # From a line's start, so that the sample cuts no multi-byte character in two.
    start = data.rfind(b"\n", max(0, middle - _SAMPLE // 2), middle) + 1
    matches = from_bytes(data[start : start + _SAMPLE], cp_isolation=_LEGACY)
    best = matches.best()
    if best is None:
        raise SourceError("is not a text file, or its encoding is unknown.")
    # Where the Western code page is as plausible as the best, it is the likelier: it is what
    # the WHATWG standard falls back on. Ties are frequent as most bytes are ASCII.
    plausible = [match for match in matches if match.chaos <= best.chaos + 0.05]
    if any("cp1252" in match.could_be_from_charset for match in plausible):
        return western
    return data.decode(best.encoding, "replace")
