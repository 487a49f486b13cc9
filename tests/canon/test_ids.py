"""R15: ids under a wire's rules; injective, stable, and read back where they are escaped."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.canon.ids import IdRule, from_wire, is_reversible, to_wire

WORDS = IdRule(most=64, extra="_-")
ANY = IdRule(most=40)
NINE = IdRule(most=9, extra="", exact=True)
RULES = {"words": WORDS, "any": ANY, "nine": NINE}
SHAPES = {
    "words": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "any": re.compile(r"(?s).{1,40}"),
    "nine": re.compile(r"[A-Za-z0-9]{9}"),
}
LONG = "a" * 94


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("toolu_01A-b", "toolu_01A-b"),
        ("weather:0", "arno-weather_3a0"),
        ("a:0", "arno-a_3a0"),
        ("a_0", "a_0"),
        ("", "arno-"),
        ("ü", "arno-_c3_bc"),
        ("arno-a_3a0", "arno-arno_2da_5f3a0"),
        ("arno-zz_z", "arno-zz_z"),
    ],
)
def test_words(given, written):
    assert to_wire(given, WORDS) == written
    assert from_wire(written) == given


def test_what_is_too_long_to_be_escaped_becomes_a_digest_of_fixed_form():
    assert to_wire(LONG, WORDS) == "arnoe9Vwl1DJ9UhqSnfJ9NYj2FlbtdiBPJihOH8f3pMFUxv"
    assert not is_reversible(LONG, WORDS)
    assert to_wire("weather:0", NINE) == "r5KiuiwJ2"


ids = st.text(max_size=12) | st.text("arno-_3a:0", max_size=20) | st.text(min_size=60, max_size=99)


@pytest.mark.parametrize("name", RULES)
@given(first=ids, second=ids)
@settings(max_examples=100)
def test_what_is_written_fits_the_rule_and_two_ids_stay_two(name, first, second):
    rule = RULES[name]
    one, two = to_wire(first, rule), to_wire(second, rule)
    assert SHAPES[name].fullmatch(one)
    assert (one == two) is (first == second)
    assert to_wire(first, rule) == one


@pytest.mark.parametrize("name", ["words", "any"])
@given(text=st.text(max_size=2) | st.text("arno-_3a:0", max_size=11))
@settings(max_examples=100)
def test_short_ids_are_read_back(name, text):
    assert from_wire(to_wire(text, RULES[name])) == text
    assert is_reversible(text, RULES[name])
