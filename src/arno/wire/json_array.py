"""A stream as one JSON array: whole server-sent events become its elements."""

from __future__ import annotations

from arno.wire.sse import SSEDecoder


class ArrayWriter:
    """Turns whole frames into pieces of one array."""

    def __init__(self) -> None:
        self._begun = False

    def feed(self, frames: bytes) -> bytes:
        """The pieces that say these frames; comments become white space."""
        framer = SSEDecoder()
        pieces: list[bytes] = []
        for frame in (*framer.feed(frames), *framer.close()):
            if frame.data is None:
                pieces.append(b"\n")
            else:
                pieces.append((b",\r\n" if self._begun else b"[") + frame.data)
                self._begun = True
        return b"".join(pieces)

    def close(self) -> bytes:
        """The end of the array."""
        return b"]" if self._begun else b"[]"
