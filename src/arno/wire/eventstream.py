"""The binary event stream (application/vnd.amazon.eventstream), sans-IO, both ways.

One message on the wire, numbers big-endian:

    total length   4    of the whole message, this field and the last checksum included
    header length  4
    checksum       4    CRC32 of the eight bytes before it
    headers        n    each: name length 1, name, value type 1, value
    payload        n
    checksum       4    CRC32 of everything before it

The promises are those of `arno.wire.sse`: joined `raw` is the body, and splits do not show. What a
message declares is checked before anything is kept for it: the first checksum as soon as its twelve
bytes are there, then the lengths against each other and against the limit. No memory is set aside
for a declared length; bytes are kept as they arrive.

A message that the end of the body cuts off is no fault of the framing: `close` returns it
unfinished and without data, and the dialect's cut rule says whether the answer was complete before.

Source: the event stream encoding of the vendor's SDKs (Smithy specification, "Event stream
encoding"; its bound of 128 KiB of headers is kept, its bound on payloads is our `limit`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final
from uuid import UUID
from zlib import crc32

import msgspec

from arno.wire.errors import FrameTooLarge, MalformedMessage, WireError
from arno.wire.frame import Frame
from arno.wire.sse import DEFAULT_LIMIT

HeaderValue = bool | int | bytes | str | UUID
"""Of a header; a timestamp is an int, in milliseconds since the epoch."""

MAX_HEADERS: Final = 128 * 1024
"""Bytes that the headers of one message may have."""

_PRELUDE: Final = struct.Struct("!III")
_LENGTHS: Final = struct.Struct("!II")
_CRC: Final = struct.Struct("!I")
_OVERHEAD: Final = _PRELUDE.size + _CRC.size
_SHORT: Final = struct.Struct("!H")
_STRING: Final = 7
_MAX_NAME: Final = 255
_MAX_STRING: Final = 0x7FFF

_FIXED: Final[dict[int, tuple[int, Callable[[bytes], HeaderValue]]]] = {
    0: (0, lambda _: True),
    1: (0, lambda _: False),
    2: (1, partial(int.from_bytes, byteorder="big", signed=True)),
    3: (2, partial(int.from_bytes, byteorder="big", signed=True)),
    4: (4, partial(int.from_bytes, byteorder="big", signed=True)),
    5: (8, partial(int.from_bytes, byteorder="big", signed=True)),
    8: (8, partial(int.from_bytes, byteorder="big", signed=True)),
    9: (16, lambda value: UUID(bytes=value)),
}
"""Value types of one size: bytes of the value, and how it is read."""

_SIZED: Final[dict[int, Callable[[bytes], HeaderValue]]] = {
    6: bytes,
    _STRING: bytes.decode,
}
"""Value types that begin with their own length in two bytes."""

_KNOWN_BLOCKS: Final = 32
"""Header blocks of which the meaning is kept: those of one stream are nearly always the same."""


class EventStreamDecoder:
    """Turns chunks of one response body into frames, one for each message.

    A frame's data is the message's payload; its event is the event type, or "!" and the type of an
    exception or the code of an error. An error says what it has to say in its headers: without a
    payload its data is the JSON object {"message": ...} made of them.
    """

    __slots__ = ("_buffer", "_fault", "_limit", "_meanings", "_needed", "_open")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        """Start at the beginning of a body; `limit` is the largest message accepted, in bytes."""
        if limit < 1:
            raise ValueError("limit must be at least one byte")
        self._limit = limit
        self._buffer = bytearray()  # the unfinished message, nothing before it
        self._needed = _PRELUDE.size  # bytes of it that must be there before it is looked at again
        self._meanings: dict[bytes, tuple[str, bytes | None]] = {}
        self._fault: Callable[[], WireError] | None = None
        self._open = True

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next chunk and return the frames that it completes.

        Raises FrameTooLarge for a message that declares more than the limit, MalformedMessage for
        one with a wrong checksum, wrong lengths or unreadable headers. Frames that were complete
        before it in the same chunk are returned first; then the next call raises, and so does
        every call after it. Feeding a closed decoder is a ValueError.
        """
        if self._fault is not None:
            raise self._fault()
        if not self._open:
            raise ValueError("the decoder is closed")
        buffer = self._buffer
        if len(buffer) + len(data) < self._needed:
            buffer += data
            return []
        if buffer:
            data = b"".join((buffer, data))
            self._buffer = bytearray()
        return self._cut(data)

    def close(self) -> list[Frame]:
        """End the body and return what is left of it, at most one frame that is not complete.

        Raises what was wrong with a message before. Further calls return an empty list.
        """
        if self._fault is not None:
            raise self._fault()
        raw = bytes(self._buffer)
        self._open = False
        self._buffer = bytearray()
        return [Frame(raw, None, complete=False)] if raw else []

    def _cut(self, data: bytes) -> list[Frame]:
        """Cut off all whole messages; the rest is kept, unless it is found to be wrong."""
        frames: list[Frame] = []
        begin, size = 0, len(data)
        self._needed = _PRELUDE.size
        try:
            while size - begin >= _PRELUDE.size:
                total, headers = self._lengths(data, begin)
                if size - begin < total:
                    self._needed = total
                    break
                frames.append(self._frame(data[begin : begin + total], headers))
                begin += total
        except _Refused as refused:
            self._fault = refused.fault
            if not frames:
                raise self._fault() from None
            return frames
        self._buffer += data[begin:] if begin else data
        return frames

    def _lengths(self, data: bytes, begin: int) -> tuple[int, int]:
        """Total and header length of the message that begins here. Raises _Refused."""
        total, headers, checksum = _PRELUDE.unpack_from(data, begin)
        if crc32(data[begin : begin + _LENGTHS.size]) != checksum:
            raise _refused("the checksum of a message's lengths is wrong")
        if total < _OVERHEAD + headers:
            raise _refused(f"a message of {total} bytes declares {headers} bytes of headers")
        if headers > MAX_HEADERS:
            raise _refused(f"a message declares {headers} bytes of headers, over {MAX_HEADERS}")
        if total > self._limit:
            raise _Refused(partial(FrameTooLarge, self._limit, total))
        return total, headers

    def _frame(self, raw: bytes, headers: int) -> Frame:
        """One whole message as a frame. Raises _Refused."""
        end = len(raw) - _CRC.size
        if crc32(memoryview(raw)[:end]) != _CRC.unpack_from(raw, end)[0]:
            raise _refused("the checksum of a message is wrong")
        block = raw[_PRELUDE.size : _PRELUDE.size + headers]
        meaning = self._meanings.get(block)
        if meaning is None:
            meaning = _meaning(block)
            if len(self._meanings) < _KNOWN_BLOCKS and len(block) <= _MAX_NAME:
                self._meanings[block] = meaning
        event, said = meaning
        payload = raw[_PRELUDE.size + headers : end]
        return Frame(raw, payload or said or b"", event)


class _Bytes(msgspec.Struct, rename={"document": "bytes"}):
    """The payload of a message that carries one document of another format."""

    document: bytes


class _Typed(msgspec.Struct):
    type: str = ""


_BYTES: Final = msgspec.json.Decoder(_Bytes)
_TYPED: Final = msgspec.json.Decoder(_Typed)
CHUNK: Final = "chunk"
"""Event type of messages whose payload is a document in base64."""


class EventStreamBytesDecoder:
    """The same framing with another one inside: each payload is {"bytes": base64, "p": padding}.

    A frame's data is the document that was in `bytes`, its event that document's `type` ("" if it
    has none). Exceptions, and messages of another event type, are as `EventStreamDecoder` has them.
    """

    __slots__ = ("_fault", "_messages")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        """Start at the beginning of a body; `limit` is the largest message accepted, in bytes."""
        self._messages = EventStreamDecoder(limit)
        self._fault: Callable[[], WireError] | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next chunk and return the frames that it completes; errors as above."""
        if self._fault is not None:
            raise self._fault()
        frames: list[Frame] = []
        for frame in self._messages.feed(data):
            try:
                frames.append(_unwrapped(frame))
            except _Refused as refused:
                self._fault = refused.fault
                if not frames:
                    raise self._fault() from None
                break
        return frames

    def close(self) -> list[Frame]:
        """End the body; as `EventStreamDecoder.close`."""
        if self._fault is not None:
            raise self._fault()
        return self._messages.close()


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """The header block of a message, all values strings; for `encode_block`.

    Raises ValueError for a name or value that the format has no room for.
    """
    block = bytearray()
    for name, value in headers.items():
        key, text = name.encode(), value.encode()
        if not 0 < len(key) <= _MAX_NAME or len(text) > _MAX_STRING:
            raise ValueError("a header's name or value does not fit into a message")
        block += bytes((len(key),)) + key + bytes((_STRING,)) + _SHORT.pack(len(text)) + text
    if len(block) > MAX_HEADERS:
        raise ValueError(f"headers of {len(block)} bytes, over {MAX_HEADERS}")
    return bytes(block)


def encode_block(block: bytes, payload: bytes) -> bytes:
    """One message with headers that are encoded already (a stream repeats the same few)."""
    lengths = _LENGTHS.pack(_OVERHEAD + len(block) + len(payload), len(block))
    message = b"".join((lengths, _CRC.pack(crc32(lengths)), block, payload))
    return message + _CRC.pack(crc32(message))


def encode_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message with both checksums. Raises ValueError as `encode_headers` does."""
    return encode_block(encode_headers(headers), payload)


def decode_headers(block: bytes) -> dict[str, HeaderValue]:
    """The headers of a message by name. Raises MalformedMessage."""
    try:
        return _headers(block)
    except _Refused as refused:
        raise refused.fault() from None


class _Refused(Exception):
    """A message is wrong; `fault` makes the error, anew for each call that raises it.

    An error that is kept would hold its traceback, and so the decoder in a cycle with itself.
    """

    def __init__(self, fault: Callable[[], WireError]) -> None:
        super().__init__()
        self.fault = fault


def _refused(message: str) -> _Refused:
    return _Refused(partial(MalformedMessage, message))


def _headers(block: bytes) -> dict[str, HeaderValue]:
    found: dict[str, HeaderValue] = {}
    at = 0
    while at < len(block):
        try:
            name, value, at = _header(block, at)
        except (IndexError, UnicodeDecodeError, struct.error):
            raise _refused("the headers of a message cannot be read") from None
        if name in found:
            raise _refused("a header stands twice in a message")
        found[name] = value
    return found


def _header(block: bytes, at: int) -> tuple[str, HeaderValue, int]:
    """Name, value and end of the header at `at`. Raises IndexError where bytes are missing."""
    name, at = _piece(block, at + 1, block[at])
    kind, at = block[at], at + 1
    fixed = _FIXED.get(kind)
    if fixed is not None:
        size, read = fixed
    else:
        read = _SIZED[kind] if kind in _SIZED else _unknown_type(kind)
        (size,) = _SHORT.unpack_from(block, at)
        at += _SHORT.size
    value, at = _piece(block, at, size)
    return name.decode(), read(value), at


def _unknown_type(kind: int) -> Callable[[bytes], HeaderValue]:
    raise _refused(f"a header of a message has the unknown type {kind}")


def _piece(block: bytes, at: int, size: int) -> tuple[bytes, int]:
    end = at + size
    if end > len(block):
        raise IndexError
    return block[at:end], end


def _meaning(block: bytes) -> tuple[str, bytes | None]:
    """Event name of a message with these headers, and what they say in place of a payload."""
    headers = _headers(block)
    texts = {name: value for name, value in headers.items() if isinstance(value, str)}
    kind = texts.get(":message-type", "event")
    if kind == "event":
        return texts.get(":event-type", ""), None
    if kind == "exception":
        return "!" + texts.get(":exception-type", ""), None
    if kind == "error":
        said = msgspec.json.encode({"message": texts.get(":error-message", "")})
        return "!" + texts.get(":error-code", ""), said
    raise _refused("a message is neither event, exception nor error")


def _unwrapped(frame: Frame) -> Frame:
    """A frame with the document that its payload holds. Raises _Refused."""
    if frame.event != CHUNK:
        return frame
    try:
        data = _BYTES.decode(frame.data or b"").document
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _refused("the payload of a message holds no base64 document") from None
    return Frame(frame.raw, data, _type_of(data))


def _type_of(data: bytes) -> str:
    """The document's type; what is no such document is for the dialect to refuse."""
    try:
        return _TYPED.decode(data).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
