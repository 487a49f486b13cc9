"""The server's HTTP protocol with bounds on a request's head, and errors in the contract's shape.

Serves bad inputs 1 to 6, 11 and 12: what is not HTTP, a head that does not end and a head that does
not come are answered and the connection is closed. What comes after a body (trailers) is bounded
and dropped: it is not what the request was let in with. Parsing stays the library's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from arno.gateway.asgi import ON_GONE, REGISTER
from arno.gateway.cycle import Answer
from arno.gateway.errors import envelope
from arno.wire import json

MAX_PENDING = 256 * 1024
"""Bytes on end that bring no request further: of a head, of trailers, around chunks."""

MAX_TARGET = 65535
"""Bytes of a target; the parser takes no longer one, and the application far shorter ones only."""


MAX_PIPELINED = 16
"""Requests that may wait behind the one being answered. Reading goes on meanwhile, because only so
the client's leaving is noticed; whoever sends more is cut off."""


class _Unserved(Exception):
    """Raised inside a parser callback: the connection ends here."""


class BoundedProtocol(HttpToolsProtocol):
    """One client connection.

    head_deadline_s: from the first wait for a head, or its first byte, to its end; linger_s: how
    long a body that is still coming after its answer is read on and dropped; stall_s: how long a
    client may leave its answer unread.
    """

    head_deadline_s: ClassVar[float] = 10.0
    linger_s: ClassVar[float] = 2.0
    stall_s: ClassVar[float] = 60.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Made by the server for each connection; the wait for the first head begins here."""
        super().__init__(config, server_state, app_state, _loop)
        self._timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None
        self._serving: RequestResponseCycle | None = None
        self._answer: Answer | None = None
        self._pending = 0
        self._refusal = "The request is not valid HTTP"
        self._moved = False
        self._target = 0
        self._in_head = self._in_body = False
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)
        # The library marks the newest request alone; those before it have lost their client, too.
        self._give_up()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless something grows without end."""
        self._moved = False
        self._idle_since = None
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._pending = 0 if self._moved else self._pending + len(data)
        if self._pending > MAX_PENDING:
            self._refuse(431, "The request's headers are too large", "headers_too_large")
        elif self._in_head or not (self._in_body or self._busy()):
            # Also after bytes that begin no head: they have ended the keep-alive timer.
            self._wait_for_head()

    def on_message_begin(self) -> None:
        """A head begins; `data_received` waits for its end, unless that came with it."""
        self._target, self._in_head = 0, True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._target += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of a head; one of a trailer comes too late to be believed."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head has come."""
        self._stop_timer()
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refusal = "Too many requests are waiting on this connection"
            raise _Unserved
        if self.parser.should_upgrade() and self._announces_body():
            # The parser takes what follows such a head for another protocol: it would be lost.
            self._refusal = "Upgrade is not supported; send the request without it"
            raise _Unserved
        super().on_headers_complete()
        if self.pipeline:
            # The library stops reading here, and a client that leaves would not be noticed; a long
            # body stops it again.
            self.flow.resume_reading()
        if self.parser.should_upgrade():
            # It reads no further request; the client is told so.
            self.cycle.keep_alive = False
        self._in_head, self._in_body, self._moved = False, True, True

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has come to its end."""
        self._stop_timer()
        self._in_body, self._moved = False, True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is out. Closing at once would lose it if the body is still coming.

        In place of the library's: one timer a connection watches for idleness, not one a request.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._check_idle)
        if self._in_body and not self._busy():
            self._arm(self.linger_s, self.transport.close)

    def _check_idle(self) -> None:
        """Close what has waited for its next request as long as it may."""
        self._idle_timer = None
        if self._idle_since is None:
            left = float(self.timeout_keep_alive)
        else:
            left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._check_idle)
        else:
            self.timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or has a target that the parser does not take."""
        if self._target > MAX_TARGET:
            self._refuse(414, "The request's path is too long", "path_too_long")
        else:
            self._refuse(400, self._refusal, "invalid_http")

    def _announces_body(self) -> bool:
        """Whether a body follows the head that was just read."""
        return any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0")
            for name, value in self.headers
        )

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._serving = cycle
        self._answer = answer = Answer(cycle, self.loop, self.stall_s)
        cycle.scope["extensions"] = {ON_GONE: {REGISTER: answer.on_gone}}

        def serve(
            scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
        ) -> Awaitable[None]:
            # The library's `send` would write the head of each answer by itself.
            return app(scope, receive, answer.send)

        super()._start_asgi_task(cycle, serve)

    def _busy(self) -> bool:
        """Whether a request is being answered."""
        return self._serving is not None and not self._serving.response_complete

    def _wait_for_head(self) -> None:
        if self._timer is None:
            self._arm(self.head_deadline_s, self._head_is_late)

    def _arm(self, seconds: float, callback: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, callback)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_late(self) -> None:
        self._timer = None
        if self._busy():
            # Its turn has not come: the server may not even be reading.
            self._wait_for_head()
        else:
            self._refuse(408, "The request's headers did not arrive in time", "head_deadline")

    def _refuse(self, status: int, message: str, reason: str) -> None:
        """Answer and close; silently where the answer would be taken for another request's."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self._may_answer():
            body = json.dumps(envelope(status, message, reason))
            fields = b"content-type: application/json\r\nconnection: close\r\ncontent-length: "
            head = STATUS_LINE[status] + fields + str(len(body)).encode()
            self.transport.write(head + b"\r\n\r\n" + body)
        self._give_up()
        self.transport.close()

    def _may_answer(self) -> bool:
        """Whether the next bytes sent are the answer to the request that is being read."""
        if not self._busy():
            return not self._in_body
        return self._in_body and self._serving is self.cycle and not self.cycle.response_started

    def _give_up(self) -> None:
        """Whoever serves a request of this connection has nobody to answer any more."""
        for cycle in (self._serving, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        if self._answer is not None:
            self._answer.gone()


def bounded(head_deadline_s: float, linger_s: float, stall_s: float) -> type[BoundedProtocol]:
    """The protocol class with its times, in seconds."""
    times = {"head_deadline_s": head_deadline_s, "linger_s": linger_s, "stall_s": stall_s}
    return type("BoundedProtocol", (BoundedProtocol,), times)
