"""Liveness and readiness, without a key and without asking the store's database."""

from __future__ import annotations

from arno.gateway.asgi import Inbound, Reply
from arno.gateway.core import Gateway


async def live(_gateway: Gateway, _request: Inbound) -> Reply:
    """The process answers."""
    return Reply(200, {"status": "ok"})


async def ready(gateway: Gateway, _request: Inbound) -> Reply:
    """Whether new work should be sent here: not while draining, nor without a working ledger."""
    if gateway.inflight.draining:
        return Reply(503, {"status": "draining", "open": len(gateway.inflight)})
    health = gateway.sink.health()
    if not health.ok:
        # The reason may name files and hosts: it is in the log, not for strangers.
        return Reply(503, {"status": "ledger unavailable", "pending": health.pending})
    return Reply(200, {"status": "ready", "pending": health.pending})
