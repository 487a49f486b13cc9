"""What the server and the live transport cost by themselves: `python -m benchmarks.floor UPSTREAM`.

The product's server and upstream pool with nothing between them: bytes go through unread. It is
measured in the same minutes as the gateway, so that the difference is the gateway's own work and
the ratio survives a busy machine.
"""

from __future__ import annotations

import os
import sys
import time

from arno.gateway import server
from arno.gateway.asgi import Receive, Scope, Send
from arno.gateway.inflight import Inflight
from arno.gateway.log import RequestLog
from arno.gateway.settings import GatewaySettings
from arno.transport.base import HttpRequest
from arno.transport.live import LiveLimits, LivePool
from benchmarks.gateway import CONNECTIONS

_SENT = (("content-type", "application/json"),)
_KEPT = ("content-type", "content-length")


class Floor:
    """An ASGI application that passes every request on as it is."""

    def __init__(self, upstream: str) -> None:
        """upstream: its URL."""
        limits = LiveLimits(max_connections_per_host=CONNECTIONS, max_idle_per_host=CONNECTIONS)
        self._upstream = upstream
        self._pool = LivePool(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            await self._pass_on(scope, receive, send)
            return
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self._pool.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces, more = [], True
        while more:
            message = await receive()
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        url = self._upstream + scope["path"]
        answer = await self._pool.send(HttpRequest("POST", url, _SENT, b"".join(pieces)))
        fields = [(k.encode(), v.encode()) for k, v in answer.headers if k in _KEPT]
        await send({"type": "http.response.start", "status": answer.status, "headers": fields})
        while data := await answer.read():
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def main(upstream: str) -> int:
    """Serve until a signal. Returns the exit code of the process."""
    with open(os.devnull, "w", encoding="utf-8") as sheet:
        log = RequestLog(sheet)
        try:
            return server.run(
                Floor(upstream),
                GatewaySettings(),
                inflight=Inflight(),
                log=log,
                wall_ns=time.time_ns,
            )
        finally:
            log.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
