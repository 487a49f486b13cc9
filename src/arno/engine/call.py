"""One generation as the engine sees it, and the client side it writes to."""

from __future__ import annotations

from typing import Protocol

import msgspec

from arno.dialects.base import BODY_ONLY, Envelope, Headers, RequestLine
from arno.exchange.driver import Deadlines


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: key_id names the key (never the secret); the rest is attribution, may be None."""

    key_id: str
    referer: str | None = None
    title: str | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One client request. body: as it came; dialect: the client's; created_ns: wall clock.

    line: what its path says beside the body; forward: request headers that go on to an upstream of
    the same dialect as they came; deadlines: what the request itself asks for, which may only
    shorten the operator's; strict: a request that loses anything is refused instead.
    """

    generation_id: str
    caller: Caller
    dialect: str
    envelope: Envelope
    body: bytes
    created_ns: int
    line: RequestLine = BODY_ONLY
    strict: bool = False
    forward: Headers = ()
    deadlines: Deadlines | None = None


class Downstream(Protocol):
    """The client's side of one generation; the engine writes, the gateway carries.

    The order is `head`, any number of `body`, `end`, or `whole` alone; each waits while the client
    is slow.
    If the client goes away the gateway cancels the task that runs the engine.
    """

    async def head(self, status: int, headers: Headers) -> None:
        """Send the response head."""
        ...

    async def body(self, data: bytes) -> None:
        """Send body bytes: one call is one write."""
        ...

    async def end(self) -> None:
        """End the response."""
        ...

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response, its end included."""
        ...

    def settled(self, outcome: Outcome) -> None:
        """Told once, when the record of the generation is made, however it ended."""
        ...


SHUTTING_DOWN = "shutting down"
"""Message of the cancellation that ends a generation because the gateway stops (R38)."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a generation ended, for the log line; the same values stand in the ledger.

    reason: why it failed, for the operator: the failure's kind and its detail, no content.
    """

    generation_id: str
    state: str
    status: int
    model: str
    served_by: str | None
    attempts: int
    cost_nano: int | None
    input: int | None
    output: int | None
    first_output_ms: int | None
    reason: str | None = None
