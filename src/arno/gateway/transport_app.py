"""An ASGI application whose every answer comes out of one transport, and which knows no dialect.

Replay and record are siblings of this shape: any method and path, one client write for each read of
the transport, and an answer that ends badly ends badly here too: the connection closes without the
last chunk. Own words are only `GET /healthz` and the errors, in the gateway's envelope.

There are no client keys here. So on loopback the gateway's guard holds: no foreign Host (DNS
rebinding) and no foreign web page. The log has no content.
"""

from __future__ import annotations

import asyncio
import re
from abc import abstractmethod
from contextlib import suppress
from typing import ClassVar, Final

import msgspec

from arno.canon.ext import Json
from arno.gateway import guard
from arno.gateway.asgi import (
    Inbound,
    Receive,
    Reply,
    Scope,
    Send,
    check_head,
    inbound,
    send_reply,
)
from arno.gateway.body import read_body
from arno.gateway.clock import Clock
from arno.gateway.errors import ClientGone, Refusal, envelope
from arno.gateway.inflight import Flight, Inflight, Stop
from arno.gateway.log import Facts, RequestLog
from arno.gateway.service import Service, refuse
from arno.gateway.settings import GatewaySettings
from arno.transport.base import Headers, HttpRequest, HttpResponse, Transport, TransportError

_BODILESS: Final = (204, 304)
_CLOSE: Final = (("connection", "close"),)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Fault(msgspec.Struct, frozen=True):
    """Why the transport gave no answer, as the client is told. logged: the same without content."""

    status: int
    reason: str
    document: Json
    logged: str


class TransportApp(Service):
    """One server over a transport. `inflight` are the answers under way, for a drain."""

    cut_reason: ClassVar[str]
    """The log's word for an answer that ended without its end."""

    def __init__(
        self,
        transport: Transport,
        settings: GatewaySettings,
        log: RequestLog,
        clock: Clock,
        *,
        local: bool,
        linger_s: float = 0.0,
    ) -> None:
        """`transport` is closed with the application; `log` too. local: the guard holds.

        linger_s: how long an answer whose client has left may take to come to its end by itself.
        """
        self.inflight = Inflight()
        self.settings = settings
        self.log = log
        self.clock = clock
        self._transport = transport
        self._local = local
        self._linger_s = linger_s

    @abstractmethod
    def asked(self, scope: Scope, request: Inbound, body: bytes) -> HttpRequest:
        """The request for the transport. Raises Refusal."""

    @abstractmethod
    def fault(self, error: TransportError) -> Fault:
        """What a client is told that gets no answer from the transport."""

    def fields(self, headers: Headers) -> Headers:
        """Those of an answer's headers that the client gets."""
        return headers

    def logged_path(self, path: str) -> str:
        """What the log says of a request's path."""
        return path

    async def body(self, request: Inbound) -> bytes:
        """The request's whole body. Raises Refusal and ClientGone."""
        return await read_body(request, self.settings.max_body, self.settings.body_deadline_s)

    async def close(self) -> None:
        """Close the transport, then the log."""
        await self._transport.aclose()
        self.log.close()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request out of the transport and log it."""
        began = self.clock.monotonic_ns()
        request = inbound(scope, receive, send)
        try:
            facts = await self._answer(scope, request)
        except Refusal as refusal:
            document = envelope(refusal.status, refusal.message, refusal.reason)
            facts = await refuse(request, refusal, document, self.settings)
        except ClientGone:
            facts = Facts(status=499, state="cancelled")
        self.log.request(
            wall_ns=self.clock.wall_ns(),
            key_id=None,
            method=request.method,
            path=self.logged_path(request.path),
            ms=(self.clock.monotonic_ns() - began) // 1_000_000,
            facts=facts,
        )

    async def _answer(self, scope: Scope, request: Inbound) -> Facts:
        settings = self.settings
        check_head(scope, settings.max_head, settings.max_path)
        guard.check_host(request.headers, request.repeated)
        if self._local:
            guard.check_local(request.scheme, request.headers, request.repeated)
        if request.path == "/healthz" and request.method in ("GET", "HEAD"):
            await send_reply(request, Reply(200, {"status": "ok"}))
            return Facts(status=200, state="ok")
        if self.inflight.draining:
            raise Refusal(503, "The server is shutting down", "shutting_down", _CLOSE)
        body = await self.body(request)
        asked = self.asked(scope, request, body)
        flight = self.inflight.enter()
        flight.watch(request)
        try:
            return await self._play(request, asked, flight)
        finally:
            self.inflight.leave(flight)

    async def _play(self, request: Inbound, asked: HttpRequest, flight: Flight) -> Facts:
        """Get and send the answer. A client that leaves or a shutdown ends it where it is."""
        response: HttpResponse | None = None
        try:
            response = await self._transport.send(asked)
            await self._send(request, response)
        except TransportError as error:
            if response is None:
                flight.settle()
                return await self._fail(request, error)
            # Nothing more is sent, not even the end: the server closes the connection.
            return Facts(status=response.status, state="truncated", reason=self.cut_reason)
        except asyncio.CancelledError:
            if flight.stop is None:
                raise
            flight.task.uncancel()
            if response is not None and flight.stop is Stop.CLIENT_GONE:
                await self._linger(response)
            status = 499 if response is None else response.status
            return Facts(status=status, state="cancelled", reason=flight.stop.value)
        finally:
            if response is not None:
                response.abort()
        return Facts(status=response.status, state="ok")

    async def _send(self, request: Inbound, response: HttpResponse) -> None:
        """Head, then one message for each read, then the end; without the end if it was cut."""
        bodiless = response.status in _BODILESS
        fields = _encoded(self.fields(response.headers))
        if bodiless:
            # A length that is announced there is that of another answer's body.
            fields = [field for field in fields if field[0] != b"content-length"]
        head = {"status": response.status, "headers": fields}
        await request.send({"type": "http.response.start", **head})
        while data := await response.read():
            if not bodiless:
                await request.send({"type": "http.response.body", "body": data, "more_body": True})
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _linger(self, response: HttpResponse) -> None:
        """One more read, for its sake alone: the answer may have ended just now."""
        if self._linger_s > 0:
            with suppress(TimeoutError, TransportError):
                async with asyncio.timeout(self._linger_s):
                    await response.read()

    async def _fail(self, request: Inbound, error: TransportError) -> Facts:
        """Tell why there is no answer."""
        fault = self.fault(error)
        self.log.note(wall_ns=self.clock.wall_ns(), event=fault.reason, text=fault.logged)
        await send_reply(request, Reply(fault.status, fault.document))
        return Facts(status=fault.status, state="error", reason=fault.reason)


def target(scope: Scope, request: Inbound) -> str:
    """Path and query as the client sent them: `%2F` stays what it is."""
    path: bytes = scope.get("raw_path") or request.path.encode()
    query = f"?{request.query.decode('latin-1')}" if request.query else ""
    return f"{path.decode('latin-1')}{query}"


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers as bytes. What HTTP cannot carry (a recording can be edited) is left out."""
    fields = []
    for name, value in headers:
        if _NAME.fullmatch(name) and _VALUE.fullmatch(value):
            fields.append((name.encode("latin-1"), value.encode("latin-1")))
    return fields
