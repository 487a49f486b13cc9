"""What an upstream repeats of its key, and what is left of it."""

import pytest

from arno.exchange.masking import MARK, mask_document, mask_frame, mask_raw, mask_text
from arno.wire import json
from arno.wire.sse import SSEDecoder

KEY = "abcd.sk-1234567890/efghijklm"

TEXTS = {
    f"bad key {KEY}": f"bad key {MARK}",
    f"{KEY}{KEY}": MARK + MARK,
    "no key": "no key",
    "": "",
}


@pytest.mark.parametrize("text", TEXTS)
def test_the_key_is_taken_out(text):
    assert mask_text(text, KEY) == TEXTS[text]


@pytest.mark.parametrize("piece", [KEY[:20], KEY[-8:], KEY[:-1], KEY[1:]])
def test_a_piece_of_it_stays_so_that_nobody_learns_that_it_is_one(piece):
    """Who knows how a key begins could else guess the rest, one character after the other."""
    assert mask_text(f"no model {piece}", KEY) == f"no model {piece}"


def test_documents_are_masked_in_every_place():
    document = {KEY: [KEY, 1, None, {"x": f"<{KEY}>"}]}
    assert mask_document(document, KEY) == {MARK: [MARK, 1, None, {"x": f"<{MARK}>"}]}


RAWS = {
    b'data: {"error": "%b"}\n\n': True,
    b": %b\n\n": True,
    b'data: {"content": "%b"}\n\n': False,
    b'data: {"error": "a"}\n\n': False,
}
"""Frames, and whether the key is taken out: what a model says passes as it came."""


@pytest.mark.parametrize("raw", RAWS)
def test_errors_and_comments_are_masked_as_they_come(raw):
    found = frame(raw % KEY.encode() if b"%b" in raw else raw)
    left = mask_raw(found, KEY)
    assert left.raw == (raw % MARK.encode() if RAWS[raw] else found.raw)
    assert (left is found) is not RAWS[raw]


def test_a_key_that_is_a_common_word_changes_no_answer():
    found = frame(b'data: {"content": "there is none"}\n\n')
    assert mask_raw(found, "none") is found


def frame(raw):
    [found] = SSEDecoder().feed(raw)
    return found


def masked(raw):
    """The frame's bytes, masked as the machine does it."""
    found = frame(raw)
    document = json.loads(found.data)
    return mask_frame(found, document, mask_document(document, KEY), KEY).raw


@pytest.mark.parametrize("spelled", [KEY, KEY.replace("/", "\\/"), KEY.replace("a", "\\u0061")])
def test_a_frame_is_masked_however_json_spells_the_key(spelled):
    raw = f'event: error\ndata: {{"error": "{spelled}"}}\n\n'.encode()
    assert frame(masked(raw)).event == "error"
    assert json.loads(frame(masked(raw)).data) == {"error": MARK}


def test_a_comment_is_masked_and_other_frames_stay_as_they_are():
    raw = b': %b\ndata: {"a":  1}\n\n'
    assert masked(raw % KEY.encode()) == raw % MARK.encode()
    assert masked(raw % b"hello") == raw % b"hello"
