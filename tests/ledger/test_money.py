"""Money: exact conversion between decimal text and integers (behaviour R24)."""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.ledger.money import (
    MAX_NANO,
    divide_half_even,
    format_token_price,
    format_usd,
    parse_rate,
    parse_usd,
)

AMOUNTS = st.integers(-MAX_NANO, MAX_NANO)


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0.0002582", 258_200),
        ("0.0000844", 84_400),
        ("0", 0),
        ("0.0", 0),
        ("-0.5", -500_000_000),
        ("1", 1_000_000_000),
        ("2.582e-4", 258_200),
        ("1E2", 100_000_000_000),
        ("0.0000000005", 0),  # a tie goes to the even one
        ("0.0000000015", 2),
        ("0.00000000050000000001", 1),
        ("0.00024701333333333334", 247_013),
        ("1e-999999999", 0),
        ("9223372036.854775807", MAX_NANO),
    ],
)
def test_a_decimal_amount_becomes_nano_usd(text, nano):
    assert parse_usd(text) == nano


@pytest.mark.parametrize(
    "text",
    [
        *("", "abc", "1.", ".5", "1_0", " 1", "1\n", "+1", "0x1", "NaN", "Infinity", "-", "1e"),
        "\N{ARABIC-INDIC DIGIT ONE}",
        "9223372036.854775808",
        "1e999999999",
        "0." + "1" * 100,
    ],
)
def test_what_is_no_amount_is_unknown(text):
    assert parse_usd(text) is None


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (258_200, "0.0002582"),
        (84_400, "0.0000844"),
        (258_200 + 84_400, "0.0003426"),
        (0, "0"),
        (1, "0.000000001"),
        (1_000_000_000, "1"),
        (-1_500_000_000, "-1.5"),
        (120_000_000_000, "120"),
    ],
)
def test_nano_usd_prints_as_a_plain_decimal(nano, text):
    assert format_usd(nano) == text


@pytest.mark.parametrize(
    ("text", "rate"),
    [("0.15", 150_000_000), ("8.00", 8_000_000_000), ("0", 0), ("0.083333333", 83_333_333)],
)
def test_a_rate_is_exact(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["-1", "0.0000000001", "", "free", "1e13"])
def test_a_rate_that_cannot_be_exact_is_refused(text):
    with pytest.raises(ValueError, match="not a price"):
        parse_rate(text)


def test_a_rate_prints_per_token():
    assert format_token_price(150_000_000) == "0.00000015"
    assert format_token_price(0) == "0"


@given(AMOUNTS)
def test_printing_and_reading_give_the_same_amount(nano):
    assert parse_usd(format_usd(nano)) == nano


@given(AMOUNTS)
def test_a_printed_amount_has_no_exponent_and_no_needless_zero(nano):
    text = format_usd(nano)
    assert "e" not in text.lower()
    assert "." not in text or not text.endswith(("0", "."))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000))
def test_reading_rounds_once_and_half_to_even(value):
    text = f"{value:f}"
    expected = value.quantize(Decimal("1e-9"), ROUND_HALF_EVEN, Context(prec=100))
    found = parse_usd(text)
    assert found == int(expected.scaleb(9)) if len(text) <= 64 else found is None


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**20))
def test_integer_division_rounds_half_to_even(numerator, denominator):
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))
