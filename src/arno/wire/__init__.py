"""Bytes to frames and back, sans-IO: the lowest layer, which knows no dialect.

sse     server-sent events (law Framing)
json    JSON text with exact numbers; imported as a module, `from arno.wire import json`
errors  what decoders raise
"""

from arno.wire.errors import FrameTooLarge, MalformedJSON, WireError
from arno.wire.sse import DEFAULT_LIMIT, SSEDecoder, SSEFrame, encode_comment, encode_sse

__all__ = [
    "DEFAULT_LIMIT",
    "FrameTooLarge",
    "MalformedJSON",
    "SSEDecoder",
    "SSEFrame",
    "WireError",
    "encode_comment",
    "encode_sse",
]
