"""The quick way past most events: one more piece of the block that is open.

Such a document is read into typed members. Whatever is not exactly of this form (another type, a
member that is not listed) is not quick, and the way of `stream_decode` leads to the same events,
which a law holds over all recordings.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class _Text(msgspec.Struct, tag_field="type", tag="text_delta", forbid_unknown_fields=True):
    text: str


class _Thinking(msgspec.Struct, tag_field="type", tag="thinking_delta", forbid_unknown_fields=True):
    thinking: str


class _Input(msgspec.Struct, tag_field="type", tag="input_json_delta", forbid_unknown_fields=True):
    partial_json: str


class _Signature(
    msgspec.Struct, tag_field="type", tag="signature_delta", forbid_unknown_fields=True
):
    signature: str


class _Piece(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["content_block_delta"]
    index: int
    delta: _Text | _Thinking | _Input | _Signature


_DECODER = msgspec.json.Decoder(_Piece)
_TYPE = b'"content_block_delta"'

TEXT, THINKING, ARGUMENTS = "text", "thinking", "arguments"
"""What a block of a kind takes."""


def read(data: bytes) -> tuple[int, str, str] | None:
    """(index, what the piece is of, the piece), None for a document that is not quick."""
    if data.find(_TYPE) < 0:
        return None
    try:
        piece = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    delta = piece.delta
    if type(delta) is _Text:
        return piece.index, TEXT, delta.text
    if type(delta) is _Input:
        return piece.index, ARGUMENTS, delta.partial_json
    if type(delta) is _Thinking:
        return piece.index, THINKING, delta.thinking
    return None
