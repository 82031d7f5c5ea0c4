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
_MOST_CONTROL = 0.002
_MOST_BROKEN = 0.05  # of the characters beyond ASCII


def decode(data: bytes, declared: str = "") -> str:
    """``data`` as text with ``\\n`` line ends and without a byte-order mark.

    Tries, in order: the byte-order mark; UTF-8; ``declared`` (what the file says of itself);
    UTF-16 by the place of its zero bytes; detection. A UTF-8 file with few broken characters
    keeps the rest and shows them as U+FFFD. Raises SourceError for what is no text.
    """
    text = _decoded(data, declared)
    if len(_CONTROL.findall(text)) > _MOST_CONTROL * len(text):
        raise SourceError("is not a text file (binary content).")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(data: bytes, declared: str) -> str:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return _strict(data[len(mark) :], name) or _fail(f"is damaged: it is no {name.upper()}")
    if b"\x00" in data[:_SAMPLE]:
        return _utf16_by_zeros(data)
    for name in ("utf-8", declared):
        if name and (text := _strict(data, name)) is not None:
            return text
    return _mended_utf8(data) or _detected(data)


def _fail(reason: str) -> str:
    raise SourceError(f"{reason}.")


def _strict(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except (UnicodeDecodeError, LookupError):
        return None


def _utf16_by_zeros(data: bytes) -> str:
    """Text of Latin letters in UTF-16 has a zero in every second byte, and none in the others."""
    sample = data[:_SAMPLE]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    name = "utf-16-le" if odd > even else "utf-16-be"
    lopsided = max(even, odd) > 0.2 * len(sample) and min(even, odd) < 0.02 * len(sample)
    return (_strict(data, name) if lopsided else None) or _fail(
        "is not a text file (binary content)"
    )


def _mended_utf8(data: bytes) -> str | None:
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    beyond_ascii = sum(map(len, re.findall("[^\x00-\x7f]+", text)))
    return text if broken <= _MOST_BROKEN * beyond_ascii else None


def _detected(data: bytes) -> str:
    from charset_normalizer import from_bytes

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
    western = any(
        "cp1252" in match.could_be_from_charset and match.chaos <= best.chaos + 0.05
        for match in matches
    )
    return data.decode("cp1252" if western else best.encoding, "replace")
