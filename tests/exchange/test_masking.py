"""What an upstream repeats of its key, whole or in pieces, and what is left of it."""

import pytest

from arno.exchange.masking import MARK, mask_document, mask_frame, mask_text
from arno.wire import json
from arno.wire.sse import SSEDecoder

KEY = "abcd.sk-1234567890/efghijklm"

TEXTS = {
    f"bad key {KEY}": f"bad key {MARK}",
    f"{KEY}{KEY}": MARK + MARK,
    "bad key abcd.[redacted]/efghijklm": f"bad key abcd.[redacted]{MARK}",
    f"{KEY[:20]}…": f"{MARK}…",
    f"...{KEY[-8:]}!": f"...{MARK}!",
    f"{KEY[:9]} and {KEY[9:]}": f"{MARK} and {MARK}",
    "abcd.sk": "abcd.sk",
    "efghijk": "efghijk",
    "": "",
}


@pytest.mark.parametrize("text", TEXTS)
def test_the_key_and_its_pieces_are_taken_out(text):
    assert mask_text(text, KEY) == TEXTS[text]


def test_a_short_key_is_taken_out_whole_and_not_in_pieces():
    assert mask_text("EMPTY is not EMPT", "EMPTY") == f"{MARK} is not EMPT"


def test_documents_are_masked_in_every_place():
    pieces = {"x": f"{KEY[:20]}..."}
    assert mask_document(pieces, KEY) == {"x": f"{MARK}..."}
    document = {KEY: [KEY, 1, None, {"x": f"<{KEY}>"}]}
    assert mask_document(document, KEY) == {MARK: [MARK, 1, None, {"x": f"<{MARK}>"}]}


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
