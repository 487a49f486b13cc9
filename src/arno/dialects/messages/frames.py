"""Frames of this dialect's streams: the event's name stands before its document.

The official SDKs read no event without its name. Source: SDK `_streaming.py`.
"""

from __future__ import annotations

from arno.canon.ext import Json
from arno.dialects.residue import Document
from arno.wire import json
from arno.wire.sse import encode_sse

PING = encode_sse(b'{"type":"ping"}', "ping")
STOP = encode_sse(b'{"type":"message_stop"}', "message_stop")


def frame(type_: str, **members: object) -> bytes:
    """One document as a frame."""
    return encode_sse(json.dumps({"type": type_, **members}), type_)


def document_frame(document: Document) -> bytes:
    """A document that names its own type as a frame."""
    return encode_sse(json.dumps(document), str(document["type"]))


def is_name(type_: Json) -> bool:
    """True for a text that may stand as an event's name."""
    return isinstance(type_, str) and type_ != "" and type_.isprintable()
