"""Money as integers: amounts in nano-USD, rates in nano-USD per million tokens.

Serves behaviour R24 (exact money) and architecture section 3: a row is rounded once, half-even; a
reported cost keeps its text elsewhere and is only converted here. There is no float in this file.
"""

from __future__ import annotations

import re
from decimal import Decimal

PLACES = 9
"""Decimal places of one nano-USD in a dollar."""

TOKENS_PER_RATE = 10**6
"""A rate is the price of this many tokens."""

MAX_NANO = 2**63 - 1
"""The largest amount that a ledger row can hold: about 9.2 thousand million dollars."""

MAX_TEXT = 64
"""Longest amount in characters; a longer one is noise of an upstream, not money."""

Rate = int
"""Nano-USD per million tokens: "0.15" USD per million is 150_000_000."""

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BEYOND = 12
"""Amounts of 10**12 and more are out of bounds whatever their digits."""


def divide_half_even(numerator: int, denominator: int) -> int:
    """The integer nearest to numerator / denominator; a tie goes to the even one."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient


def _scaled(text: str) -> tuple[int, int] | None:
    """The amount times 10**9 as a fraction (numerator, denominator), None if it is no amount."""
    if len(text) > MAX_TEXT or not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if number == 0:
        return 0, 1
    if number.adjusted() >= _BEYOND:
        return None
    if number.adjusted() < -MAX_TEXT:
        return 0, 1
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        return None
    whole = int("".join(map(str, digits))) * (-1 if sign else 1)
    shift = exponent + PLACES
    return (whole * 10**shift, 1) if shift >= 0 else (whole, 10**-shift)


def parse_usd(text: str) -> int | None:
    """Nano-USD of a decimal amount in USD, rounded once, half-even.

    JSON numbers are accepted ("2.582e-4"). None for anything else, and for amounts that no ledger
    row can hold: an upstream's text is never trusted.
    """
    scaled = _scaled(text)
    if scaled is None:
        return None
    nano = divide_half_even(*scaled)
    return nano if abs(nano) <= MAX_NANO else None


def parse_rate(text: str) -> Rate:
    """The rate of a decimal price in USD per million tokens, exactly.

    Raises ValueError for a text that is no such price: negative, out of bounds, or finer than
    one nano-USD per million tokens (nothing is rounded here).
    """
    scaled = _scaled(text)
    if scaled is None or scaled[0] < 0 or scaled[0] % scaled[1]:
        raise ValueError(f"not a price in USD per million tokens: {text!r}")
    return scaled[0] // scaled[1]


def _plain(value: int, places: int) -> str:
    """value / 10**places as a plain decimal without needless zeros."""
    whole, fraction = divmod(abs(value), 10**places)
    digits = f"{fraction:0{places}d}".rstrip("0")
    text = f"{whole}.{digits}" if digits else str(whole)
    return f"-{text}" if value < 0 else text


def format_usd(nano: int) -> str:
    """USD as a plain decimal: no exponent, no needless zeros (258_200 is "0.0002582")."""
    return _plain(nano, PLACES)


def format_token_price(rate: Rate) -> str:
    """USD per single token as a plain decimal (150_000_000 is "0.00000015")."""
    return _plain(rate, PLACES + 6)
