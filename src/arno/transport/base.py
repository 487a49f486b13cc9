"""The one interface of every transport: live, replay, record and fault are siblings.

A transport sends one HTTP request and hands back a response whose body is *pulled*: `read`
returns what has arrived and nothing more, so a reader that stops reading stops the sender
(back-pressure), and what arrived together stays together (one upstream read, at most one
client write).

    TransportError          the upstream's fault: a value of the engine's failover table
      kind = connect          no connection was made; no byte of the request left
             connect_timeout  making a connection took too long; no byte of the request left
             busy             no connection became free in time, or too many requests wait for one
             closed           the connection ended before the response head was complete
             cut              the connection ended inside the body (no end was announced)
             protocol         what came is not HTTP/1.1, or breaks a limit
             timeout          a deadline of the caller passed
             unmatched        a replay has no recorded answer for this request
             sign             no credentials for the request could be had; nothing of it left
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec


class ErrorKind(StrEnum):
    """Why a transport gave up; see the module's table."""

    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect_timeout"
    BUSY = "busy"
    CLOSED = "closed"
    CUT = "cut"
    PROTOCOL = "protocol"
    TIMEOUT = "timeout"
    UNMATCHED = "unmatched"
    SIGN = "sign"


class TransportError(Exception):
    """A request that did not end well below the dialect.

    `sent` tells whether any byte of the request may have reached the upstream (a retry could
    then run it twice).
    """

    def __init__(self, kind: ErrorKind, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.sent = sent


Headers = tuple[tuple[str, str], ...]
"""Header fields in wire order; names in lower case; repeated names stay separate entries."""


class HttpRequest(msgspec.Struct, frozen=True, gc=False):
    """One request: absolute URL, headers without Host, Content-Length and Connection.

    connect_timeout: seconds to make a connection if one is needed, None for the transport's own.
    """

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""
    connect_timeout: float | None = None


class HttpResponse(Protocol):
    """One response whose head has arrived. Shapes: status 100-599, headers as `Headers`."""

    @property
    def status(self) -> int:
        """Status code of the final (not 1xx) response."""
        ...

    @property
    def headers(self) -> Headers:
        """Response headers, hop-by-hop fields included as they came."""
        ...

    async def read(self) -> bytes:
        """Body bytes that have arrived since the last call; waits for the first; b"" at the end.

        A replay gives exactly one recorded chunk a call. Raises `TransportError` (cut, protocol)
        when the body did not end as announced; the bytes before the cut are returned first.
        Cancelling the call loses nothing: a later call goes on.
        """
        ...

    def abort(self) -> None:
        """Drop what is left: closes the connection at once unless the body has already ended.

        Safe to call at any time and more than once.
        """
        ...


class Transport(Protocol):
    """Sends requests; safe for concurrent use on one event loop."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request`, wait for the response head.

        Raises `TransportError`. Cancelling the call aborts the attempt: the connection is closed
        before the cancellation propagates.
        """
        ...

    async def aclose(self) -> None:
        """Close pooled connections; running responses are aborted."""
        ...


def header(headers: Headers, name: str) -> str | None:
    """The first value of `name` (lower case), or None."""
    for key, value in headers:
        if key == name:
            return value
    return None
