"""Bodies with a content-encoding, decoded as they arrive (fault row 23).

`DecodedResponse` goes around any `HttpResponse`. It gives out all that can be decoded before it
asks for more, so an event is read as soon as its bytes are here, and a reader that stops stops the
upstream. A small body that unfolds to gigabytes costs neither memory nor an endless read: a read
gives about `READ_ROOM` bytes, a body has at most `max_decoded` and a chain `MAX_CODINGS` codings.

How a body ends:

    the encoded data end, then the body    b""
    the body ends inside the encoded data  cut
    the inner response fails               its fault, after all that could be decoded
    garbage, bytes after the end, bounds   protocol; the connection is closed
    no byte at all                         b"" (a HEAD or 304 has the header, too)
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from arno.transport.base import ErrorKind, Headers, HttpResponse, TransportError
from arno.transport.codings import Coding, Undecodable, begin

MAX_DECODED: Final = 256 * 1024 * 1024
"""Bytes that one encoded body may decode to, unless the caller says otherwise."""

READ_ROOM: Final = 128 * 1024
"""Decoded bytes that fill a read; the last block of a decoder may come on top."""

MAX_CODINGS: Final = 2

_SLICE: Final = 8 * 1024
"""Encoded bytes decoded at a time. So a decoder keeps little back when a read is full, and little
is lost with the call that finds the data garbled."""

_DROPPED: Final = frozenset({"content-encoding", "content-length"})
_SHOWN: Final = 40


def decoded(
    response: HttpResponse, *, max_decoded: int = MAX_DECODED, label: str = ""
) -> HttpResponse:
    """`response` itself if its body is plain, else a `DecodedResponse` around it.

    `label` (host:port) begins the messages of faults.
    """
    for name, _ in response.headers:
        if name == "content-encoding":
            names = codings_of(response.headers)
            return DecodedResponse(response, names, max_decoded, label) if names else response
    return response


def codings_of(headers: Headers) -> tuple[str, ...]:
    """The codings of a body in the order in which they were applied; `identity` is none."""
    values = ",".join(value for name, value in headers if name == "content-encoding")
    names = (name.strip().lower() for name in values.split(","))
    return tuple(name for name in names if name not in ("", "identity"))


class DecodedResponse:
    """A response whose body is decoded; says nothing of its encoding or encoded length."""

    def __init__(
        self, inner: HttpResponse, names: tuple[str, ...], max_decoded: int, label: str
    ) -> None:
        """`names` are the codings, the first applied first."""
        self.status = inner.status
        self.headers: Headers = tuple(item for item in inner.headers if item[0] not in _DROPPED)
        self._inner = inner
        self._names = names
        self._max_decoded = max_decoded
        self._prefix = f"{label}: " if label else ""
        self._chain: DecodingChain | None = None
        self._fault: TransportError | None = None
        self._ended = False

    async def read(self) -> bytes:
        """See `HttpResponse.read`."""
        if self._chain is not None and self._chain.pending:
            # Nobody waits for the upstream now, but others want their turn of the loop.
            await asyncio.sleep(0)
        while True:
            self._check()
            if piece := self._take():
                return piece
            if self._ended:
                return b""
            if data := await self._inner.read():
                self._feed(data)
            else:
                self._finish()

    def abort(self) -> None:
        """See `HttpResponse.abort`."""
        if not self._ended and self._fault is None:
            message = f"{self._prefix}aborted before the end of the response"
            self._fault = TransportError(ErrorKind.CUT, message, sent=True)
        self._inner.abort()

    def _check(self) -> None:
        fault = self._fault
        if fault is not None:
            raise TransportError(fault.kind, fault.message, sent=fault.sent)

    def _take(self) -> bytes:
        if self._chain is None:
            return b""
        try:
            return self._chain.take(READ_ROOM)
        except Undecodable as error:
            raise self._give_up(ErrorKind.PROTOCOL, str(error)) from error

    def _feed(self, data: bytes) -> None:
        # Not before there is something to decode: an answer without a body needs no decoder.
        if self._chain is None:
            try:
                self._chain = DecodingChain(self._names, self._max_decoded)
            except Undecodable as error:
                raise self._give_up(ErrorKind.PROTOCOL, str(error)) from error
        self._chain.feed(data)

    def _finish(self) -> None:
        if self._chain is not None and not self._chain.ended:
            raise self._give_up(ErrorKind.CUT, "the body ended inside the encoded data")
        self._ended = True

    def _give_up(self, kind: ErrorKind, why: str) -> TransportError:
        names = ", ".join(self._names)
        shown = names if len(names) <= _SHOWN else names[:_SHOWN] + "..."
        message = f"{self._prefix}content-encoding {shown!r}: {why}"
        self._fault = TransportError(kind, message, sent=True)
        self._inner.abort()
        return self._fault


class DecodingChain:
    """One or two codings undone one after the other, sans-IO. Holds one fed piece at most."""

    def __init__(self, names: tuple[str, ...], max_decoded: int) -> None:
        """Raises `Undecodable` for a coding that is unknown or cannot be undone here."""
        if len(names) > MAX_CODINGS:
            raise Undecodable(f"more than {MAX_CODINGS} codings")
        # The coding applied last is the first to be undone.
        self._steps = [_Step(begin(name), max_decoded) for name in reversed(names)]
        self._slices: deque[memoryview] = deque()
        self._fault: Undecodable | None = None

    @property
    def pending(self) -> bool:
        """More may come out without more going in."""
        if self._fault is not None:
            return False
        return bool(self._slices) or any(not step.coding.hungry for step in self._steps)

    @property
    def ended(self) -> bool:
        """The encoded data are complete."""
        return all(step.coding.ended for step in self._steps)

    def feed(self, data: bytes) -> None:
        """Add the next piece of the body, to be taken."""
        view = memoryview(data)
        self._slices.extend(view[at : at + _SLICE] for at in range(0, len(data), _SLICE))

    def take(self, room: int) -> bytes:
        """About `room` decoded bytes; b"" if nothing more can come out before more goes in.

        Raises `Undecodable`; what was decoded before the fault is returned first.
        """
        if self._fault is not None:
            raise self._fault
        pieces: list[bytes] = []
        left = room
        try:
            while left > 0 and (piece := self._pull(len(self._steps) - 1, left)):
                pieces.append(piece)
                left -= len(piece)
        except Undecodable as error:
            # Told once the pieces are taken; a decoder that failed is not to be asked again.
            self._fault = error
            if not pieces:
                raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _pull(self, index: int, room: int) -> bytes:
        """What comes out of step `index`, the one before it pulled as often as needed."""
        if index < 0:
            return bytes(self._slices.popleft()) if self._slices else b""
        step = self._steps[index]
        while True:
            data = b""
            if step.coding.hungry and not (data := self._pull(index - 1, _SLICE)):
                return b""
            if piece := step.decode(data, room):
                return piece


class _Step:
    """One coding with its share of the bound: garbage may swell in the middle of a chain, too."""

    def __init__(self, coding: Coding, left: int) -> None:
        self.coding = coding
        self._max = self._left = left

    def decode(self, data: bytes, room: int) -> bytes:
        piece = self.coding.decode(data, room)
        self._left -= len(piece)
        if self._left < 0:
            raise Undecodable(f"more than {self._max} bytes when decoded")
        return piece
