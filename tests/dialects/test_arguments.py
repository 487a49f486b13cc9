"""Arguments as an object on the wire: no text is lost, valid ones keep their bytes."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.dialects.arguments import from_object, to_object
from arno.wire import json

KEPT = [
    '{"a":1}',
    '{"a": 1.50, "b" :[ ]}',
    '{"a":1e2,"a":2}',
    '{"k":"\\u00e9\\/é"}',
    "{}",
    '{ "INVALID_JSON": 1 }',
    '{"INVALID_JSON":""}',
    '{"INVALID_JSON":"{}"}',
    '{"INVALID_JSON":"x","b":1}',
    '{"INVALID_JSON":" x"}',
]
WRAPPED = ["{", "null", "[]", '"x"', "7", '{"a":1e999}', '{"INVALID_JSON":"x"}', "{}{}", "é\n\t{"]


@pytest.mark.parametrize("text", KEPT)
def test_an_object_is_embedded_byte_for_byte(text):
    raw, exact = to_object(text)
    assert (bytes(raw).decode(), exact) == (text, True)
    assert from_object(raw) == text


@pytest.mark.parametrize("text", WRAPPED)
def test_what_is_no_object_is_wrapped_and_comes_back(text):
    raw, exact = to_object(text)
    assert not exact
    assert json.loads(bytes(raw)) == {"INVALID_JSON": text}
    assert from_object(raw) == text


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_no_text_is_the_empty_object(text):
    assert to_object(text) == (msgspec.Raw(b"{}"), True)


@pytest.mark.parametrize(
    ("raw", "text"), [(b"", ""), (b"null", ""), (b" null ", ""), (b"[1]", "[1]"), (b'"x"', '"x"')]
)
def test_members_that_are_no_object(raw, text):
    assert from_object(msgspec.Raw(raw)) == text


texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(KEPT + WRAPPED)
nested = st.recursive(
    texts, lambda inner: inner.map(lambda t: json.dumps({"INVALID_JSON": t}).decode()), max_leaves=3
)


@given(nested)
@settings(max_examples=100)
def test_every_text_comes_back_but_for_white_space_around_it(text):
    raw, _ = to_object(text)
    document = msgspec.json.decode(json.dumps({"input": raw}), type=dict[str, msgspec.Raw])
    assert from_object(document["input"]) == (text.strip(" \t\r\n") or "{}")


@given(st.dictionaries(st.sampled_from(["INVALID_JSON", "b"]), nested | st.integers()))
@settings(max_examples=100)
def test_every_object_of_a_wire_comes_back(value):
    raw = json.dumps(value)
    assert json.equal(json.loads(bytes(to_object(from_object(raw))[0])), value)
