"""The ways in which the gateway can be driven: the same application, another server in front."""

from __future__ import annotations

from collections.abc import Callable

from arno.gateway import server
from arno.gateway.app import GatewayApp
from arno.gateway.log import RequestLog
from arno.gateway.settings import GatewaySettings

Lane = Callable[[GatewayApp, GatewaySettings, RequestLog], int]
"""Serves until a signal; the exit code."""


def _asgi(app: GatewayApp, settings: GatewaySettings, log: RequestLog) -> int:
    return server.run(
        app,
        settings,
        inflight=app.gateway.inflight,
        log=log,
        wall_ns=app.gateway.clock.wall_ns,
    )


LANES: dict[str, Lane] = {"asgi": _asgi}
