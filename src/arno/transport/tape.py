"""What is kept of a body while it passes, within bounds, and the interaction that it becomes (R39).

Lengths and times are those of the chunks as they came; where the body had a content-encoding, its
chunks are decoded one by one, so that what is kept is the plain body in the upstream's rhythm.
"""

from __future__ import annotations

import threading
from typing import Final

import msgspec

from arno.cassette.model import End, Interaction, RecordedResponse, WireTiming
from arno.transport.codings import Undecodable
from arno.transport.decoding import READ_ROOM, DecodingChain

MAX_DECODED: Final = 64 * 1024 * 1024
"""Bytes that an encoded body may decode to."""

_OF_ENCODED: Final = ("Content-Encoding", "Content-Length")
"""Headers of an encoded body that are not true of the decoded one."""


class Room:
    """Bytes that may be kept at the same time; taken on the loop, given back in any thread."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Whether there is room for so many more bytes, which are then taken."""
        with self._lock:
            fits = count <= self._left
            self._left -= count if fits else 0
        return fits

    def give(self, count: int) -> None:
        """Bytes that are not kept any more."""
        with self._lock:
            self._left += count


class Tape(msgspec.Struct, frozen=True):
    """A body as it arrived: pieces, their times (nanoseconds since the head), how it ended.

    full: it was longer than what is kept. sent: when its request went out.
    """

    pieces: tuple[bytes, ...]
    times: tuple[int, ...]
    end: End
    full: bool = False
    sent: str | None = None


class Store(msgspec.Struct):
    """What is kept of one body so far. left: bytes of this body that may still be kept."""

    room: Room
    left: int
    pieces: list[bytes] = []
    times: list[int] = []

    def keep(self, data: bytes, at_ns: int) -> bool:
        """Whether there was room to keep one more piece."""
        if len(data) > self.left or not self.room.take(len(data)):
            return False
        self.left -= len(data)
        self.pieces.append(data)
        self.times.append(at_ns)
        return True


def complete(draft: Interaction, codings: tuple[str, ...], tape: Tape) -> Interaction:
    """The interaction with its body, decoded if it can be, and its timing."""
    response = draft.response
    pieces = tape.pieces
    if codings and pieces:
        try:
            pieces = _decoded(pieces, codings, whole=tape.end is End.EOF)
        except Undecodable:
            pass
        else:
            response = _plain(response)
    lengths = zip(tape.times, map(len, pieces), strict=True)
    chunks = tuple((at_ns, length) for at_ns, length in lengths if length)
    return msgspec.structs.replace(
        draft,
        response=msgspec.structs.replace(response, body=b"".join(pieces)),
        wire=WireTiming(chunks, tape.sent, tape.end),
    )


def _decoded(
    pieces: tuple[bytes, ...], codings: tuple[str, ...], *, whole: bool
) -> tuple[bytes, ...]:
    """What comes out with each piece that goes in. Raises Undecodable."""
    chain = DecodingChain(codings, MAX_DECODED)
    plain = []
    for piece in pieces:
        chain.feed(piece)
        plain.append(b"".join(iter(lambda: chain.take(READ_ROOM), b"")))
    if whole and not chain.ended:
        raise Undecodable("the body ended inside the encoded data")
    return tuple(plain)


def _plain(response: RecordedResponse) -> RecordedResponse:
    """A response as Go has it after it undid the encoding."""
    kept = {k: v for k, v in response.headers.items() if k not in _OF_ENCODED}
    return msgspec.structs.replace(response, headers=kept, content_length=-1, uncompressed=True)
