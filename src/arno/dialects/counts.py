"""Numbers of a usage object that an upstream tells: token counts and costs, never trusted.

A count that no ledger row can hold is noise of an upstream, so it is unknown, as amounts of money
are beyond `arno.ledger.money.MAX_NANO`.
"""

from __future__ import annotations

from decimal import Decimal

from arno.canon.ext import Json

MAX_COUNT = 2**53 - 1
"""The largest whole number that every reader of JSON takes exactly (RFC 8259, section 6)."""


def count(value: Json) -> int | None:
    """A token count, or None for anything that is not a whole number from 0 to `MAX_COUNT`."""
    if isinstance(value, Decimal) and 0 <= value <= MAX_COUNT and value == int(value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MAX_COUNT else None


def cost_text(value: Json) -> str | None:
    """The reported cost with its own digits, or None for anything that is no number."""
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
