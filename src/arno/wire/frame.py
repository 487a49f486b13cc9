"""Frames: one wire unit of a stream, whatever the framing; and what turns bytes into them."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One wire unit: an event of an event stream, a message of a binary one, an array's element.

    raw: the frame exactly as it was on the wire, what ends it included.
    data: its payload, None if it has none; of server-sent events the `data` lines joined with LF.
        Never decoded here: whether it is valid UTF-8 shows when it is parsed as JSON (row 16).
    event: the event's name, "" if none was given; of a binary message its event type, of an
        exception its type behind a "!".
    id: the event id, None if the frame has no valid `id` line.
    retry: milliseconds, None if the frame has no valid `retry` line.
    comment: the comment lines' text joined with LF, None if there was none.
    complete: False only for what `close` found unfinished.
    """

    raw: bytes
    data: bytes | None
    event: str = ""
    id: str | None = None
    retry: int | None = None
    comment: bytes | None = None
    complete: bool = True


class Framer(Protocol):
    """Turns chunks of one response body into frames; keeps a bounded number of bytes."""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that this chunk completes. Raises WireError."""
        ...

    def close(self) -> list[Frame]:
        """What the end of the body leaves unfinished. Raises WireError."""
        ...


class Framing(StrEnum):
    """How a stream is cut into documents.

    sse: server-sent events; event_stream: binary messages with checksums (AWS); event_stream_bytes:
    the same, each payload holding one document as base64 in its member `bytes`; json_array: the
    elements of one JSON array.
    """

    SSE = "sse"
    EVENT_STREAM = "event_stream"
    EVENT_STREAM_BYTES = "event_stream_bytes"
    JSON_ARRAY = "json_array"
