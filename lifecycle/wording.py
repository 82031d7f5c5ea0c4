"""Numbers in words: for reasons, where digits count, and for tables, where columns line up."""

import math

MISSING = "—"


def significant(number: float, digits: int = 3) -> str:
    """``number`` with ``digits`` significant digits; whole numbers in full."""
    if math.isfinite(number) and number == round(number) and abs(number) < 1e15:
        return f"{number:,.0f}"
    return f"{number:.{digits}g}"


def apart(one: float, other: float) -> tuple[str, str]:
    """Both numbers, with as many digits as it takes to see that they differ."""
    first = second = ""
    for digits in range(3, 18):
        first, second = significant(one, digits), significant(other, digits)
        if first != second:
            break
    return first, second


def aligned(number: float) -> str:
    """``number`` with decimals by its size, so that a column of like numbers lines up."""
    if not math.isfinite(number):
        return MISSING
    size = abs(number)
    decimals = 3 if size < 10 else 1 if size < 1_000 else 0
    return f"{number:,.{decimals}f}"
