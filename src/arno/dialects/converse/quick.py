"""The messages that make up nearly all of a stream: one more piece of text, reasoning or arguments.

Such a message is read into a few typed members. Whatever is not exactly of this form goes the way
of `stream_decode`, which leads to the same events; a law holds that over all recordings.
"""

from __future__ import annotations

from typing import Final

import msgspec

from arno.canon.events import Slot

KINDS: Final = ("text", "reasoning", "call")
"""What a block with such a delta is."""


class _Input(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    input: str


class _Reasoning(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str


class _Delta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str | None = None
    toolUse: _Input | None = None
    reasoningContent: _Reasoning | None = None


class Piece(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A delta of an open block; p is padding."""

    contentBlockIndex: int
    delta: _Delta
    p: str | None = None


_DECODER: Final = msgspec.json.Decoder(Piece)


def read(data: bytes) -> tuple[int, str, Slot, str] | None:
    """Block, kind of block, slot and text of a quick message, None for any other."""
    if data.find(b'"signature":') >= 0 or data.find(b'"redactedContent":') >= 0:
        return None  # told without the price of an exception
    try:
        piece = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    delta = piece.delta
    said, call, thought = delta.text, delta.toolUse, delta.reasoningContent
    if said and call is None and thought is None:
        return piece.contentBlockIndex, "text", Slot.TEXT, said
    if call is not None and said is None and thought is None and call.input:
        return piece.contentBlockIndex, "call", Slot.ARGUMENTS, call.input
    if thought is not None and said is None and call is None and thought.text:
        return piece.contentBlockIndex, "reasoning", Slot.TEXT, thought.text
    return None
