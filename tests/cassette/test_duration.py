"""Durations as Go writes and reads them, to the nanosecond."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.cassette.duration import format_duration, parse_duration
from arno.cassette.errors import CassetteError

CANONICAL = [
    (0, "0s"),
    (1, "1ns"),
    (999, "999ns"),
    (1_000, "1\u00b5s"),
    (1_500, "1.5\u00b5s"),
    (999_999, "999.999\u00b5s"),
    (1_000_000, "1ms"),
    (1_500_000, "1.5ms"),
    (999_999_999, "999.999999ms"),
    (1_000_000_000, "1s"),
    (1_490_590_208, "1.490590208s"),
    (5_979_645_541, "5.979645541s"),
    (59_999_999_999, "59.999999999s"),
    (60_000_000_000, "1m0s"),
    (61_000_000_000, "1m1s"),
    (3_600_000_000_000, "1h0m0s"),
    (3_725_000_000_000, "1h2m5s"),
    (360_000_000_000_001, "100h0m0.000000001s"),
    (-1_500_000, "-1.5ms"),
    ((1 << 63) - 1, "2562047h47m16.854775807s"),
]


@pytest.mark.parametrize(("ns", "text"), CANONICAL)
def test_text_and_nanoseconds_correspond(ns, text):
    assert format_duration(ns) == text
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("", 0),
        ("0", 0),
        ("+5s", 5_000_000_000),
        ("1.5h", 5_400_000_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("3us", 3_000),
        ("3\u03bcs", 3_000),
        ("1.0000000019s", 1_000_000_001),
        ("1s500ms", 1_500_000_000),
    ],
)
def test_other_spellings_that_go_reads(text, ns):
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text", ["5", "s", ".s", "-", "1 s", "1sec", "1d", "s1", "1s ", "\u0661s", "9999999h", "1e3s"]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(CassetteError, match="expected a duration"):
        parse_duration(text)


@given(st.integers(-(1 << 63) + 1, (1 << 63) - 1))
def test_every_nanosecond_survives(ns):
    assert parse_duration(format_duration(ns)) == ns
