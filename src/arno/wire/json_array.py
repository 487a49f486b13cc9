"""A stream told as one JSON array, sans-IO: its bytes to frames, and events to such an array.

Gemini hosts answer so when a stream is asked for without `alt=sse`: the array begins with the
first element and grows by one as each is made. The promises are those of `arno.wire.sse`: the raw
bytes of the frames joined are the body, and however the body is cut into chunks the frames are the
same. A frame ends with its element, so what separates two elements belongs to the second one, and
the end of the array is a frame without data.

An element is found by its brackets and quotes alone; whether it is JSON shows when it is parsed.
"""

from __future__ import annotations

import re
from typing import Final

from arno.wire.errors import FrameTooLarge, MalformedJSON
from arno.wire.frame import Frame
from arno.wire.sse import DEFAULT_LIMIT, SSEDecoder

_NESTED: Final = re.compile(rb'[{}\[\]"]')
_QUOTED: Final = re.compile(rb'["\\]')
# A byte order mark is no part of the text, in pieces or whole.
_AT_START: Final = re.compile(rb"[^ \t\r\n\xef\xbb\xbf]")
_BETWEEN: Final = re.compile(rb"[^ \t\r\n]")
_SCALAR: Final = re.compile(rb"[ \t\r\n,\]\[{}\"]")


class _Place:
    """Where in the text a scan stands; see `JSONArrayDecoder._step`."""

    START, BETWEEN, NESTED, STRING, SCALAR, AFTER = range(6)


class JSONArrayDecoder:
    """Turns chunks of one response body into frames, one for each element of its array.

    A body that is one object instead (an error document) is one frame. Keeps at most `limit` bytes
    of an unfinished frame; no byte is searched twice, however small the chunks are.
    """

    __slots__ = (
        "_begin",
        "_broken",
        "_buffer",
        "_depth",
        "_escaped",
        "_in_array",
        "_limit",
        "_open",
        "_place",
        "_refused",
        "_scanned",
    )

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        """Start at the beginning of a body; `limit` is the largest frame accepted, in bytes."""
        if limit < 1:
            raise ValueError("limit must be at least one byte")
        self._limit = limit
        self._buffer = bytearray()  # the unfinished frame, nothing before it
        self._scanned = 0  # up to here the buffer was looked at
        self._begin = 0  # where the element begins in the buffer
        self._depth = 0  # open brackets of the element
        self._place = _Place.START
        self._in_array = False
        self._escaped = False  # a backslash was the last byte of a string
        self._refused = 0  # size of the frame that was over the limit, 0 if none was
        self._broken = ""  # why the text is no array, once that is known
        self._open = True

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next chunk and return the frames that it completes.

        Raises FrameTooLarge once one frame is over the limit, and MalformedJSON for bytes that
        cannot stand there; frames that were complete before are returned first, then the next
        call raises, and so does every call after it. Feeding a closed decoder is a ValueError.
        """
        if self._refused or self._broken:
            self._raise()
        if not self._open:
            raise ValueError("the decoder is closed")
        self._buffer += data
        frames: list[Frame] = []
        taken = 0
        while (end := self._frame_end()) is not None:
            if end - taken > self._limit:
                self._refused = end - taken
                break
            raw = bytes(self._buffer[taken:end])
            element = None if self._begin < 0 else raw[self._begin - taken :]
            frames.append(Frame(raw, element))
            taken = self._begin = end
        if not self._refused:
            unfinished = (self._scanned if self._broken else len(self._buffer)) - taken
            self._refused = unfinished if unfinished > self._limit else 0
        self._drop(taken)
        if (self._refused or self._broken) and not frames:
            self._raise()
        return frames

    def close(self) -> list[Frame]:
        """End the body and return what is left of it, at most one frame.

        White space behind the array is a whole frame without data, anything else is unfinished.
        Raises as `feed` does; further calls return an empty list.
        """
        if self._refused or self._broken:
            self._raise()
        raw = bytes(self._buffer)
        self._open = False
        self._buffer = bytearray()
        if not raw:
            return []
        return [Frame(raw, None, complete=self._place == _Place.AFTER)]

    def _raise(self) -> None:
        self._buffer = bytearray()
        self._open = False
        if self._refused:
            raise FrameTooLarge(self._limit, self._refused)
        raise MalformedJSON(self._broken)

    def _drop(self, taken: int) -> None:
        """Forget the bytes of finished frames: once a chunk, since each time moves the rest."""
        del self._buffer[:taken]
        self._scanned -= taken
        self._begin = max(self._begin - taken, 0)

    def _frame_end(self) -> int | None:
        """Where the next frame ends, None until that is known; `_begin` is then its element's."""
        while self._scanned < len(self._buffer) and not self._broken:
            end = _STEPS[self._place](self)
            if end is not None:
                return end
        return None

    def _find(self, pattern: re.Pattern[bytes]) -> int:
        """The next byte that matters, stepped over; -1 if there is none yet."""
        found = pattern.search(self._buffer, self._scanned)
        self._scanned = len(self._buffer) if found is None else found.end()
        return -1 if found is None else found.start()

    def _start(self) -> int | None:
        at = self._find(_AT_START)
        if at < 0:
            return None
        if self._buffer[at] == ord("["):
            self._in_array = True
            self._place = _Place.BETWEEN
            return None
        return self._element(at)

    def _between(self) -> int | None:
        at = self._find(_BETWEEN)
        if at < 0 or self._buffer[at] == ord(","):
            return None
        if self._buffer[at] == ord("]"):
            self._place = _Place.AFTER
            self._begin = -1
            return at + 1
        return self._element(at)

    def _element(self, at: int) -> int | None:
        """An element begins at `at`, whose byte was stepped over."""
        self._begin = at
        first = self._buffer[at]
        if first in b"{[":
            self._depth = 1
            self._place = _Place.NESTED
        elif first == ord('"'):
            self._depth = 0
            self._place = _Place.STRING
        elif first in b"}]:,":
            self._broken = "the array holds a bracket or a comma that nothing belongs to"
        else:
            self._place = _Place.SCALAR
        return None

    def _nested(self) -> int | None:
        at = self._find(_NESTED)
        if at < 0:
            return None
        mark = self._buffer[at]
        if mark == ord('"'):
            self._place = _Place.STRING
            return None
        self._depth += 1 if mark in b"{[" else -1
        return self._ended(at + 1) if self._depth == 0 else None

    def _string(self) -> int | None:
        if self._escaped:
            self._escaped = False
            self._scanned += 1
            return None
        at = self._find(_QUOTED)
        if at < 0:
            return None
        if self._buffer[at] != ord('"'):
            self._escaped = True
            return None
        self._place = _Place.NESTED
        return self._ended(at + 1) if self._depth == 0 else None

    def _scalar(self) -> int | None:
        at = self._find(_SCALAR)
        if at < 0:
            return None
        self._scanned = at
        return self._ended(at)

    def _ended(self, end: int) -> int:
        self._place = _Place.BETWEEN if self._in_array else _Place.AFTER
        return end

    def _after(self) -> int | None:
        if self._find(_BETWEEN) >= 0:
            self._broken = "something stands behind the end of the array"
        return None


_STEPS: Final = {
    _Place.START: JSONArrayDecoder._start,
    _Place.BETWEEN: JSONArrayDecoder._between,
    _Place.NESTED: JSONArrayDecoder._nested,
    _Place.STRING: JSONArrayDecoder._string,
    _Place.SCALAR: JSONArrayDecoder._scalar,
    _Place.AFTER: JSONArrayDecoder._after,
}


class ArrayWriter:
    """Turns whole server-sent events into the pieces of one JSON array, one write for one.

    The data of each event is an element; an event without data (a comment) becomes white space,
    which keeps a connection alive. What stands outside of events (the plain error document behind
    an error event) is left out, since the event before it says the same.
    """

    def __init__(self) -> None:
        self._began = False
        self._closed = False

    def feed(self, data: bytes) -> bytes:
        """The part of the array that says these events; they must be whole."""
        events = SSEDecoder(max(len(data), 1))
        pieces: list[bytes] = []
        for frame in (*events.feed(data), *events.close()):
            if frame.data is None:
                pieces.append(b"\r\n")
                continue
            pieces += (b",\r\n" if self._began else b"[", frame.data)
            self._began = True
        return b"".join(pieces)

    def close(self) -> bytes:
        """The end of the array; nothing the second time."""
        if self._closed:
            return b""
        self._closed = True
        return b"]" if self._began else b"[]"
