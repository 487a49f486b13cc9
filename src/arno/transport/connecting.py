"""How a connection is made: names looked up anew, addresses raced (RFC 8305), then TLS.

    Connect            the seam: what makes a connection to an origin
    DirectConnect      straight to the origin: look-up, race, TLS
    race               one attempt an address; the next one 250 ms later, or when one fails
    phase              tells what was under way when making a connection failed or took too long

Works alike on every event loop: uvloop has no race of its own. Only TCP is raced: an address that
answers and then fails in TLS is the upstream's word. Serves fault rows 1, 2, 37 and 40.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, ip_address
from itertools import zip_longest
from typing import Protocol, TypeVar

from arno.transport.url import Origin

ATTEMPT_DELAY = 0.25
"""Seconds after which the next address is tried beside those that have not answered (RFC 8305)."""

Address = tuple[int, tuple[object, ...]]
"""An address family of `socket`, and a socket address of it whose host is a number."""

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Addresses of a host name and port, best first. Raises `OSError` if there are none."""

OpenSocket = Callable[[Address], Awaitable[socket.socket]]
"""A connected, non-blocking socket. Raises `OSError`; cancelled, it leaves none open."""

Pause = Callable[[float], Awaitable[object]]
"""Returns after so many seconds."""

AnyProtocol = TypeVar("AnyProtocol", bound=asyncio.Protocol)


class Connect(Protocol):
    """What makes a connection. Raises `OSError` if it cannot; cancelled, it leaves no socket."""

    def __call__(
        self,
        origin: Origin,
        factory: Callable[[], AnyProtocol],
        ssl_context: ssl.SSLContext | None,
        /,
    ) -> Awaitable[tuple[asyncio.Transport, AnyProtocol]]:
        """A transport to `origin` whose protocol `factory` makes; over TLS if there is a context.

        Bytes of the upstream may reach the protocol before this returns.
        """
        ...


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Note `name` on whatever ends this block: a time limit cancels without knowing where."""
    try:
        yield
    except BaseException as error:
        error.add_note(name)
        raise


def phase_of(error: BaseException, default: str) -> str:
    """Where `error`, or the cancellation behind a time limit, came from: the innermost first."""
    if isinstance(error.__context__, asyncio.CancelledError):
        error = error.__context__
    return " ".join(getattr(error, "__notes__", None) or [default])


def server_name(origin: Origin) -> str:
    """What a certificate must name: the host, without the final dot of an absolute name."""
    return origin.host.removesuffix(".")


async def resolve(host: str, port: int) -> Sequence[Address]:
    """The system's look-up, asked every time; a literal address needs none."""
    literal = _literal(host, port)
    if literal is not None:
        return [literal]
    loop = asyncio.get_running_loop()
    rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [(row[0], row[4]) for row in rows]


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """Each address once, families in turn, the resolver's order within each and of the two."""
    distinct = list(dict.fromkeys(addresses))
    first = [address for address in distinct if address[0] == distinct[0][0]]
    other = [address for address in distinct if address[0] != distinct[0][0]]
    pairs = zip_longest(first, other)
    return [address for pair in pairs for address in pair if address is not None]


async def open_tcp(address: Address) -> socket.socket:
    """See `OpenSocket`; the error names the address."""
    family, place = address
    # The protocol by name: asyncio sets TCP_NODELAY on no other socket.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except OSError as error:
        sock.close()
        what = os.strerror(error.errno) if error.errno else type(error).__name__
        raise OSError(error.errno or 0, f"{what} ({place[0]})") from error
    except BaseException:
        sock.close()
        raise
    return sock


async def race(
    addresses: Sequence[Address], open_socket: OpenSocket, pause: Pause
) -> socket.socket:
    """The first socket that connects; the others are closed. Raises `OSError` with all reasons.

    Cancelled, every attempt is given up; its socket is closed by the loop's next turn.
    """
    if len(addresses) == 1:
        return await open_socket(addresses[0])
    runners = _Runners(open_socket, pause)
    try:
        for address in addresses[:-1]:
            runners.start(address)
            winner = await runners.next(bounded=True)
            if winner is not None:
                return winner
        runners.start(addresses[-1])
        while runners.running:
            winner = await runners.next(bounded=False)
            if winner is not None:
                return winner
    finally:
        runners.call_off()
    raise OSError(0, ", ".join(_text(error) for error in runners.failures) or "no address")


class _Runners:
    """The attempts of one race."""

    def __init__(self, open_socket: OpenSocket, pause: Pause) -> None:
        self._open_socket = open_socket
        self._pause = pause
        self.running: list[asyncio.Task[socket.socket]] = []
        self.failures: list[OSError] = []

    def start(self, address: Address) -> None:
        self.running.append(asyncio.create_task(self._open(address)))

    async def next(self, *, bounded: bool) -> socket.socket | None:
        """Wait for an attempt to end, if bounded for the delay at most; the socket if it won."""
        timer = asyncio.ensure_future(self._pause(ATTEMPT_DELAY)) if bounded else None
        waits = [*self.running, timer] if timer is not None else self.running
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if timer is not None:
                timer.cancel()
        return self._harvest()

    def call_off(self) -> None:
        """Give up what still runs; what has connected all the same is closed."""
        for runner in self.running:
            runner.cancel()
            runner.add_done_callback(_close)

    def _harvest(self) -> socket.socket | None:
        for runner in [runner for runner in self.running if runner.done()]:
            self.running.remove(runner)
            error = runner.exception()
            if error is None:
                return runner.result()
            if not isinstance(error, OSError):
                raise error
            self.failures.append(error)
        return None

    async def _open(self, address: Address) -> socket.socket:
        return await self._open_socket(address)


class DirectConnect:
    """The `Connect` that goes straight to the origin: certificate and host name verified."""

    def __init__(
        self,
        resolve: Resolve = resolve,
        open_socket: OpenSocket = open_tcp,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._resolve = resolve
        self._open_socket = open_socket
        self._pause = pause

    async def __call__(
        self,
        origin: Origin,
        factory: Callable[[], AnyProtocol],
        ssl_context: ssl.SSLContext | None,
    ) -> tuple[asyncio.Transport, AnyProtocol]:
        """See `Connect`."""
        with phase("name look-up"):
            addresses = await self._resolve(origin.host, origin.port)
            if not addresses:
                raise OSError(0, "the name has no address")
        with phase("connecting"):
            sock = await race(interleave(addresses), self._open_socket, self._pause)
        with phase("connecting" if ssl_context is None else "TLS handshake"):
            # From here on the loop owns the socket, and closes it if the handshake fails.
            return await asyncio.get_running_loop().create_connection(
                factory,
                sock=sock,
                ssl=ssl_context,
                server_hostname=None if ssl_context is None else server_name(origin),
            )


connect_directly = DirectConnect()


def _literal(host: str, port: int) -> Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return socket.AF_INET, (host, port)
    return socket.AF_INET6, (host, port, 0, 0)


def _text(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _close(runner: asyncio.Task[socket.socket]) -> None:
    if not runner.cancelled() and runner.exception() is None:
        runner.result().close()
