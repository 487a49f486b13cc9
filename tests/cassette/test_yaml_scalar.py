"""How one string is written: the rows of spec/cassettes.md sections 2.4 and 2.5."""

import pytest

from arno.cassette.errors import CassetteError
from arno.cassette.model import Profile, Style
from arno.cassette.yaml_scalar import write_key, write_plain, write_scalar

OURS = Style()
GOCCY = Style(profile=Profile.GOCCY)


def written(value, style=OURS):
    """The scalar as it stands after a key at column 4, continuation lines at column 6."""
    return write_scalar(value, style, 6, 4)


BINARY = [
    pytest.param(b"\xff\xfe", "!!binary //4=", id="short stays on the line"),
    pytest.param(b"\xff" * 51, "!!binary " + "/" * 68, id="68 characters are short"),
    pytest.param(
        b"\xff" * 54, f"!!binary |\n      {'/' * 70}\n      //", id="72 characters are cut at 70"
    ),
    pytest.param("a\udcff", "!!binary Yf8=", id="escaped bytes in text are bytes"),
]

READS_AS_OTHER = [
    *["", "~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE"],
    *[".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "-.INF", "<<"],
    *["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "OFF"],
    *["0", "-0", "7", "+7", "1_000", "0x1F", "0XfF", "0b101", "0o17", "017", "08", "-0x10"],
    *["9223372036854775808", "18446744073709551615", "-9223372036854775808", "0b-1", "0o+7"],
    *["1.5", ".5", "1.", "-1.5e3", "1E+10", "1_0.5", ".1_0", "18446744073709551616"],
    *["12:30:45", "1:30", "-1:30:45.5", "190:20:30"],
    *["2025-01-02", "2025-1-2", "2024-02-29", "0000-02-29"],
    *["2025-01-02T03:04:05Z", "2025-01-02t3:4:5.678+01:00", "2025-01-02 03:04:05"],
    *["2025-01-02T03:04:05,5Z", "2020-10-01"],
]

PLAIN = [
    *["a", "application/json", "200 OK", "404 Not Found", "HTTP/1.1", "https://x.example/v1?a=b"],
    *[
        "a#b",
        "a:b",
        "-a",
        "?a",
        ":a",
        "a'b",
        'a"b',
        "a, b",
        "a [b]",
        "max-age=1; b",
        "\u00e9\u4f60",
    ],
    *["0x", "0b2", "0o8", "1e", "1e999", ".1__0", ".", "+", "1.5.5", "2025-13-01", "2023-02-29"],
    *["2025-01-02T24:00:00Z", "2025-01-02T03:04:05", "2025-01-02 03:04:05Z", "1:60", "yEs", "tRUE"],
    *["36893488147419103232a", "2025-1", "0001-2-3x", "nULL", "\u00a0", "a\u00a0", "1 2", "0xg"],
]


@pytest.mark.parametrize(("value", "text"), BINARY)
def test_bytes_that_are_no_text_become_base64(value, text):
    assert written(value) == text


@pytest.mark.parametrize("word", READS_AS_OTHER)
def test_a_word_that_reads_as_something_else_is_double_quoted(word):
    assert written(word) == f'"{word}"'


@pytest.mark.parametrize("text", PLAIN)
def test_other_words_are_plain(text):
    assert written(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *[f"{first}x" for first in '#,[]{}&*!|>"%@`'],
        *["- x", "-", "? x", ": x"],
        *["---", "---x", "...", "a: b", "a:", "a #b", " a", "a ", '{"a":"b"}', "?", ":"],
    ],
)
def test_indicators_and_outer_blanks_are_single_quoted(text):
    assert written(text) == f"'{text}'"


def test_a_quote_inside_single_quotes_is_doubled():
    assert written("'a") == "'''a'"
    assert written("{'}") == "'{''}'"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a\tb", r'"a\tb"'),
        ("a\rb", r'"a\rb"'),
        ("a\r\nb", r'"a\r\nb"'),
        ("\x00\x07\x08\x0b\x0c\x1b", r'"\0\a\b\v\f\e"'),
        ("\x01\x7f\x80", r'"\x01\x7F\x80"'),
        ("\x85", r'"\N"'),
        ("\ufffe\uffff", r'"\uFFFE\uFFFF"'),
        ("hi \U0001f600", r'"hi \U0001F600"'),
        ("a \u2028b", r'"a \Lb"'),
        ("a\u2029 b", r'"a\P b"'),
        ('a\t"\\', r'"a\t\"\\"'),
        ("\u00a0\t", '"\u00a0\\t"'),
        ("a\ufeffb", r'"a\uFEFFb"'),
        ("\ufeffa \u00e9", r'"\uFEFF\x61\x20\xE9"'),
    ],
)
def test_specials_force_double_quotes_and_escapes(text, quoted):
    assert written(text) == quoted


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("a\nb", "|-\n      a\n      b", id="no break at the end"),
        pytest.param("a\nb\n", "|\n      a\n      b", id="one"),
        pytest.param("a\n\n", "|+\n      a\n", id="two: an event stream"),
        pytest.param("a\n\nb\n\n", "|+\n      a\n\n      b\n", id="empty lines stay empty"),
        pytest.param("a\n  b\tc", "|-\n      a\n        b\tc", id="inner blanks and tabs"),
        pytest.param("\na", "|2-\n\n      a", id="a leading break has the digit"),
        pytest.param("\n", '"\\n"', id="breaks alone are none"),
        pytest.param(" \n\u00a0\n", '" \\n\u00a0\\n"', id="nor are blanks and breaks"),
        pytest.param("a\u2028b\n", "|\n      a\u2028      b", id="other breaks are indented after"),
    ],
)
def test_text_with_line_breaks_is_literal(text, lines):
    assert written(text) == lines


@pytest.mark.parametrize(
    "text", ["a \nb", "a\n ", "a\nb\r", "a\n\U0001f600", "a\nb ", "a \u2028\nb"]
)
def test_a_literal_refused_is_double_quoted(text):
    assert written(text).startswith('"')
    assert "\n" not in written(text)


@pytest.mark.parametrize("text", [" a\nb", "\ta\nb", "\n  a", "\n\n\ta", "a\n\u2028"])
def test_a_literal_that_readers_damage_is_double_quoted(text):
    assert written(text).startswith('"')


@pytest.mark.parametrize("style", [OURS, GOCCY])
def test_a_lone_equals_sign_is_quoted_since_yaml_1_1_readers_refuse_it(style):
    assert written("=", style) == '"="'
    assert written("==", style) == "=="


def test_a_literal_whose_digit_would_lie_is_double_quoted():
    style = Style(indent=4, compact=False)
    assert write_scalar("\na", style, 12, 8).startswith("|4-")
    assert write_scalar("\na", style, 10, 8) == r'"\na"'


def test_a_break_inside_single_quotes_is_followed_by_the_indentation():
    assert written("{\u2028b") == "'{\u2028      b'"


@pytest.mark.parametrize(
    ("key", "text"),
    [("Content-Type", "Content-Type"), ("", '""'), ("a\nb", r'"a\nb"'), ("x: y", "'x: y'")],
)
def test_a_key_is_always_one_line(key, text):
    assert write_key(key, OURS, 6) == text


def test_a_key_of_bytes_is_one_line_however_long():
    assert write_key("\udcff" * 90, OURS, 6) == "!!binary " + "/" * 120


@pytest.mark.parametrize("text", ["5", "true", "~", "", "1.5"])
def test_plain_text_of_unknown_type_stays_plain(text):
    assert write_plain(text, OURS, 6) == text


@pytest.mark.parametrize("text", ["a: b", "# no", "a\nb: c", "- x", "&a"])
def test_plain_text_that_cannot_stand_plain_is_quoted(text):
    assert write_plain(text, OURS, 6) != text


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('{"a": 1}', r'"{\"a\": 1}"'),
        ("data: {}\n\n", r'"data: {}\n\n"'),
        ("108", '"108"'),
        ("2020-10-01", '"2020-10-01"'),
        ("no", '"no"'),
        ("", '""'),
        ("-", '"-"'),
        ("a#b", '"a#b"'),
        ("a\\b", r'"a\\b"'),
        ("a:", '"a:"'),
        ("a- b", '"a- b"'),
        ("{\x7f\x01\u00a0\U0001f600\ue000}", '"{\\x7f\\x01\\u00a0\U0001f600\\ue000}"'),
    ],
)
def test_goccy_quotes_as_go_does(text, quoted):
    assert written(text, GOCCY) == quoted


@pytest.mark.parametrize("text", ["gzip", "200 OK", 'h3=":443"; ma=86400', "a-b", "a:b"])
def test_goccy_leaves_other_words_plain(text):
    assert written(text, GOCCY) == text


def test_goccy_writes_harmless_lines_as_a_literal():
    assert written("a\nb", GOCCY) == "|-\n      a\n      b"


def test_a_lone_surrogate_is_refused():
    with pytest.raises(CassetteError, match="surrogates"):
        written("\ud800")
