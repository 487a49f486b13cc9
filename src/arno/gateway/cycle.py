"""The server's side of one answer: ASGI messages to bytes, in as few writes as they allow.

The server library writes a head by itself and the body behind it: two system calls and two segments
for every answer. Here a head waits for the body that follows it in the same turn of the loop (one
upstream read, at most one client write), and goes out alone at the end of that turn otherwise. The
rules of framing are the library's: a length that was announced is kept, else chunks.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_UNSAFE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""Bytes that no header value may hold; a line end would begin a header of somebody else's."""

_BODILESS = frozenset({204, 304})


@lru_cache(maxsize=1024)
def _line(name: bytes, value: bytes) -> bytes:
    """One header field; most of an answer's are the same each time. Raises RuntimeError."""
    if _UNSAFE.search(value) or _UNSAFE.search(name):
        raise RuntimeError("a header of the answer cannot be sent")
    return b"%b: %b\r\n" % (name, value)


class Answer:
    """The `send` of one request. cycle: the library's own state of it, which stays true."""

    __slots__ = ("_chunked", "_cycle", "_flush_handle", "_gone", "_head", "_loop", "_stall_s")

    def __init__(
        self,
        cycle: RequestResponseCycle,
        loop: asyncio.AbstractEventLoop,
        stall_s: float = 60.0,
    ) -> None:
        """stall_s: seconds for which a client may leave its answer unread."""
        self._cycle = cycle
        self._stall_s = stall_s
        self._loop = loop
        self._head = b""
        self._chunked: bool | None = None
        self._flush_handle: asyncio.Handle | None = None
        self._gone: Callable[[], None] | None = None

    def on_gone(self, callback: Callable[[], None] | None) -> None:
        """Call back when the client leaves before its answer is complete; None: no more.

        Whoever asks has read the request's body: what the client does from now on is noticed.
        """
        self._gone = callback
        if callback is None:
            return
        self._cycle.flow.resume_reading()
        if self._cycle.disconnected:
            self._loop.call_soon(self.gone)

    def gone(self) -> None:
        """The client has left."""
        self._let_go()
        callback, self._gone = self._gone, None
        if callback is not None:
            callback()

    def _let_go(self) -> None:
        """The scope holds us and we hold it; nothing is left for the garbage collector."""
        self._cycle.scope.pop("extensions", None)

    async def send(self, message: ASGISendEvent) -> None:
        """ASGI's `send`; waits while the client is slow."""
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await self._drain()
        if cycle.disconnected:
            return
        if message["type"] == "http.response.body" and self._may_go_on():
            self._body(message.get("body", b""), last=not message.get("more_body", False))
        elif message["type"] == "http.response.start" and not cycle.response_started:
            self._start(message["status"], message.get("headers", ()))
        else:
            raise RuntimeError(f"{message['type']} does not belong here")

    async def _drain(self) -> None:
        """Wait while the client does not read; one that never does is cut off.

        Until then it holds a connection to an upstream, where nobody's clock runs meanwhile.
        """
        try:
            async with asyncio.timeout(self._stall_s):
                await self._cycle.flow.drain()
        except TimeoutError:
            self._cycle.transport.abort()
            self._cycle.disconnected = True
            self.gone()

    def _may_go_on(self) -> bool:
        return self._cycle.response_started and not self._cycle.response_complete

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        cycle = self._cycle
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        lines = [STATUS_LINE[status]]
        closes = False
        # The library's own fields: the date, which it writes anew each second.
        for name, value in chain(cycle.default_headers, headers):
            if name == b"content-length":
                cycle.expected_content_length = int(value)
                cycle.chunked_encoding = False
            elif name == b"connection" and b"close" in value.lower():
                cycle.keep_alive, closes = False, True
            lines.append(_line(name, value))
        if not cycle.keep_alive and not closes:
            lines.append(b"connection: close\r\n")
        bodiless = status in _BODILESS or cycle.scope["method"] == "HEAD"
        if cycle.chunked_encoding is None and not bodiless:
            # A client of HTTP/1.0 reads to the end of the connection, which is closed for it.
            cycle.chunked_encoding = self._chunked = cycle.scope["http_version"] != "1.0"
        if self._chunked and not bodiless:
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)
        self._flush_handle = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """No body came in the turn of the head."""
        self._flush_handle = None
        head, self._head = self._head, b""
        if head and not self._cycle.disconnected:
            self._cycle.transport.write(head)

    def _body(self, body: bytes, *, last: bool) -> None:
        cycle = self._cycle
        data = self._framed(body, last=last)
        if self._head:
            data, self._head = self._head + data, b""
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        if data:
            cycle.transport.write(data)
        if last:
            self._complete()

    def _framed(self, body: bytes, *, last: bool) -> bytes:
        cycle = self._cycle
        if cycle.scope["method"] == "HEAD":
            cycle.expected_content_length = 0
            return b""
        if cycle.chunked_encoding:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk + b"0\r\n\r\n" if last else chunk
        if self._chunked is False:
            return body
        cycle.expected_content_length -= len(body)
        if cycle.expected_content_length < 0 or (last and cycle.expected_content_length):
            raise RuntimeError("the answer is not as long as it was announced")
        return body

    def _complete(self) -> None:
        cycle = self._cycle
        self._gone = None
        self._let_go()
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
