"""What a go-yaml reader would take a plain word for (spec/cassettes.md section 2.4, rules 3 and 4).

A word that reads as null, boolean, number, time or merge key must be quoted to stay text. The rules
are Go's, quirks included, because byte identity with its files depends on them.
"""

import calendar
import math
import re
from typing import Final

_RESOLVED: Final = frozenset(
    "|~|null|Null|NULL|true|True|TRUE|false|False|FALSE|<<"
    "|.nan|.NaN|.NAN|.inf|.Inf|.INF|+.inf|+.Inf|+.INF|-.inf|-.Inf|-.INF".split("|")
)
_OLD_BOOLEANS: Final = frozenset("y Y yes Yes YES on On ON n N no No NO off Off OFF".split())

_NUMERIC_START: Final = frozenset("+-0123456789")
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?", re.ASCII)
_DOT_FLOAT: Final = re.compile(r"\.\d+(?:_\d+)*(?:[eE][-+]?\d+(?:_\d+)*)?", re.ASCII)
_TIME: Final = r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?"
_TIMESTAMP: Final = re.compile(
    rf"(\d{{4}})-(\d{{1,2}})-(\d{{1,2}})"
    rf"(?:[Tt]{_TIME}(?:Z|[-+](\d\d):(\d\d))| {_TIME})?",
    re.ASCII,
)
_TIME_LIMITS: Final = (23, 59, 59, 24, 60)
_INTEGERS: Final = (
    (re.compile(r"([-+]?)0[xX]([0-9a-fA-F]+)", re.ASCII), 16),
    (re.compile(r"([-+]?)0[bB]([01]+)", re.ASCII), 2),
    (re.compile(r"([-+]?)0[oO]?([0-7]+)", re.ASCII), 8),
    (re.compile(r"([-+]?)(0|[1-9][0-9]*)", re.ASCII), 10),
    # Go strips the prefix and parses the rest with its own sign, so a sign may follow it.
    (re.compile(r"0b([-+])([01]+)", re.ASCII), 2),
    (re.compile(r"0o([-+])([0-7]+)", re.ASCII), 8),
)
# No integer below 2**64 has more digits in any base; int() of unbounded text is quadratic.
_MAX_DIGITS: Final = 64
_MAX_NUMBER: Final = 512


def reads_as_other(text: str) -> bool:
    """Whether go-yaml must quote `text` for it to stay a string."""
    if text in _RESOLVED or text in _OLD_BOOLEANS:
        return True
    first = text[0]
    if first == ".":
        return _DOT_FLOAT.fullmatch(text) is not None and _is_finite(text.replace("_", ""))
    if first not in _NUMERIC_START or len(text) > _MAX_NUMBER:
        return False
    return _is_number(text) or _is_timestamp(text) or _BASE_60.fullmatch(text) is not None


def _is_number(text: str) -> bool:
    """Whether Go reads `text` as an integer of 64 bits or as a finite float."""
    plain = text.replace("_", "")
    if any(_fits(pattern.fullmatch(plain), base) for pattern, base in _INTEGERS):
        return True
    return _FLOAT.fullmatch(plain) is not None and _is_finite(plain)


def _is_timestamp(text: str) -> bool:
    """Whether `text` is a date, or a date and time, that exists in the calendar."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        return False
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    if not 1 <= month <= 12 or not 1 <= day <= _days(year, month):
        return False
    # Hour, minute and second stand in one of two places, by the form; then the zone's two.
    parts = [found[4] or found[9], found[5] or found[10], found[6] or found[11], found[7], found[8]]
    return all(int(part or 0) <= most for part, most in zip(parts, _TIME_LIMITS, strict=True))


def _days(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _fits(found: re.Match[str] | None, base: int) -> bool:
    if found is None:
        return False
    digits = found[2].lstrip("0")
    if len(digits) > _MAX_DIGITS:
        return False
    value = int(digits or "0", base)
    if found[1] == "-":
        return value <= 1 << 63
    return value < 1 << (63 if found[1] else 64)


def _is_finite(text: str) -> bool:
    return math.isfinite(float(text))
