"""Quirks of requests."""

import pytest

from arno.providers import load_catalogue
from arno.providers.quirks import _CONCERNS, QUIRKS, apply
from arno.wire import json

OLD, NEW = "max_tokens", "max_completion_tokens"

CASES = [
    ([NEW], {OLD: 5}, {NEW: 5}),
    ([NEW], {NEW: 5}, {NEW: 5}),
    ([NEW], {OLD: 5, NEW: 6}, {NEW: 6}),
    ([NEW], {OLD: 5, NEW: None}, {NEW: 5}),
    ([NEW], {OLD: None, NEW: 6}, {NEW: 6}),
    ([NEW], {OLD: None}, {}),
    ([OLD], {OLD: None, NEW: 5}, {OLD: 5}),
    ([NEW], {"a": 1}, {"a": 1}),
    ([OLD], {NEW: 5}, {OLD: 5}),
    ([OLD], {OLD: 5}, {OLD: 5}),
    ([OLD], {OLD: 6, NEW: 5}, {OLD: 6}),
    (["no_stream_options"], {"stream_options": {"include_usage": True}, "a": 1}, {"a": 1}),
    ([OLD, "no_stream_options"], {"stream_options": None, NEW: 1}, {OLD: 1}),
    ([], {OLD: 5, NEW: 6, "stream_options": {}}, {OLD: 5, NEW: 6, "stream_options": {}}),
]


@pytest.mark.parametrize(("quirks", "asked", "sent"), CASES)
def test_what_is_sent(quirks, asked, sent):
    assert json.loads(apply(quirks, json.dumps(asked))) == sent


def test_every_quirk_is_tested_and_used_by_a_row():
    used = {name for row in load_catalogue().known.values() for name in row.quirks}
    tested = {name for quirks, _, _ in CASES for name in quirks}
    assert used == tested == set(QUIRKS) == set(_CONCERNS)


def test_a_word_of_the_prompt_is_no_member():
    body = b'{"messages": "max_tokens, max_completion_tokens and stream_options",  "a": 1}'
    assert apply(QUIRKS, body) is body


@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_request_that_needs_no_quirk_stays_byte_for_byte(quirk):
    body = b'{ "model" : "m", "seed": 12345678901234567890123, "x": 1.50, "a": "\\u00e9" }'
    assert apply([quirk], body) is body


def test_what_a_quirk_does_not_touch_keeps_its_spelling():
    body = b'{"max_tokens": 5, "seed": 12345678901234567890123, "x": 1.50, "a": "\\u00e9"}'
    sent = apply([NEW], body)
    for piece in (b"12345678901234567890123", b"1.50", b'"\\u00e9"'):
        assert piece in sent
