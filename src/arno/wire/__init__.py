"""Bytes to frames and back, sans-IO: the lowest layer, which knows no dialect.

frame   one wire unit, and the ways in which streams are cut into them
sse     server-sent events (law Framing)
json    JSON text with exact numbers; imported as a module, `from arno.wire import json`
errors  what decoders raise
"""

from arno.wire.errors import FrameTooLarge, MalformedJSON, WireError
from arno.wire.frame import Frame, Framer, Framing
from arno.wire.sse import DEFAULT_LIMIT, SSEDecoder, encode_comment, encode_sse

__all__ = [
    "DEFAULT_LIMIT",
    "Frame",
    "FrameTooLarge",
    "Framer",
    "Framing",
    "MalformedJSON",
    "SSEDecoder",
    "WireError",
    "encode_comment",
    "encode_sse",
]
