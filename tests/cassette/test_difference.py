"""Where two JSON values differ: pointers, bounds, and nothing secret in the texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.cassette.difference import (
    MAX_TEXT,
    MAX_VISITED,
    Comparer,
    Difference,
    bytes_difference,
)
from arno.cassette.rules import Redaction
from arno.wire import json

COMPARE = Comparer()

ROWS = [
    pytest.param({"a": 1}, {"a": 2}, ["/a: recorded 1, got 2"], id="value"),
    pytest.param({"a": "x"}, {"a": "y"}, ['/a: recorded "x", got "y"'], id="text"),
    pytest.param({"a": 1}, {}, ["/a: recorded 1, not sent"], id="missing"),
    pytest.param({}, {"a": [1]}, ["/a: not recorded, got [1]"], id="new"),
    pytest.param({"a": None}, {}, ["/a: recorded null, not sent"], id="null is not absent"),
    pytest.param([1, 2], [1], ["/1: recorded 2, not sent"], id="shorter list"),
    pytest.param([1], [1, {"b": 2}], ['/1: not recorded, got {"b":2}'], id="longer list"),
    pytest.param({"a/b~c": 1}, {"a/b~c": 2}, ["/a~1b~0c: recorded 1, got 2"], id="escaped pointer"),
    pytest.param(
        {"a": {"b": [{"c": 1}]}},
        {"a": {"b": [{"c": 2}]}},
        ["/a/b/0/c: recorded 1, got 2"],
        id="deep",
    ),
    pytest.param({"a": []}, {"a": {}}, ["/a: recorded [], got {}"], id="other kind"),
    pytest.param({"a": True}, {"a": 1}, ["/a: recorded true, got 1"], id="a boolean is no number"),
    pytest.param(1, 2, [": recorded 1, got 2"], id="root"),
    pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, [], id="key order does not matter"),
]


@pytest.mark.parametrize(("recorded", "got", "expected"), ROWS)
def test_differences(recorded, got, expected):
    assert [str(item) for item in COMPARE.bodies(recorded, got, 10)] == expected


def test_equal_numbers_in_other_spelling_do_not_differ():
    assert COMPARE.bodies(json.loads(b"[1, 0.50]"), json.loads(b"[1.0, 5e-1]"), 10) == ()


def test_the_count_is_bounded_and_the_work_is_lazy():
    many = COMPARE.bodies(list(range(100_000)), [], 3)
    assert [item.pointer for item in many] == ["/0", "/1", "/2"]


class Watched(list):
    """A list that counts what is taken from it."""

    taken = 0

    def __iter__(self):
        for item in super().__iter__():
            self.taken += 1
            yield item


def test_values_that_are_visited_are_bounded_however_deep_they_stand():
    rows = [Watched([0] * 1000) for _ in range(1000)]
    assert COMPARE.bodies(rows, [[0] * 1000] * 1000, 10) == ()
    assert MAX_VISITED / 2 < sum(row.taken for row in rows) <= MAX_VISITED + len(rows)


def test_members_that_only_one_side_has_are_not_gathered_first():
    class Keys(dict):
        taken = 0

        def __iter__(self):
            for key in super().__iter__():
                self.taken += 1
                yield key

    got = Keys.fromkeys((f"k{n}" for n in range(100_000)), 1)
    assert len(COMPARE.bodies({}, got, 3)) == 3
    assert got.taken <= 4


def test_a_secret_around_the_part_that_is_shown_hides_it():
    before = "sk-" + "a1" * 40
    found = COMPARE.texts("/a", f"{before}old", f"{before}new")
    assert (found.recorded, found.got) == ("[redacted]", "[redacted]")


@given(st.binary(max_size=9), st.binary(max_size=9), st.binary(max_size=9))
def test_the_place_where_two_bodies_part(begin, one, other):
    one, other = begin + one, begin + other
    place = next(n for n in range(99) if one[: n + 1] != other[: n + 1] or n >= len(one))
    assert str(bytes_difference(one, other)).endswith(f"(from byte {place})")


def test_long_texts_show_where_they_part():
    recorded, got = "x" * 500 + "old" + "y" * 500, "x" * 500 + "new" + "y" * 500
    found = COMPARE.texts("/a", recorded, got)
    assert found.recorded is not None
    assert found.recorded.startswith('..."' + "x" * 20 + "old")
    assert found.recorded.endswith('"...')
    assert found.got is not None
    assert "new" in found.got


def test_values_and_pointers_are_cut():
    deep = {"k" * 500: list(range(1000))}
    (found,) = COMPARE.bodies(deep, {}, 10)
    assert len(found.pointer) <= MAX_TEXT + 3
    assert found.recorded is not None
    assert len(found.recorded) <= MAX_TEXT + 3


@pytest.mark.parametrize("key", ["sk-abcdefghijklmnop0123", "AIzaSyA1234567890abcdef"])
def test_what_looks_like_a_credential_is_not_shown(key):
    texts = COMPARE.bodies({"a": f"my {key}", "b": {"c": key}}, {"a": "x"}, 10)
    assert len(texts) == 2
    assert key not in str(texts)
    assert "[redacted]" in str(texts)


def test_a_configured_secret_is_not_shown_however_long_the_text():
    compare = Comparer(Redaction(known=("hunter2hunter2",)))
    long = "x" * 75 + "hunter2hunter2"
    found = [
        *compare.bodies({"a": long, "hunter2hunter2": 1}, {"a": "y", "b": [long]}, 10),
        compare.texts("url", long, "x"),
    ]
    assert len(found) == 4
    assert "hunt" not in "".join(map(str, found))


def test_bodies_of_bytes_show_sizes_and_place():
    assert (
        str(bytes_difference(b"abc", b"abde"))
        == "body: recorded 3 bytes, got 4 bytes (from byte 2)"
    )
    assert bytes_difference(b"ab", b"abc") == Difference("body", "2 bytes", "3 bytes (from byte 2)")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, JSON)
def test_there_is_a_difference_exactly_where_values_are_not_equal(one, other):
    assert (COMPARE.bodies(one, other, 5) == ()) is json.equal(one, other)
