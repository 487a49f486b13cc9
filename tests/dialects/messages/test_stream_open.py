"""Blocks that are open: what is kept of them until their ends."""

import time

from arno.canon.parts import TextPart, ToolCallPart
from arno.dialects.messages.stream_open import Growing, OpenBlock


def test_texts_are_joined_and_the_rest_is_replaced():
    growing = Growing({"type": "later", "text": "a", "n": 1, "odd": "x"})
    for text in ("b", "c"):
        growing.add({"type": "later_delta", "text": text, "n": 2, "new": [text], "odd": 5})
    growing.add({"odd": "y"})
    growing.add({"odd": "z"})
    assert growing.whole() == {"type": "later", "text": "abc", "n": 2, "odd": "yz", "new": ["c"]}


def test_a_text_that_was_replaced_begins_anew():
    growing = Growing({"text": "a"})
    for value in ("b", 5, "c", "d"):
        growing.add({"text": value})
    assert growing.whole() == {"text": "cd"}


def test_growing_costs_no_copy_for_each_piece():
    """Copies would be a hundred billion characters here, and take a minute."""
    growing, piece = Growing({"text": ""}), {"text": "x" * 500}
    began = time.process_time()
    for _ in range(20_000):
        growing.add(piece)
    assert len(growing.whole()["text"]) == 10_000_000
    assert time.process_time() - began < 5


def test_a_place_for_arguments_is_none():
    block = OpenBlock(0, ToolCallPart(call_id="a", name="n"))
    assert block.is_bare
    for waiting, bare in (("{}", True), ("{ }", True), ('{"x":1}', False), ("[1]", False)):
        block.waiting = waiting
        assert block.is_bare is bare
    block.said, block.waiting = True, ""
    assert not block.is_bare
    assert not OpenBlock(0, TextPart()).is_bare
