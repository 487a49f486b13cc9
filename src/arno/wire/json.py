"""JSON text to values and back, on msgspec, with every number kept exactly.

Serves the laws GetPut and PutGet (no digit may change on the way through), the rule that a reported
cost is emitted unchanged, and rows 18 and 20 of the table of bad inputs in the behaviour spec.

A *JSON value* here is what `loads` returns: dict, list, str, int, Decimal, bool or None.

What is accepted is RFC 8259 with these decisions where it leaves room:

- Of a key that occurs twice, the last value wins (msgspec's rule, and JavaScript's).
- A number with a fraction or an exponent is a Decimal holding the digits of the text. An integer is
  an int; `-0` therefore becomes 0, while `-0.0` keeps its sign.
- A magnitude that no double can hold (`1e999`) is refused, and so is a decimal exponent below
  -400 or a number of more than 4,300 characters: peers would read infinity, and a few bytes of text
  could become gigabytes of digits. NaN and Infinity are not JSON.
- Nesting deeper than 200 is refused, so that code which walks a value by recursion is safe.
- Lone surrogates, invalid UTF-8 and a leading BOM are refused.
"""

import math
import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Final

import msgspec
from msgspec import Raw

from arno.wire.errors import MalformedJSON

__all__ = ["MAX_DEPTH", "Raw", "canonical", "dumps", "equal", "is_plain", "loads"]

MAX_DEPTH: Final = 200
"""How deep objects and arrays may nest; a scalar has depth 0, `[]` has depth 1."""

_MAX_NUMBER_TEXT: Final = 4300  # Python's own bound on integer text, applied to fractions as well
_MIN_MAGNITUDE: Final = -400
_MAX_MAGNITUDE: Final = 308  # the power of ten of the largest double
# From 1e-12 up to below 1e21 a number is written without an exponent. The upper end is
# JavaScript's; the lower one is wider than its 1e-6, since prices and costs live there.
_PLAIN_MAGNITUDES: Final = range(-12, 21)
# msgspec writes a Decimal's str(), which may have an exponent or be no number at all. Both leave a
# mark that is cheaper to look for than to walk the value; in ordinary text it costs time only.
_EXPONENT: Final = re.compile(rb"E[+-]")
# The ambient context rounds to 28 digits, and the application may have changed what it raises:
# reading and hashing must neither round nor depend on it.
_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def loads(data: bytes | str) -> object:
    """Return the JSON value that `data` holds. Raises MalformedJSON for anything else."""
    try:
        value: object = _DECODER.decode(data)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise MalformedJSON(str(error)) from error
    # Counting brackets is nearly free and settles almost every document.
    if _brackets(data) > MAX_DEPTH and _is_too_deep(value):
        raise MalformedJSON(f"nested deeper than {MAX_DEPTH}")
    return value


def dumps(value: object) -> bytes:
    """Return `value` as compact JSON; `Raw` members are written as they are.

    Decimals keep their digits and are written without an exponent from 1e-12 up to below 1e21,
    outside of that as `1e-13` and `1e+21`. (Inside a msgspec struct an exponent has Python's form,
    `1E-7`, which is JSON as well.) A float NaN or infinity becomes null, as in JavaScript.
    Raises ValueError for a Decimal that is no number, a lone surrogate, or nesting beyond the
    interpreter's stack; TypeError for what JSON cannot express.
    """
    try:
        text = _ENCODER.encode(value)
        # find, not `in`: that tries each text as a number first, and makes and drops an exception.
        if _EXPONENT.search(text) or text.find(b"NaN") >= 0 or text.find(b"Infinity") >= 0:
            text = _ENCODER.encode(_with_plain_decimals(value))
    except RecursionError as error:
        raise ValueError("nested too deep to be written as JSON") from error
    return text


def is_plain(data: bytes) -> bool:
    """Tell whether typed structs read `data` as `loads` does, if they read it at all.

    Plain is UTF-8 without escaped surrogates and without many brackets; what is not plain may well
    be good JSON.
    """
    if data.find(b"\\ud") >= 0 or data.find(b"\\uD") >= 0 or _brackets(data) > MAX_DEPTH:
        return False
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def equal(a: object, b: object) -> bool:
    """Tell whether two JSON values say the same.

    Numbers compare by value (1, 1.0 and 1.00 are equal), booleans are not numbers, the order of
    keys is ignored and that of items is not.
    """
    pending: list[tuple[object, object]] = [(a, b)]
    while pending:
        left, right = pending.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            if left.keys() != right.keys():
                return False
            pending.extend((value, right[key]) for key, value in left.items())
        elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
            if len(left) != len(right):
                return False
            pending.extend(zip(left, right, strict=True))
        elif not _equal_scalars(left, right):
            return False
    return True


def canonical(value: object) -> bytes:
    """Return the one text shared by all JSON values that are `equal` to this one, for hashing.

    Compact, keys sorted, numbers in their shortest form. Raises ValueError as `dumps` does, and for
    a float that is no number.
    """
    try:
        return _SORTED_ENCODER.encode(_with_shortest_numbers(value))
    except RecursionError as error:
        raise ValueError("nested too deep to be written as JSON") from error


def _decimal(text: str) -> Decimal:
    """Return a JSON number's exact value; the hook that keeps msgspec from making floats."""
    if len(text) > _MAX_NUMBER_TEXT:
        raise ValueError(f"number of more than {_MAX_NUMBER_TEXT} characters")
    value = Decimal(text, _EXACT)
    magnitude = value.adjusted()
    if _MIN_MAGNITUDE <= magnitude < _MAX_MAGNITUDE:
        return value
    if magnitude == _MAX_MAGNITUDE and not math.isinf(float(value)):
        return value
    raise ValueError("number out of range")


def _brackets(data: bytes | str) -> int:
    if isinstance(data, str):
        return data.count("[") + data.count("{")
    return data.count(b"[") + data.count(b"{")


def _is_too_deep(value: object) -> bool:
    """Tell whether containers nest deeper than MAX_DEPTH, one level at a time."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [item for item in level if isinstance(item, dict | list)]
        if not containers:
            return False
        level = [
            inner
            for outer in containers
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return True


def _with_plain_decimals(value: object) -> object:
    if isinstance(value, dict):
        return {key: _with_plain_decimals(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_plain_decimals(item) for item in value]
    if isinstance(value, Decimal):
        return Raw(_number_text(value))
    return value


def _with_shortest_numbers(value: object) -> object:
    if isinstance(value, dict):
        return {key: _with_shortest_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_shortest_numbers(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    number = _exact(value)
    if not number:
        return 0  # the one text of all zeros, negative ones included
    # A signalling NaN cannot even be normalised: _number_text refuses it as it is.
    return Raw(_number_text(number.normalize(_EXACT) if number.is_finite() else number))


def _number_text(value: Decimal) -> bytes:
    if not value.is_finite():
        raise ValueError("JSON has no NaN and no infinity")
    if value.adjusted() in _PLAIN_MAGNITUDES:
        return format(value, "f").encode()
    return str(value).lower().encode()


def _equal_scalars(left: object, right: object) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float | Decimal) and isinstance(right, int | float | Decimal):
        return _exact(left) == _exact(right)
    return type(left) is type(right) and left == right


def _exact(number: int | float | Decimal) -> Decimal:
    """Return the value that the number's JSON text has: for a float its shortest text."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


_DECODER: Final = msgspec.json.Decoder(float_hook=_decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_SORTED_ENCODER: Final = msgspec.json.Encoder(order="sorted")
