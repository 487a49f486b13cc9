"""The chunks that make up nearly all of a stream: one more piece of text or of a thought.

Such a chunk is read into a few typed members; its usage object is kept as bytes until it is needed.
Whatever is not exactly of this form is not quick, and the way of `stream_decode` leads to the same
events.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

_ABSENT = Raw()


class Piece(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A part of text alone."""

    text: str
    thought: bool = False


class _Content(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    parts: tuple[Piece]
    role: str | None = None


class Candidate(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A candidate that goes on."""

    content: _Content
    index: int = 0


class Chunk(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename="camel"):
    """A chunk of one candidate that ends nothing."""

    candidates: tuple[Candidate]
    usage_metadata: Raw = _ABSENT
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None


_DECODER = msgspec.json.Decoder(Chunk)
_OTHERS = (b'"finishReason"', b'"functionCall"', b'"thoughtSignature"')


def read(data: bytes) -> Chunk | None:
    """The chunk, None for one that is not of the quick form."""
    for mark in _OTHERS:
        if data.find(mark) >= 0:
            # The common ones that are not, told without the price of an exception.
            return None
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
