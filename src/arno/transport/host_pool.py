"""The connections to one origin: a bounded number of slots, handed out first come, first served.

A slot is the right to one connection, open or opening. Ownership passes from hand to hand: idle
connection -> `LivePool.send` -> response (once its head has arrived) -> idle connection, or next
waiter. Nobody overtakes a waiter: a slot that becomes free goes to the oldest one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import msgspec

from arno.transport.base import ErrorKind, TransportError
from arno.transport.connecting import Connect, phase_of
from arno.transport.connection import Connection
from arno.transport.proxy import Proxy
from arno.transport.url import Origin


class LiveLimits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Bounds of the live transport; every one is per origin or per connection."""

    max_connections_per_host: int = 1000
    max_idle_per_host: int = 32
    idle_timeout: float = 30.0
    """Seconds after which an unused connection is closed."""
    max_header_bytes: int = 64 * 1024
    read_high_water: int = 128 * 1024
    """Unread body bytes above which a socket is paused (plus at most one socket read)."""
    connect_timeout: float = 10.0
    """Seconds for name look-up, TCP, proxy and TLS handshake together."""
    max_waiting: int = 1000
    """Requests that may wait for a connection to become free; a further one is refused at once."""
    slot_timeout: float = 30.0
    """Seconds a request waits for a connection to become free."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for a bound under which nothing could ever be sent."""
        if self.max_connections_per_host < 1 or self.max_idle_per_host < 0:
            raise ValueError("max_connections_per_host must be at least 1, max_idle 0 or more")
        if min(self.max_header_bytes, self.read_high_water) < 1:
            raise ValueError("max_header_bytes and read_high_water must be at least 1 byte")
        if min(self.idle_timeout, self.connect_timeout, self.slot_timeout) <= 0:
            raise ValueError("idle, connect and slot_timeout must be above 0 seconds")
        if self.max_waiting < 0:
            raise ValueError("max_waiting must be 0 or more")


class HostPool:
    """Slots and idle connections of one origin; the `Owner` of its connections."""

    def __init__(
        self,
        origin: Origin,
        limits: LiveLimits,
        connect: Connect,
        ssl_context: ssl.SSLContext | None,
        on_empty: Callable[[Origin], None],
        forwarder: Proxy | None = None,
    ) -> None:
        """`on_empty` is called when the last slot is free again: the pool may be forgotten.

        `forwarder` is the proxy that takes the requests themselves, in absolute form.
        """
        self.forwarder = forwarder
        self.label = origin.label
        self._origin = origin
        self._limits = limits
        self._connect = connect
        self._ssl_context = ssl_context
        self._on_empty = on_empty
        self._loop = asyncio.get_running_loop()
        self._open = 0
        self._idle: dict[Connection, float] = {}
        self._connections: set[Connection] = set()
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    def take_idle(self) -> Connection | None:
        """An idle connection and its slot, None if there is none."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.usable():
                return connection
            connection.drop("closed by the upstream while idle")
            self._open -= 1
        return None

    async def acquire(self) -> Connection | None:
        """When nothing is idle, take a slot: None to `open` a connection in it, or one that another
        request gave back while this one waited.

        Raises `TransportError` (busy) if too many wait, or none became free in time.
        """
        if self._open < self._limits.max_connections_per_host:
            self._open += 1
            return None
        connection_or_none = await self._queue()
        if connection_or_none is not None and not connection_or_none.usable():
            connection_or_none.drop("closed by the upstream while idle")
            return None
        return connection_or_none

    async def open(self, seconds: float | None = None) -> Connection:
        """Connect in a slot already taken; gives the slot back if that fails.

        `seconds`: how long that may take, None for the limits' time. Raises `TransportError`
        (connect, connect_timeout).
        """
        try:
            return await self._open_connection(
                self._limits.connect_timeout if seconds is None else seconds
            )
        except BaseException:
            self.free()
            raise

    def free(self) -> None:
        """A slot without a connection: for the oldest waiter, or for nobody."""
        if self._hand_over(None):
            return
        self._open -= 1
        if self._open == 0:
            self._cancel_sweep()
            self._on_empty(self._origin)

    def connection_idle(self, connection: Connection) -> None:
        """See `Owner`: for the oldest waiter, else kept for `idle_timeout`."""
        if self._hand_over(connection):
            return
        if self._closed or len(self._idle) >= self._limits.max_idle_per_host:
            connection.drop("not kept")
            self.free()
            return
        self._idle[connection] = self._loop.time()
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._limits.idle_timeout, self._sweep)

    def connection_spent(self) -> None:
        """See `Owner`."""
        self.free()

    def connection_gone(self, connection: Connection) -> None:
        """See `Owner`."""
        self._connections.discard(connection)
        if self._idle.pop(connection, None) is not None:
            self.free()

    async def aclose(self) -> None:
        """Close every connection, refuse every waiter."""
        self._closed = True
        self._cancel_sweep()
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(self.closed_error())
        connections = list(self._connections)
        for connection in connections:
            connection.drop("the transport was closed")
        for connection in connections:
            await connection.wait_closed()

    def closed_error(self) -> TransportError:
        """The fault of a request that had no connection yet when the transport was closed."""
        return TransportError(
            ErrorKind.CONNECT, f"{self.label}: the transport was closed before connecting"
        )

    async def _queue(self) -> Connection | None:
        limits = self._limits
        if len(self._waiters) >= limits.max_waiting:
            raise self._busy(f"{limits.max_waiting} requests wait already for one")
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        timer = self._loop.call_later(limits.slot_timeout, self._give_up, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with suppress(ValueError):
                    self._waiters.remove(waiter)
            elif waiter.exception() is None:
                # Cancelled after the slot had been handed over: pass it on.
                self._give_back(waiter.result())
            raise
        finally:
            timer.cancel()

    def _give_up(self, waiter: asyncio.Future[Connection | None]) -> None:
        """A waiter's time is over."""
        if not waiter.done():
            self._waiters.remove(waiter)
            seconds = self._limits.slot_timeout
            waiter.set_exception(self._busy(f"none became free within {seconds:g} s"))

    def _busy(self, why: str) -> TransportError:
        most = self._limits.max_connections_per_host
        text = f"{self.label}: all {most} connections are in use, and {why}"
        return TransportError(ErrorKind.BUSY, text)

    def _give_back(self, connection: Connection | None) -> None:
        if connection is not None:
            self.connection_idle(connection)
        else:
            self.free()

    def _hand_over(self, connection: Connection | None) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False

    async def _open_connection(self, seconds: float) -> Connection:
        timer = asyncio.timeout(seconds)
        try:
            async with timer:
                transport, connection = await self._connect(
                    self._origin, self._new_connection, self._ssl_context
                )
        except OSError as error:
            raise self._connect_fault(error, seconds if timer.expired() else None) from error
        connection.attach(transport)
        if self._closed:
            connection.drop("the transport was closed")
            raise self.closed_error()
        self._connections.add(connection)
        return connection

    def _connect_fault(self, error: OSError, seconds: float | None) -> TransportError:
        """`seconds`: what was allowed, if that is what ended it."""
        where = phase_of(error, "connecting")
        if seconds is None:
            text = f"{self.label}: {where} failed: {_reason(error)}"
            return TransportError(ErrorKind.CONNECT, text)
        text = f"{self.label}: connecting took longer than {seconds:g} s ({where})"
        return TransportError(ErrorKind.CONNECT_TIMEOUT, text)

    def _new_connection(self) -> Connection:
        limits = self._limits
        return Connection(self.label, limits.read_high_water, limits.max_header_bytes, self)

    def _sweep(self) -> None:
        """Close what has been idle for too long; look again when the next one is due."""
        self._sweeper = None
        oldest_allowed = self._loop.time() - self._limits.idle_timeout
        for connection, since in list(self._idle.items()):
            if since > oldest_allowed:
                due = since + self._limits.idle_timeout
                self._sweeper = self._loop.call_at(due, self._sweep)
                return
            del self._idle[connection]
            connection.drop("idle for too long")
            self.free()

    def _cancel_sweep(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted ({error.verify_message})"
    return error.strerror or str(error) or type(error).__name__
