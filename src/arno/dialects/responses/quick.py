"""The documents that make up nearly all of a stream: one more piece of an open part.

Such a document is read into a few typed members. Whatever is not exactly of this form (no piece, a
piece with probabilities) is not quick, and the way of `stream_decode` leads to the same events,
which a law holds over all recordings.
"""

from __future__ import annotations

import msgspec

from arno.canon.events import Slot
from arno.dialects.responses.items import CALL, Key

PIECES: dict[str, tuple[str, Slot]] = {
    "response.output_text.delta": ("content", Slot.TEXT),
    "response.refusal.delta": ("content", Slot.TEXT),
    "response.reasoning_text.delta": ("content", Slot.TEXT),
    "response.reasoning_summary_text.delta": ("summary", Slot.TEXT),
    "response.function_call_arguments.delta": (CALL[0], Slot.ARGUMENTS),
    "response.custom_tool_call_input.delta": (CALL[0], Slot.ARGUMENTS),
}
"""Type of a document that brings a piece, to where the piece belongs."""

_MARK = b'.delta"'
"""What every such document holds; the others are told apart without the price of an exception."""


class Piece(msgspec.Struct, gc=False):
    """One more piece of text, reasoning or arguments."""

    type: str
    delta: str
    output_index: int
    content_index: int = 0
    summary_index: int = 0
    logprobs: tuple[()] | None = None

    def place(self) -> tuple[Key, Slot] | None:
        """The part of the item that the piece belongs to, None for a type that is not known."""
        known = PIECES.get(self.type)
        if known is None:
            return None
        member, slot = known
        if member == "content":
            return (member, self.content_index), slot
        return (CALL if slot is Slot.ARGUMENTS else (member, self.summary_index)), slot


_DECODER = msgspec.json.Decoder(Piece)


def read(data: bytes) -> Piece | None:
    """The piece, None for a document that is not of the quick form."""
    if data.find(_MARK) < 0:
        return None
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
