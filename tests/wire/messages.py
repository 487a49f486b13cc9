"""Helpers for tests of the binary event stream: messages byte by byte, with any fault in them."""

import struct
from collections.abc import Iterable
from zlib import crc32

from arno.wire import EventStreamBytesDecoder, EventStreamDecoder, Frame, WireError


def header(name: str, kind: int, value: bytes) -> bytes:
    """One header; `value` is all that follows the type, a length included."""
    key = name.encode()
    return bytes((len(key),)) + key + bytes((kind,)) + value


def string(name: str, value: str) -> bytes:
    """A header with a string."""
    text = value.encode()
    return header(name, 7, struct.pack("!H", len(text)) + text)


def message(
    headers: bytes,
    payload: bytes = b"",
    *,
    total: int | None = None,
    size: int | None = None,
    first: int = 0,
    last: int = 0,
) -> bytes:
    """A message. total, size: declared lengths that lie; first, last: bits to flip in checksums."""
    total = 16 + len(headers) + len(payload) if total is None else total
    lengths = struct.pack("!II", total, len(headers) if size is None else size)
    body = lengths + struct.pack("!I", crc32(lengths) ^ first) + headers + payload
    return body + struct.pack("!I", crc32(body) ^ last)


def event(name: str, payload: bytes) -> bytes:
    """A message as an upstream sends it."""
    kind = string(":message-type", "event")
    return message(string(":event-type", name) + kind, payload)


Decoder = type[EventStreamDecoder] | type[EventStreamBytesDecoder]


def decode(chunks: Iterable[bytes], decoder: Decoder = EventStreamDecoder) -> list[Frame]:
    """All frames of a body, what is unfinished at its end included."""
    framer = decoder()
    frames = [frame for chunk in chunks for frame in framer.feed(chunk)]
    return frames + framer.close()


def decode_bounded(
    chunks: Iterable[bytes], limit: int, decoder: Decoder = EventStreamDecoder
) -> tuple[list[Frame], str]:
    """All frames until one is refused, and why ("" if none was)."""
    framer = decoder(limit)
    frames: list[Frame] = []
    try:
        for chunk in chunks:
            frames += framer.feed(chunk)
        frames += framer.close()
    except WireError as error:
        return frames, str(error)
    return frames, ""
