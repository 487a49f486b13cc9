"""The response of the live transport: what a reader holds while the connection fills it.

It outlives its connection: once the body has ended the connection goes back to the pool, and the
reader takes what is still buffered from here.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from arno.transport.base import Headers, TransportError


class Line(Protocol):
    """The connection as its response sees it."""

    def drained(self) -> None:
        """The reader took all buffered bytes."""
        ...

    def drop(self, reason: str) -> None:
        """Close at once; the running exchange ends with a fault that says `reason`."""
        ...


class LiveResponse:
    """One exchange on a connection; the `HttpResponse` of `LivePool`."""

    __slots__ = (
        "_connection",
        "_ended",
        "_error",
        "_loop",
        "_pieces",
        "_waiter",
        "encoded",
        "head_ready",
        "headers",
        "stale",
        "status",
    )

    def __init__(
        self, connection: Line, pieces: list[bytes], loop: asyncio.AbstractEventLoop
    ) -> None:
        """Shares `pieces` with the parser of `connection`, which appends."""
        self._connection: Line | None = connection
        self._pieces = pieces
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: TransportError | None = None
        self.head_ready = False
        self.stale = False
        self.encoded = False
        self.status = 0
        self.headers: Headers = ()

    async def read(self) -> bytes:
        """See `HttpResponse.read`: everything that has arrived, joined. One reader at a time."""
        while True:
            if self._pieces:
                return self._take()
            if self._ended:
                return b""
            await self.wait()

    def abort(self) -> None:
        """See `HttpResponse.abort`."""
        if self._connection is not None:
            self._pieces.clear()
            self._connection.drop("aborted before the end of the response")

    async def wait(self) -> None:
        """Until something changed: the head, body bytes, the end, room to write, a fault.

        Raises the exchange's `TransportError` at once if it has one already; a fault that ends
        the wait is raised by the next call, so that what came before it is looked at first.
        """
        if self._error is not None:
            raise TransportError(self._error.kind, self._error.message, sent=self._error.sent)
        if self._waiter is not None:
            raise RuntimeError("the response is already being read")
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        """Let whoever waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def publish_head(self, status: int, headers: Headers, *, encoded: bool) -> None:
        """The final response head is here; encoded: it names a content-encoding."""
        self.encoded = encoded
        self.status = status
        self.headers = headers
        self.head_ready = True

    def detach(self, error: TransportError | None = None) -> None:
        """The connection has no more to say: the body ended well, or with `error`."""
        self._connection = None
        self._error = error
        self._ended = error is None
        self.wake()

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if self._connection is not None:
            self._connection.drained()
        return data
