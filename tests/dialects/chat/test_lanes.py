"""Lanes: frames of one part that differ in one string."""

import pytest

from arno.canon.events import Slot
from arno.dialects.chat.lanes import Lane, Told
from arno.wire import json

WORDS = ["", "a", 'q"uo\\te', "line\nbreak", "ümläut 🙂", "@0@", "\x00\u2028"]


def once(value: str) -> bytes:
    return json.dumps({"a": '"@0@"', "content": value, "b": 1})


def twice(value: str) -> bytes:
    return json.dumps({"details": [{"text": value}], "format": "@0@", "reasoning": value})


@pytest.mark.parametrize("word", WORDS)
def test_a_lane_writes_what_the_long_way_writes(word: str) -> None:
    """Also where the frame itself holds what looks like the place of the string."""
    assert Lane(Slot.TEXT, once, twice=False, told=None).frame(word) == once(word)
    assert Lane(Slot.TEXT, twice, twice=True, told=None).frame(word) == twice(word)


def test_a_lane_counts_characters() -> None:
    told = Told()
    lane = Lane(Slot.TEXT, once, twice=False, told=told)
    lane.frame("é🙂")
    lane.frame("a")
    assert told.chars == 3
