"""Frames of another framing as the dialect's own: what an upstream wraps, clients read unwrapped.

Messages on Bedrock come as binary messages that each hold one event of the dialect. What goes on to
a client as it came must be an event of its stream, so the frame's raw bytes are written anew.
"""

from __future__ import annotations

import msgspec

from arno.wire.frame import Frame, Framer
from arno.wire.sse import encode_sse


class AsEvents:
    """A framer whose frames are server-sent events, whatever they were cut from."""

    def __init__(self, framer: Framer) -> None:
        self._framer = framer

    def feed(self, data: bytes) -> list[Frame]:
        """As the Protocol says."""
        return [_as_event(frame) for frame in self._framer.feed(data)]

    def close(self) -> list[Frame]:
        """As the Protocol says."""
        return [_as_event(frame) for frame in self._framer.close()]


def _as_event(frame: Frame) -> Frame:
    """The frame with its document as an event; one without a document has no bytes at all."""
    if frame.data is None:
        return msgspec.structs.replace(frame, raw=b"")
    # An upstream's word must not forge a line; a name that could is no event's.
    name = frame.event if frame.event.isprintable() else ""
    return msgspec.structs.replace(frame, raw=encode_sse(frame.data, name))
