"""The live transport: our own HTTP/1.1 client pool over plain TCP and TLS (architecture, 5).

    LivePool         keeps one HostPool per origin, runs each request     (this file)
    HostPool         slots, idle connections, waiting, connecting         host_pool.py
    Connection       one socket: back-pressure, keep-alive, faults        connection.py
    LiveResponse     what the reader holds                                live_response.py
    ResponseParser   bytes to head and body pieces, sans-IO               response_parser.py
    encode_head      request line and headers, injection-safe             request_head.py
    decoded          bodies with a content-encoding                       decoding.py, codings.py

No Accept-Encoding is added; a body that is encoded all the same is decoded. Redirects are never
followed and requests are never pipelined. Serves behaviour R8, R10, R12 and fault rows 1-7, 25,
26, 38 and 39.
"""

from __future__ import annotations

import ssl

from arno.transport.base import HttpRequest, HttpResponse, TransportError
from arno.transport.connection import Connection
from arno.transport.decoding import MAX_DECODED, decoded
from arno.transport.host_pool import Connect, HostPool, LiveLimits, connect_directly
from arno.transport.live_response import LiveResponse
from arno.transport.request_head import encode_head
from arno.transport.url import Origin, parse_url

__all__ = ["Connect", "LiveLimits", "LivePool", "LiveResponse", "connect_directly"]


class LivePool:
    """The `Transport` that talks to real upstreams; belongs to one event loop.

    `ssl_context` must verify certificates and host names; by default the system's CAs are used.
    `connect` makes connections (the seam for proxies and address races). Bodies with a
    content-encoding are decoded to at most `max_decoded` bytes; `decode=False` leaves them and
    their headers as they come (for a recorder).
    """

    def __init__(
        self,
        limits: LiveLimits | None = None,
        ssl_context: ssl.SSLContext | None = None,
        connect: Connect = connect_directly,
        *,
        decode: bool = True,
        max_decoded: int = MAX_DECODED,
    ) -> None:
        """Raises `ValueError` for an `ssl_context` that does not verify."""
        if ssl_context is not None and not _verifies(ssl_context):
            raise ValueError("ssl_context must verify certificates and host names")
        self._limits = limits if limits is not None else LiveLimits()
        self._ssl_context = ssl_context
        self._connect = connect
        self._decode = decode
        self._max_decoded = max_decoded
        self._hosts: dict[Origin, HostPool] = {}
        self._closed = False

    async def send(self, request: HttpRequest) -> HttpResponse:
        """See `Transport.send`.

        Raises `ValueError` before anything is sent for a URL, method or header that cannot be
        sent safely, and `RuntimeError` after `aclose`. Waiting for one of
        `max_connections_per_host` slots is first come, first served and has no limit of its own.

        A kept connection that the upstream closed before the first response byte is replaced
        once; nothing of that shows.
        """
        if self._closed:
            raise RuntimeError("the transport is closed")
        target = parse_url(request.url)
        head = encode_head(request, target)
        host = self._hosts.get(target.origin) or self._new_host(target.origin)
        connection = await host.acquire()
        if connection is not None:
            response = await _exchange(host, connection, request, head)
            if response is not None:
                return self._readable(response, target.origin)
        connection = await host.open()
        response = await _exchange(host, connection, request, head)
        if response is None:
            raise RuntimeError("a fresh connection cannot be stale")
        return self._readable(response, target.origin)

    async def aclose(self) -> None:
        """See `Transport.aclose`; safe to call twice."""
        self._closed = True
        for host in list(self._hosts.values()):
            await host.aclose()

    def _readable(self, response: LiveResponse, origin: Origin) -> HttpResponse:
        if not self._decode:
            return response
        return decoded(response, max_decoded=self._max_decoded, label=origin.label)

    def _new_host(self, origin: Origin) -> HostPool:
        context = self._context() if origin.secure else None
        host = HostPool(origin, self._limits, self._connect, context, self._forget)
        self._hosts[origin] = host
        return host

    def _context(self) -> ssl.SSLContext:
        # Made at the first https request: reading the CA bundle costs milliseconds at start-up.
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
            self._ssl_context.set_alpn_protocols(["http/1.1"])
        return self._ssl_context

    def _forget(self, origin: Origin) -> None:
        self._hosts.pop(origin, None)


async def _exchange(
    host: HostPool, connection: Connection, request: HttpRequest, head: bytes
) -> LiveResponse | None:
    """One attempt on one connection; None if the connection proved stale (the slot is kept)."""
    response = connection.begin(request.method)
    try:
        await connection.perform(response, head, request.body)
    except TransportError:
        if response.stale:
            return None
        host.free()
        raise
    except BaseException:
        response.abort()
        if not response.head_ready:
            host.free()
        raise
    return response


def _verifies(context: ssl.SSLContext) -> bool:
    return context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
