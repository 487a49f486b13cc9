"""Connections through a proxy: requests handed to it, or a tunnel through it.

For an http origin the proxy is the peer: it gets requests in absolute form (`request_head`). For an
https origin it is asked to CONNECT, and TLS goes end to end inside: the certificate must name the
origin, whoever the proxy is. A proxy that is itself reached over TLS is verified by its own name.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from http import HTTPStatus

from arno.transport.connecting import AnyProtocol, Connect, phase, server_name
from arno.transport.proxy import Proxy
from arno.transport.response_parser import ProtocolViolation, ResponseParser
from arno.transport.url import Origin

MAX_HEAD = 16 * 1024
"""Bytes of the head of a proxy's answer to CONNECT."""


class ProxyConnect:
    """The `Connect` through one proxy: `connect` reaches it, `proxy_context` is for its own TLS."""

    def __init__(
        self, proxy: Proxy, connect: Connect, proxy_context: ssl.SSLContext | None
    ) -> None:
        self._proxy = proxy
        self._connect = connect
        self._context = proxy_context

    async def __call__(
        self,
        origin: Origin,
        factory: Callable[[], AnyProtocol],
        ssl_context: ssl.SSLContext | None,
    ) -> tuple[asyncio.Transport, AnyProtocol]:
        """See `Connect`. Raises `ConnectionError` if the proxy does not open the tunnel."""
        place = self._proxy.origin
        if ssl_context is None:
            with phase(self._where):
                return await self._connect(place, factory, self._context)
        with phase(self._where):
            transport, tunnel = await self._connect(place, Tunnel, self._context)
        try:
            with phase(self._where), phase("CONNECT"):
                await tunnel.open(transport, origin, self._proxy.authorization)
            with phase("TLS handshake"):
                return await _secured(transport, factory(), ssl_context, origin)
        except BaseException:
            transport.abort()
            raise

    @property
    def _where(self) -> str:
        return f"via proxy {self._proxy.label}"


class Tunnel(asyncio.Protocol):
    """The CONNECT exchange; once it has been opened another protocol takes over the transport."""

    def __init__(self) -> None:
        self._parser = ResponseParser(MAX_HEAD)
        self._parser.begin("CONNECT")
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fault = ""

    async def open(
        self, transport: asyncio.Transport, origin: Origin, authorization: str | None
    ) -> None:
        """Ask for a tunnel to `origin`. Raises `ConnectionError` if there is none."""
        transport.write(connect_head(origin, authorization))
        await self._answered
        parser = self._parser
        if not self._fault and not 200 <= parser.status < 300:
            self._fault = f"the proxy answered {_status(parser.status)}"
        if not self._fault and parser.pieces:
            # In TLS the client speaks first: this is not from the origin.
            self._fault = "the proxy sent more than its answer"
        if self._fault:
            raise ConnectionError(self._fault)

    def data_received(self, data: bytes) -> None:
        """Parse the answer's head."""
        try:
            self._parser.feed(data)
        except ProtocolViolation as error:
            if not self._parser.head_complete:
                self._fault = f"the proxy's answer is not valid: {error}"
                self._wake()
        if self._parser.head_complete:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The proxy hung up: after EOF the loop closes the transport by itself."""
        if not self._answered.done():
            self._fault = "the proxy closed the connection"
            self._wake()

    def _wake(self) -> None:
        if not self._answered.done():
            self._answered.set_result(None)


def connect_head(origin: Origin, authorization: str | None) -> bytes:
    """The CONNECT request (RFC 9110, 9.3.6)."""
    lines = [f"CONNECT {origin.label} HTTP/1.1", f"host: {origin.label}"]
    if authorization is not None:
        lines.append(f"proxy-authorization: {authorization}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _secured(
    transport: asyncio.Transport,
    protocol: AnyProtocol,
    ssl_context: ssl.SSLContext,
    origin: Origin,
) -> tuple[asyncio.Transport, AnyProtocol]:
    try:
        secured = await asyncio.get_running_loop().start_tls(
            transport, protocol, ssl_context, server_hostname=server_name(origin)
        )
    except TypeError as error:
        # asyncio before 3.11.8 and 3.12.2 stumbles when TLS inside TLS fails: the fault lies below.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
    if secured is None:
        raise ConnectionError("the proxy closed the connection")
    return secured, protocol


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)
