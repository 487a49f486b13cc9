"""Messages of a stream: one header block for each type, made once.

A sign of life is a message of a type that the service does not have. The format tells clients to
pass over types they do not know, and the vendor's SDKs do: there is no other way to say nothing.
"""

from __future__ import annotations

from typing import Final

from arno.dialects.residue import Document
from arno.wire import json
from arno.wire.eventstream import encode_block, encode_headers

EVENTS: Final = (
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
)
"""Types of events in the order in which a stream has them."""

PING: Final = "ping"
JSON_TYPE: Final = "application/json"

_BLOCKS: Final[dict[str, bytes]] = {
    name: encode_headers(
        {":event-type": name, ":content-type": JSON_TYPE, ":message-type": "event"}
    )
    for name in (*EVENTS, PING)
}

DELTA: Final = _BLOCKS["contentBlockDelta"]
"""The header block of nearly all messages."""

HEARTBEAT: Final = encode_block(_BLOCKS[PING], b"{}")


def event(name: str, document: Document) -> bytes:
    """One event as a message."""
    return encode_block(_BLOCKS[name], json.dumps(document))


def delta(payload: bytes) -> bytes:
    """A content block's delta, its payload written already."""
    return encode_block(DELTA, payload)


def exception(name: str, payload: bytes) -> bytes:
    """An exception as a message."""
    headers = {":exception-type": name, ":content-type": JSON_TYPE, ":message-type": "exception"}
    return encode_block(encode_headers(headers), payload)
