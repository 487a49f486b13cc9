"""The server's HTTP protocol with bounds on a request's head, and errors in the contract's shape.

Serves bad inputs 1 to 6, 11 and 12: what is not HTTP, a head that does not end and a head that does
not come are answered and the connection is closed. Parsing stays the library's.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from arno.gateway.errors import envelope
from arno.wire import json

MAX_PENDING = 256 * 1024
"""Bytes of a head that has not ended."""

MAX_TARGET = 65535
"""Bytes of a target; the parser takes no longer one, and the application far shorter ones only."""


class BoundedProtocol(HttpToolsProtocol):
    """One client connection. head_deadline_s: from the first wait for a head to its end."""

    head_deadline_s: ClassVar[float] = 10.0

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
        self._pending = 0
        self._target = 0
        self._had_request = False
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless a head grows without end."""
        super().data_received(data)
        if self._timer is not None:
            self._pending += len(data)
            if self._pending > MAX_PENDING:
                self._refuse(431, "The request's headers are too large", "headers_too_large")

    def on_message_begin(self) -> None:
        """A head begins."""
        self._target = 0
        super().on_message_begin()
        self._wait_for_head()

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._target += len(url)
        super().on_url(url)

    def on_headers_complete(self) -> None:
        """A head has come."""
        self._head_is_here()
        super().on_headers_complete()
        self._had_request = True

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or has a target that the parser does not take."""
        if self._target > MAX_TARGET:
            self._refuse(414, "The request's path is too long", "path_too_long")
        else:
            self._refuse(400, "The request is not valid HTTP", "invalid_http")

    def _wait_for_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_deadline_s, self._head_is_late)

    def _head_is_here(self) -> None:
        self._pending = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_late(self) -> None:
        self._timer = None
        self._refuse(408, "The request's headers did not arrive in time", "head_deadline")

    def _refuse(self, status: int, message: str, reason: str) -> None:
        """Answer and close; silently where an answer is already under way."""
        self._head_is_here()
        if self.transport.is_closing():
            return
        if not self._had_request or self.cycle.response_complete:
            body = json.dumps(envelope(status, message, reason))
            fields = b"content-type: application/json\r\nconnection: close\r\ncontent-length: "
            head = STATUS_LINE[status] + fields + str(len(body)).encode()
            self.transport.write(head + b"\r\n\r\n" + body)
        self.transport.close()


def bounded(head_deadline_s: float) -> type[BoundedProtocol]:
    """The protocol class with a deadline for heads, in seconds."""
    return type("BoundedProtocol", (BoundedProtocol,), {"head_deadline_s": head_deadline_s})
