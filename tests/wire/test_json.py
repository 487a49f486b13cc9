"""JSON with exact numbers: what is kept, written and refused (bad inputs 18 and 20)."""

from decimal import Context, Decimal, localcontext

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.wire import MalformedJSON, json

# Text of a number, and how it is written again. None: exactly as it was.
NUMBERS = {
    "0": None,
    "-1": None,
    "1.0": None,
    "0.10": None,
    "40.5": None,
    "0.00004025": None,
    "0.0000001": None,
    "-0.0": None,
    "0.000000000001": None,
    "0.1234567890123456789012345678901234567890": None,
    "18446744073709551616": None,
    "123456789012345678901234567890": None,
    "1E-7": "0.0000001",
    "1.50e-7": "0.000000150",
    "-2.5e-12": "-0.0000000000025",
    "1e-13": "1e-13",
    "-1.5E-13": "-1.5e-13",
    "1e5": "100000",
    "1.5E+20": "150000000000000000000",
    "1E21": "1e+21",
    "1.50e30": "1.50e+30",
    "1e308": "1e+308",
    "0e-7": "0.0000000",
    "-0e0": "-0",
    "0e5": "0",
    "-0": "0",
    "1e-400": "1e-400",
}


@pytest.mark.parametrize(("text", "written"), NUMBERS.items(), ids=NUMBERS)
@pytest.mark.parametrize("frame", ["{}", "[{}]", '{{"a":[1,{{"cost":{}}}]}}'])
def test_numbers_keep_their_digits(text: str, written: str | None, frame: str) -> None:
    document = frame.format(text)
    value = json.loads(document)
    assert json.dumps(value) == frame.format(written or text).encode()
    assert json.equal(json.loads(json.dumps(value)), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.0", Decimal("1.0")),
        ("1e2", Decimal("1e2")),
        ("9" * 4300, int("9" * 4300)),
        ("[true,null]", [True, None]),
        ('{"a":{"b":"\\u00e9\\ud83d\\ude42\\u0000"}}', {"a": {"b": "é🙂\0"}}),
        (' {"a" : [ ] }\n', {"a": []}),
        ('{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}),
    ],
)
def test_loads(text: str, value: object) -> None:
    for data in (text, text.encode()):
        loaded = json.loads(data)
        assert loaded == value
        assert type(loaded) is type(value)


def test_the_last_of_two_equal_keys_wins() -> None:
    assert json.loads('{"model":"a","model":"b"}') == {"model": "b"}


def nested(depth: int) -> list[str]:
    """Documents of that depth, closed and cut short, objects and arrays."""
    return [
        "[" * depth + "]" * depth,
        '{"a":' * depth + "1" + "}" * depth,
        '[{"a":' * (depth // 2) + ("[]" if depth % 2 else "1") + "}]" * (depth // 2),
    ]


MALFORMED = {
    "empty": b"",
    "NaN": b"NaN",
    "Infinity": b"[-Infinity]",
    "number beyond a double": b"1e999",
    "number just beyond a double": b"1.8e308",
    "exponent bomb": b"1e999999999",
    "exponent beyond Decimal": b"1e99999999999999999999",
    "small exponent bomb": b"1e-999999999",
    "zero with an exponent bomb": b"0e999999999",
    "int of 5,000 digits": b"9" * 5000,
    "fraction of 5,000 digits": b"0." + b"9" * 5000,
    "leading zero": b"01",
    "no digit behind the point": b"1.",
    "trailing text": b"{} x",
    "cut object": b'{"a":',
    "trailing comma": b"[1,]",
    "single quotes": b"{'a':1}",
    "BOM": b"\xef\xbb\xbf{}",
    "invalid UTF-8": b'"\xff"',
    "cut UTF-8": b'"\xe5\x8c"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "lone high surrogate": b'"\\ud800"',
    "lone high surrogate before text": b'"\\ud83dabcdef"',
    "lone low surrogate": b'"\\udc00"',
    "raw control character": b'"a\nb"',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "SSE's end mark": b"[DONE]",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed(data: bytes) -> None:
    with pytest.raises(MalformedJSON):
        json.loads(data)


def test_a_lone_surrogate_in_str_is_malformed() -> None:
    with pytest.raises(MalformedJSON):
        json.loads('"\ud800"')


@pytest.mark.parametrize("depth", [json.MAX_DEPTH + 2, 990, 5_000, 100_000])
def test_too_deep_is_malformed(depth: int) -> None:
    for text in nested(depth):
        for data in (text, text.encode(), text[: len(text) * 2 // 3]):
            with pytest.raises(MalformedJSON):
                json.loads(data)


def test_the_greatest_depth_can_be_handled_everywhere() -> None:
    for text in nested(json.MAX_DEPTH):
        value = json.loads(text)
        assert json.dumps([value, Decimal("1E-7")]) == f"[{text},0.0000001]".encode()
        assert json.equal(value, json.loads(text.encode()))
        assert json.canonical(value) == text.encode()


def test_one_level_more_is_refused() -> None:
    depth = json.MAX_DEPTH + 1
    with pytest.raises(MalformedJSON, match="deeper than 200"):
        json.loads("[" * depth + "]" * depth)


def test_the_ambient_decimal_context_changes_nothing() -> None:
    text = "0.1234567890123456789012345678901234567890"
    with localcontext(Context(prec=3, traps=[])):
        assert json.dumps(json.loads(text)) == text.encode()
        assert json.canonical(json.loads(text + "0")) == text.rstrip("0").encode()
        assert not json.equal(json.loads(text), json.loads(text + "1"))
        with pytest.raises(MalformedJSON):
            json.loads("1e99999999999999999999")


def test_the_greatest_depth_may_have_siblings() -> None:
    deep = "[" * (json.MAX_DEPTH - 1) + "]" * (json.MAX_DEPTH - 1)
    for text in (f"[{deep},[],{{}}]", f'{{"a":{deep},"b":[]}}'):
        assert json.dumps(json.loads(text)) == text.encode()
        with pytest.raises(MalformedJSON):
            json.loads(f"[{text}]")


def test_many_brackets_are_not_depth() -> None:
    wide: list[object] = [{"a": [[]]}] * 1_000 + ["[[[{{{" * 100]
    assert json.loads(json.dumps(wide)) == wide


class Line(msgspec.Struct):
    cost: Decimal
    raw: json.Raw


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal(40250).scaleb(-9), "0.000040250"),
        (Decimal(100).scaleb(-9), "0.000000100"),
        ({"a": (1, [Decimal("1E+5")])}, '{"a":[1,[100000]]}'),
        (
            {"raw": json.Raw(b'{"q" : 1E-7}'), "a": Decimal("1E-7")},
            '{"raw":{"q" : 1E-7},"a":0.0000001}',
        ),
        ({"text": "1E-7, NaN and Infinity"}, '{"text":"1E-7, NaN and Infinity"}'),
        ({"é": "🙂\n"}, '{"é":"🙂\\n"}'),
        (Line(Decimal("0.10"), json.Raw(b"[ ]")), '{"cost":0.10,"raw":[ ]}'),
        ([1.5, float("nan"), float("inf")], "[1.5,null,null]"),
    ],
)
def test_dumps(value: object, text: str) -> None:
    assert json.dumps(value) == text.encode()


def deep_list(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("write", [json.dumps, json.canonical])
@pytest.mark.parametrize(
    "value",
    [Decimal("NaN"), [Decimal("-Infinity")], {"a": Decimal("sNaN")}, "\ud800", deep_list(100_000)],
    ids=["NaN", "Infinity", "sNaN", "surrogate", "deep"],
)
def test_what_json_cannot_say_is_not_written(write, value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON|surrogates"):
        write(value)


def test_canonical_refuses_a_float_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="NaN"):
        json.canonical([float("nan")])


def test_equal_compares_at_any_depth() -> None:
    assert json.equal(deep_list(5_000), deep_list(5_000))
    assert not json.equal(deep_list(5_000), deep_list(5_001))


SAME = [
    (1, 1.0),
    (1, Decimal("1.00")),
    (1.1, Decimal("1.1")),
    (0, Decimal("-0.0")),
    (10**30, Decimal("1E+30")),
    (10**21, 1e21),
    (12345678901234567890123, Decimal("12345678901234567890123.0")),
    (Decimal("1e-13"), Decimal("0.00000000000010")),
    ({"a": 1, "b": [True, None]}, {"b": [True, None], "a": Decimal(1)}),
    ([1, 2], (1, 2)),
    ("é", "\u00e9"),
]
DIFFERENT = [
    (True, 1),
    (False, 0),
    (True, Decimal(1)),
    (True, False),
    (None, False),
    (None, 0),
    ("1", 1),
    ([], {}),
    ([], None),
    ("", None),
    ([1, 2], [2, 1]),
    ([1], [1, 1]),
    ({"a": None}, {}),
    ({"a": 1}, {"b": 1}),
    ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}),
    (9007199254740993, 9007199254740992),
    (9007199254740993, 9007199254740992.0),
    (Decimal("0.1234567890123456789012345678901"), Decimal("0.1234567890123456789012345678902")),
    ("é", "e\u0301"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_same(a: object, b: object) -> None:
    assert json.equal(a, b)
    assert json.equal(b, a)
    assert json.canonical(a) == json.canonical(b)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different(a: object, b: object) -> None:
    assert not json.equal(a, b)
    assert not json.equal(b, a)
    assert json.canonical(a) != json.canonical(b)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": {"d": 2, "c": 3}}, '{"a":{"c":3,"d":2},"b":1}'),
        ([1.0, Decimal("2.50"), Decimal("1E+3"), -0.0], "[1,2.5,1000,0]"),
        ([10**21, Decimal("1.50E-20"), 1e300], "[1e+21,1.5e-20,1e+300]"),
        ({"é": "🙂", "z": [True, False, None]}, '{"z":[true,false,null],"é":"🙂"}'),
    ],
)
def test_canonical(value: object, text: str) -> None:
    assert json.canonical(value) == text.encode()


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBER = (
    st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: Decimal(repr(number)))
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
)


@given(VALUES)
def test_values_survive_writing_and_reading(value: object) -> None:
    again = json.loads(json.dumps(value))
    assert json.equal(again, value)
    assert json.dumps(again) == json.dumps(value)
    assert json.canonical(again) == json.canonical(value)
    assert json.equal(json.loads(json.canonical(value)), value)


@given(VALUES, VALUES)
def test_canonical_text_is_shared_by_equal_values_alone(a: object, b: object) -> None:
    assert (json.canonical(a) == json.canonical(b)) == json.equal(a, b)


@given(st.binary() | st.text())
def test_any_input_is_read_or_refused(data: bytes | str) -> None:
    try:
        value = json.loads(data)
    except MalformedJSON:
        return
    assert json.equal(json.loads(json.dumps(value)), value)


@pytest.mark.parametrize(
    ("data", "plain"),
    [
        (b"", True),
        (b'{"a":[1,"b"]}', True),
        ('{"a":"\u00e9\U0001f511"}'.encode(), True),
        (rb'{"a":"\u00e9"}', True),
        (rb'{"a":"\ud83d\udd11"}', False),
        (rb'{"a":"\uD800"}', False),
        (b'{"a":"\xff"}', False),
        (b"[" * json.MAX_DEPTH, True),
        (b"[" * (json.MAX_DEPTH + 1), False),
    ],
)
def test_is_plain(data: bytes, plain: bool) -> None:
    assert json.is_plain(data) is plain
