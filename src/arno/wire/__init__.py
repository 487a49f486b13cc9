"""Bytes to frames and back, sans-IO: the lowest layer, which knows no dialect.

frame        one wire unit, and the ways in which streams are cut into them
framing      the table of those ways: what cuts each, and its media type
sse          server-sent events (law Framing)
eventstream  binary messages with checksums
json         JSON text with exact numbers; imported as a module, `from arno.wire import json`
errors       what decoders raise
"""

from arno.wire.errors import FrameTooLarge, MalformedJSON, MalformedMessage, WireError
from arno.wire.eventstream import (
    EventStreamBytesDecoder,
    EventStreamDecoder,
    encode_message,
)
from arno.wire.frame import Frame, Framer, Framing
from arno.wire.framing import FRAMERS, MEDIA_TYPES
from arno.wire.sse import DEFAULT_LIMIT, SSEDecoder, encode_comment, encode_sse

__all__ = [
    "DEFAULT_LIMIT",
    "FRAMERS",
    "MEDIA_TYPES",
    "EventStreamBytesDecoder",
    "EventStreamDecoder",
    "Frame",
    "FrameTooLarge",
    "Framer",
    "Framing",
    "MalformedJSON",
    "MalformedMessage",
    "SSEDecoder",
    "WireError",
    "encode_comment",
    "encode_message",
    "encode_sse",
]
