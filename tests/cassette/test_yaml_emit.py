"""Layout of a document, key order, and that any text comes back from any reader unchanged."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.cassette.errors import CassetteError
from arno.cassette.model import Plain, Profile, Style
from arno.cassette.yaml_emit import emit, natural_order
from arno.cassette.yaml_read import read_tree, to_tree

TREE = {
    "version": 2,
    "list": [{"id": 0, "inner": {"names": ["a", "|"], "body": "x\ny"}}, [["z"], {}], []],
}

COMPACT_2 = b"""\
---
version: 2
list:
- id: 0
  inner:
    names:
    - a
    - '|'
    body: |-
      x
      y
- - - z
  - {}
- []
"""

WIDE_4 = b"""\
---
version: 2
list:
    - id: 0
      inner:
        names:
            - a
            - '|'
        body: |-
            x
            y
    - - - z
      - {}
    - []
"""

COMPACT_4 = b"""\
---
version: 2
list:
  - id: 0
    inner:
        names:
          - a
          - '|'
        body: |-
            x
            y
  - - - z
    - {}
  - []
"""


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (Style(), COMPACT_2),
        (Style(indent=4, compact=False), WIDE_4),
        (Style(indent=4, compact=True), COMPACT_4),
    ],
)
def test_layout(style, text):
    assert emit(TREE, style) == text
    assert yaml.safe_load(text) == TREE


def test_leaves():
    tree = {"a": None, "b": True, "c": False, "d": -1, "e": [], "f": {}, "g": Plain("~"), "h": "~"}
    expected = '---\na: null\nb: true\nc: false\nd: -1\ne: []\nf: {}\ng: ~\nh: "~"\n'
    assert emit(tree, Style()) == expected.encode()


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(["", "A", "B", "a", "b"], id="letters by code point"),
        pytest.param(["X-2", "X-10", "X-a"], id="numbers by value, letters last"),
        pytest.param(["a1b", "a1-"], id="after a digit letters come first"),
        pytest.param(["Content", "Content-Length", "Content-Type", "ContentA"], id="prefixes"),
        pytest.param(["a-1", "a-01", "a-001"], id="equal numbers: shorter first"),
        pytest.param(["a101", "a102", "a110"], id="a zero inside a number is no leading zero"),
        pytest.param(["a18446744073709551617", "a2"], id="numbers wrap at 64 bits"),
        pytest.param(["a9223372036854775808", "a1"], id="and are signed"),
        pytest.param(["#", "*", "_"], id="other characters by code point"),
    ],
)
def test_natural_order(keys):
    assert natural_order(reversed(keys)) == keys


def test_nesting_beyond_the_readers_cap_is_refused():
    tree = {}
    for _ in range(40):
        tree = {"a": tree}
    with pytest.raises(CassetteError, match="levels of nesting"):
        emit({"a": tree}, Style())
    nested = []
    for _ in range(40):
        nested = [nested]
    with pytest.raises(CassetteError, match="levels of nesting"):
        emit({"a": nested}, Style())


@pytest.mark.parametrize("length", [128, 129, 2000])
def test_a_long_key_is_explicit_and_reads_back(length):
    tree = {"k" * length: ["v"], "m": {"k" * length: {"n": "o"}}}
    text = emit(tree, Style())
    assert text.startswith(b"---\n? k" if length > 128 else b"---\nk")
    assert yaml.load(text, Loader=yaml.BaseLoader) == tree


# Text made of what YAML finds hard, more often than chance would bring it up.
HARD = st.text(
    st.sampled_from(
        "ab01.:-?#,[]{}&*!|>'\"%@`~<=+_/\\ \t\n\r\x00\x07\x1b\x7f\x80\x85\xa0\xe9\u2028\u2029"
        "\u4f60\ufeff\ufffd\ufffe\uffff\U0001f600\U0010ffff"
    ),
    max_size=12,
)
WORDS = st.sampled_from(
    ["no", "1:30", "null", "---", "...", "<<", "2020-10-01", "=", "1_0", ".5", "0x1"]
)
TEXTS = HARD | st.text(max_size=20) | WORDS
STYLES = st.builds(
    Style,
    profile=st.sampled_from(Profile),
    indent=st.sampled_from([2, 4]),
    compact=st.booleans(),
)
FAST: list[Any] = [yaml.CBaseLoader, yaml.CSafeLoader] if yaml.__with_libyaml__ else []
READERS: list[Any] = [yaml.BaseLoader, yaml.SafeLoader, *FAST]


@settings(deadline=None)
@given(
    st.lists(TEXTS, max_size=6),
    st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=3), max_size=4),
    STYLES,
)
def test_any_text_reads_back_equal_everywhere(texts, mapping, style):
    tree = {"texts": texts, "nested": [{"map": mapping, "last": "x"}], "end": "y"}
    data = emit(tree, style)
    assert to_tree(read_tree(data)) == tree
    for reader in READERS:
        assert yaml.load(data, Loader=reader) == tree


@given(st.binary(max_size=120), STYLES)
def test_any_bytes_read_back_equal(body, style):
    value = to_tree(read_tree(emit({"body": body, "end": "x"}, style)))["body"]
    assert (value if isinstance(value, bytes) else value.encode()) == body
