"""The live transport: our own HTTP/1.1 client pool over plain TCP and TLS (architecture, 5).

    LivePool         keeps one HostPool per origin, runs each request     (this file)
    HostPool         slots, idle connections, waiting                     host_pool.py
    DirectConnect    look-up, address race, TLS                           connecting.py, tls.py
    ProxyConnect     the same through a proxy of the table Proxies        tunnel.py, proxy.py
    Connection       one socket: back-pressure, keep-alive, faults        connection.py
    LiveResponse     what the reader holds                                live_response.py
    ResponseParser   bytes to head and body pieces, sans-IO               response_parser.py
    encode_head      request line and headers, injection-safe             request_head.py
    decoded          bodies with a content-encoding                       decoding.py, codings.py

No Accept-Encoding is added; a body that is encoded all the same is decoded. Redirects are never
followed and requests are never pipelined. Serves behaviour R8, R10, R12 and fault rows 1-7, 25,
26 and 37-40.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from arno.transport.base import ErrorKind, HttpRequest, HttpResponse, TransportError
from arno.transport.connecting import Connect, connect_directly
from arno.transport.connection import Connection
from arno.transport.decoding import MAX_DECODED, decoded
from arno.transport.host_pool import HostPool, LiveLimits
from arno.transport.live_response import LiveResponse
from arno.transport.proxy import Proxies, Proxy
from arno.transport.request_head import absolute_form, encode_head
from arno.transport.tls import client_context, verifies
from arno.transport.tunnel import ProxyConnect
from arno.transport.url import Origin, parse_url

__all__ = ["Connect", "LiveLimits", "LivePool", "LiveResponse", "Proxies", "connect_directly"]

_PROXY_AUTHENTICATION_REQUIRED = 407


class LivePool:
    """The `Transport` that talks to real upstreams; belongs to one event loop.

    `limits` hold for each origin; `per_host` has others for some, by `host:port` or by `host`.
    `ssl_context` must verify certificates and host names; by default the system's CAs are used
    (`tls.client_context` adds one's own). `connect` makes connections, to an origin or to the
    proxy that `proxies` names for it; by default there is none, and no environment is read.

    Bodies with a content-encoding are decoded to at most `max_decoded` bytes; `decode=False`
    leaves them and their headers as they come (for a recorder).
    """

    def __init__(
        self,
        limits: LiveLimits | None = None,
        ssl_context: ssl.SSLContext | None = None,
        connect: Connect = connect_directly,
        *,
        per_host: Mapping[str, LiveLimits] | None = None,
        proxies: Proxies | None = None,
        decode: bool = True,
        max_decoded: int = MAX_DECODED,
    ) -> None:
        """Raises `ValueError` for an `ssl_context` that does not verify."""
        if ssl_context is not None and not verifies(ssl_context):
            raise ValueError("ssl_context must verify certificates and host names")
        self._limits = limits if limits is not None else LiveLimits()
        self._ssl_context = ssl_context
        self._connect = connect
        self._per_host = per_host or {}
        self._proxies = proxies or Proxies()
        self._decode = decode
        self._max_decoded = max_decoded
        self._hosts: dict[Origin, HostPool] = {}
        self._closed = False

    async def send(self, request: HttpRequest) -> HttpResponse:
        """See `Transport.send`.

        Raises `ValueError` before anything is sent for a URL, method or header that cannot be
        sent safely, and `RuntimeError` after `aclose`. Waiting for one of
        `max_connections_per_host` slots is first come, first served, within `max_waiting` and
        `slot_timeout`.

        A kept connection that the upstream closed before the first response byte is replaced
        once; nothing of that shows.
        """
        if self._closed:
            raise RuntimeError("the transport is closed")
        target = parse_url(request.url)
        head = encode_head(request, target)
        host = self._hosts.get(target.origin) or self._new_host(target.origin)
        if host.forwarder is not None:
            head = absolute_form(head, target, host.forwarder.authorization)
        connection = host.take_idle() or await host.acquire()
        response = None
        if connection is not None:
            response = await _exchange(host, connection, request, head)
        if response is None:
            connection = await host.open(request.connect_timeout)
            response = await _exchange(host, connection, request, head)
        if response is None:
            raise RuntimeError("a fresh connection cannot be stale")
        if host.forwarder is not None:
            _check_forwarded(response, host.label, host.forwarder)
        return self._readable(response, host.label)

    async def aclose(self) -> None:
        """See `Transport.aclose`; safe to call twice."""
        self._closed = True
        for host in list(self._hosts.values()):
            await host.aclose()

    def _readable(self, response: LiveResponse, label: str) -> HttpResponse:
        if not (self._decode and response.encoded):
            return response
        return decoded(response, max_decoded=self._max_decoded, label=label)

    def _new_host(self, origin: Origin) -> HostPool:
        limits = self._per_host.get(origin.label) or self._per_host.get(origin.host, self._limits)
        context = self._context() if origin.secure else None
        proxy = self._proxies.find(origin)
        connect = self._connect if proxy is None else self._through(proxy)
        forwarder = None if origin.secure else proxy
        host = HostPool(origin, limits, connect, context, self._forget, forwarder)
        self._hosts[origin] = host
        return host

    def _through(self, proxy: Proxy) -> ProxyConnect:
        context = self._context() if proxy.origin.secure else None
        return ProxyConnect(proxy, self._connect, context)

    def _context(self) -> ssl.SSLContext:
        # Made at the first https request: reading the CA bundle costs milliseconds at start-up.
        if self._ssl_context is None:
            self._ssl_context = client_context()
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


def _check_forwarded(response: LiveResponse, label: str, proxy: Proxy) -> None:
    """A proxy that wants other credentials has passed nothing on: that is no upstream's answer."""
    if response.status == _PROXY_AUTHENTICATION_REQUIRED:
        response.abort()
        why = f"the proxy {proxy.label} answered {_PROXY_AUTHENTICATION_REQUIRED}"
        raise TransportError(ErrorKind.CONNECT, f"{label}: connecting failed: {why}")
