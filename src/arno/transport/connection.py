"""One upstream connection: an asyncio Protocol that carries one exchange at a time.

Hot path (architecture section 5): a socket read is parsed at once, its body pieces are kept in
one list and the reader is woken at most once: no task, no queue. Above `read_high_water` the
socket is paused and the kernel's window stops the upstream. Faults follow the fault matrix: an
end of stream inside an announced body is a cut, and what had arrived is delivered first.

Who gives the slot back: before the response head is there, `LivePool.send` (it may retry in the
same slot); from then on the connection, through its `Owner`, exactly once.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import sys
from typing import Protocol

from arno.transport.base import ErrorKind, TransportError
from arno.transport.live_response import LiveResponse
from arno.transport.response_parser import ProtocolViolation, ResponseParser

WRITE_SLICE = 128 * 1024
"""Bytes of a request body handed to the socket at a time; a shorter body leaves with the head."""


STALE_S = 1.0
"""How long after a request the end of a kept connection means that the two crossed on the way."""


class Owner(Protocol):
    """Who keeps the slots; told what becomes of a connection."""

    def connection_idle(self, connection: Connection) -> None:
        """The exchange ended and the connection may carry another."""
        ...

    def connection_spent(self) -> None:
        """An exchange whose head had arrived ended, and its connection with it: a slot is free."""
        ...

    def connection_gone(self, connection: Connection) -> None:
        """The connection is dead; may be called twice, and for one that was not idle."""
        ...


class Connection(asyncio.Protocol):
    """One socket (plain or TLS). Not for concurrent use: `begin`, `perform`, read, again."""

    def __init__(self, label: str, high_water: int, max_head_bytes: int, owner: Owner) -> None:
        """`label` is host:port for messages; `high_water` and `max_head_bytes` are bytes."""
        self._label = label
        self._high_water = high_water
        self._owner = owner
        self._parser = ResponseParser(max_head_bytes)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._readable: select.poll | None = None
        self._current: LiveResponse | None = None
        self._closed = False
        self._lost = self._loop.create_future()
        self._reading_paused = False
        self._writing_paused = False
        self._body_unsent = False
        self._sent = False
        self._received = False
        self._began = 0.0
        self._served = 0

    # What the pool calls.

    def attach(self, transport: asyncio.Transport) -> None:
        """Take over the connected (and, for TLS, verified) transport."""
        self._transport = transport
        socket = transport.get_extra_info("socket")
        if sys.platform != "win32" and socket is not None and not self._closed:
            self._readable = select.poll()
            self._readable.register(socket.fileno(), select.POLLIN)

    def usable(self) -> bool:
        """False if the upstream closed an idle connection, or sent bytes nobody asked for.

        Asks the kernel, because the event loop may not have come round to it: such bytes would
        be taken for the next response.
        """
        if self._closed or self._transport is None or self._transport.is_closing():
            return False
        return self._readable is None or not self._readable.poll(0)

    def begin(self, method: str) -> LiveResponse:
        """Start an exchange; `perform` sends it."""
        self._parser.begin(method)
        self._began = self._loop.time()
        self._sent = False
        self._received = False
        self._body_unsent = False
        response = LiveResponse(self, self._parser.pieces, self._loop)
        self._current = response
        if self._closed:
            self._lose("connection closed")
        return response

    async def perform(self, response: LiveResponse, head: bytes, body: bytes) -> None:
        """Write the request, wait for the response head; raises `TransportError`.

        An answer that comes while the body is still being sent stops the sending.
        """
        if len(body) <= WRITE_SLICE:
            self._write(head + body)
        else:
            await self._write_slices(response, head, memoryview(body))
        while not response.head_ready:
            await response.wait()

    def drained(self) -> None:
        """The reader took all buffered bytes: let the upstream go on."""
        self._parser.size = 0
        if self._reading_paused and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()

    def drop(self, reason: str) -> None:
        """Close at once; a running exchange ends with a fault that says `reason`."""
        self._fail(ErrorKind.CUT if self._parser.head_complete else ErrorKind.CLOSED, reason)
        self._shut()

    async def wait_closed(self) -> None:
        """Until the socket is closed."""
        await asyncio.shield(self._lost)

    # What the event loop calls.

    def data_received(self, data: bytes) -> None:
        """Parse one socket read, wake the reader at most once."""
        response = self._current
        if response is None:
            # Nobody asked: these bytes must never open the next response.
            self._retire()
            return
        self._received = True
        parser = self._parser
        violation = ""
        try:
            parser.feed(data)
        except ProtocolViolation as error:
            violation = str(error) or "malformed response"
        if parser.head_complete and not response.head_ready:
            response.publish_head(parser.status, parser.headers, encoded=parser.encoded)
        if violation:
            self._fail(ErrorKind.PROTOCOL, violation)
        elif parser.complete:
            self._finish(parser.keep_alive)
        else:
            self._hold_back()
            response.wake()

    def eof_received(self) -> None:
        """The upstream said it sends no more (FIN, or close_notify under TLS)."""
        if self._current is None:
            self._retire()
        elif self._parser.head_complete and self._parser.until_close and self._meant_to_end():
            self._finish(reusable=False)
        else:
            self._lose("connection closed")

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, by our own doing too."""
        self._closed = True
        if not self._lost.done():
            self._lost.set_result(None)
        if self._current is not None:
            self._lose("connection reset" if exc is not None else "connection lost")
        self._owner.connection_gone(self)

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """The socket takes bytes again."""
        self._writing_paused = False
        if self._current is not None:
            self._current.wake()

    # Inside.

    def _write(self, data: bytes | memoryview) -> None:
        if self._transport is not None and not self._closed:
            self._sent = True
            self._transport.write(data)

    async def _write_slices(self, response: LiveResponse, head: bytes, body: memoryview) -> None:
        self._write(head)
        for start in range(0, len(body), WRITE_SLICE):
            end = start + WRITE_SLICE
            self._write(body[start:end])
            self._body_unsent = end < len(body)
            while self._writing_paused and not response.head_ready:
                await response.wait()
            if response.head_ready:
                return

    def _hold_back(self) -> None:
        if self._parser.size <= self._high_water or self._reading_paused:
            return
        if self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def _meant_to_end(self) -> bool:
        """False for a TLS stream without close_notify: anybody on the way may have cut it.

        The standard event loop reports both ends alike, so the TLS state is asked: a read gives
        no bytes after close_notify, and wants more without it.
        """
        tls = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        if not isinstance(tls, ssl.SSLObject):
            return True
        try:
            return tls.read(1) == b""
        except ssl.SSLError:
            return False

    def _finish(self, reusable: bool) -> None:
        """The response ended as announced."""
        response = self._current
        if response is None:
            return
        self._current = None
        self._served += 1
        response.detach()
        if reusable and self._request_gone():
            self.drained()
            self._owner.connection_idle(self)
        else:
            self._shut()
            self._owner.connection_spent()

    def _request_gone(self) -> bool:
        """True if no byte of the request is left on our side; otherwise it would lead the next."""
        transport = self._transport
        return (
            not self._body_unsent
            and transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0
        )

    def _lose(self, how: str) -> None:
        """The connection ended inside an exchange."""
        response = self._current
        if response is None:
            return
        if self._parser.head_complete:
            self._fail(ErrorKind.CUT, f"{how} before the end of the body")
            return
        # Later than that the upstream has taken the request, and may have begun to work on it.
        early = self._loop.time() - self._began < STALE_S
        response.stale = self._served > 0 and not self._received and early
        phase = (
            "while the request was being sent" if self._body_unsent else "before the response head"
        )
        self._fail(ErrorKind.CLOSED, f"{how} {phase}")

    def _fail(self, kind: ErrorKind, reason: str) -> None:
        response = self._current
        if response is None:
            return
        self._current = None
        response.detach(TransportError(kind, f"{self._label}: {reason}", sent=self._sent))
        self._shut()
        if response.head_ready:
            self._owner.connection_spent()

    def _retire(self) -> None:
        """An idle connection ended or misbehaved."""
        self._shut()
        self._owner.connection_gone(self)

    def _shut(self) -> None:
        self._closed = True
        if self._transport is not None:
            self._transport.abort()
