"""The table of framings: what cuts a body of each into frames, and how its head names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from arno.wire.eventstream import EventStreamBytesDecoder, EventStreamDecoder
from arno.wire.frame import Framer, Framing
from arno.wire.json_array import JSONArrayDecoder
from arno.wire.sse import SSEDecoder

FRAMERS: Final[Mapping[Framing, Callable[[int], Framer]]] = {
    Framing.SSE: SSEDecoder,
    Framing.EVENT_STREAM: EventStreamDecoder,
    Framing.EVENT_STREAM_BYTES: EventStreamBytesDecoder,
    Framing.JSON_ARRAY: JSONArrayDecoder,
}
"""Framing to what makes a framer for one body; its argument is the largest frame in bytes."""

MEDIA_TYPES: Final[Mapping[Framing, str]] = {
    Framing.SSE: "text/event-stream",
    Framing.EVENT_STREAM: "application/vnd.amazon.eventstream",
    Framing.EVENT_STREAM_BYTES: "application/vnd.amazon.eventstream",
    Framing.JSON_ARRAY: "application/json",
}
"""Framing to the media type that a stream of it has in its Content-Type."""
