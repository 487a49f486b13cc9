"""What every ASGI application of this folder has: scopes, the end of serving, refusals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from arno.canon.ext import Json
from arno.gateway.asgi import Inbound, Receive, Reply, Scope, Send, send_reply
from arno.gateway.body import drop_rest
from arno.gateway.errors import Refusal
from arno.gateway.log import Facts
from arno.gateway.settings import GatewaySettings

_UNREAD: Final = (413, 415)
"""Refusals of a body that is still on its way."""


class Service(ABC):
    """An application that serves HTTP and has something to close."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            await self.serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    @abstractmethod
    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and log it."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of what the application holds; no request follows."""


async def refuse(
    request: Inbound, refusal: Refusal, document: Json, settings: GatewaySettings
) -> Facts:
    """Send a refusal; `document` says it.

    While the client still sends its body the answer stays open and the rest is dropped, see
    `drop_rest`: a connection that closes too early may take the answer with it.
    """
    unread = refusal.status in _UNREAD
    await send_reply(request, Reply(refusal.status, document, refusal.headers), last=not unread)
    if unread:
        await drop_rest(request, settings.max_body, settings.linger_s)
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})
    return Facts(status=refusal.status, state="refused", reason=refusal.reason)
