"""Durations in Go's text form (`1.490590208s`, `1h2m5s`), as integer nanoseconds.

Serves spec/cassettes.md section 2.2. No floating point: every nanosecond survives.
"""

import re

from arno.cassette.errors import CassetteError

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_SMALL_UNITS = ((1_000, 1, "ns"), (1_000_000, 1_000, "\u00b5s"), (1_000_000_000, 1_000_000, "ms"))
_UNIT = "(ns|us|\u00b5s|\u03bcs|ms|s|m|h)"
_TERM = re.compile(rf"(\d{{0,20}})(?:\.(\d{{0,20}}))?{_UNIT}", re.ASCII)
_DURATION = re.compile(rf"[-+]?(?:(?=\.?\d)\d{{0,20}}(?:\.\d{{0,20}})?{_UNIT})+", re.ASCII)
_ZEROS = ("", "0", "+0", "-0")
_INT64 = 1 << 63


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration; empty text is 0, as the oldest recorders wrote it.

    A fraction finer than a nanosecond is cut, as in Go. Raises CassetteError on anything else.
    """
    if text in _ZEROS:
        return 0
    if _DURATION.fullmatch(text) is None:
        raise CassetteError("expected a duration such as 1.5s")
    terms = _TERM.finditer(text)
    total = sum(_term_ns(term[1], term[2] or "", _UNITS[term[3]]) for term in terms)
    if total >= _INT64:
        raise CassetteError("expected a duration below 292 years")
    return -total if text[0] == "-" else total


def format_duration(ns: int) -> str:
    """Go's text of a duration in nanoseconds: the exact inverse of `parse_duration`."""
    if ns == 0:
        return "0s"
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    for limit, unit, name in _SMALL_UNITS:
        if ns < limit:
            return f"{sign}{decimal_text(ns, unit)}{name}"
    minutes, below = divmod(ns, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    seconds = f"{decimal_text(below, _UNITS['s'])}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def decimal_text(value: int, unit: int) -> str:
    """`value / unit` in decimal digits without trailing zeros; `unit` is a power of ten."""
    whole, fraction = divmod(value, unit)
    if not fraction:
        return str(whole)
    digits = len(str(unit)) - 1
    return f"{whole}.{fraction:0{digits}d}".rstrip("0")


def _term_ns(whole: str, fraction: str, unit: int) -> int:
    part = int(fraction) * unit // 10 ** len(fraction) if fraction else 0
    return int(whole or "0") * unit + part
