"""The replay server: an ASGI application that answers from cassettes and knows no dialect.

Serves R39 and R40: any method and path, recorded bytes in recorded chunks at recorded (scaled)
time, and for a request that was never recorded a loud 424 that names the nearest recordings. A
body that was recorded without its end is cut the same way: the connection closes without the last
chunk.

There is nothing to spend here, so there are no keys; but recordings are private. So they are served
on loopback, where the guard holds. Only who says `public` serves them to anybody, and anywhere. Of
a miss the log names where the nearest recordings differ, and the client alone is told how.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from arno.canon.ext import Json
from arno.gateway.asgi import Inbound, Scope
from arno.gateway.clock import Clock
from arno.gateway.errors import SettingsError, envelope
from arno.gateway.log import RequestLog, visible
from arno.gateway.settings import GatewaySettings, is_loopback
from arno.gateway.transport_app import Fault, TransportApp, target
from arno.transport.base import ErrorKind, HttpRequest, Transport, TransportError
from arno.transport.replay import UnmatchedRequest

ORIGIN: Final = "http://replay.invalid"
"""Stands for the recorded host, which does not decide what matches."""

UNMATCHED_STATUS: Final = 424
_COMPARED: Final = re.compile(": (?:not )?recorded")
"""Where the text of a difference goes on from the place to the values."""


class ReplayApp(TransportApp):
    """One replay server."""

    cut_reason: ClassVar[str] = "recorded_cut"

    def __init__(
        self,
        transport: Transport,
        settings: GatewaySettings,
        log: RequestLog,
        clock: Clock,
        *,
        public: bool = False,
    ) -> None:
        """`transport` is closed with the application; `log` too. Raises SettingsError."""
        if not public and not is_loopback(settings.host):
            raise SettingsError(
                f"refusing to listen on {settings.host}: recordings are private; listen on "
                "127.0.0.1, or give --public to serve them to anybody who reaches the port"
            )
        super().__init__(transport, settings, log, clock, local=not public)

    def asked(self, scope: Scope, request: Inbound, body: bytes) -> HttpRequest:
        """The request as it would go to the recorded host."""
        return HttpRequest(request.method, f"{ORIGIN}{target(scope, request)}", body=body)

    def fault(self, error: TransportError) -> Fault:
        """Why no recording answers."""
        unmatched = error.kind is ErrorKind.UNMATCHED
        status, reason = (
            (UNMATCHED_STATUS, "unmatched_request") if unmatched else (500, "recording")
        )
        return Fault(status, reason, _document(status, reason, error), _logged(error))


def replay_app(
    transport: Transport,
    settings: GatewaySettings | None = None,
    *,
    log: RequestLog | None = None,
    clock: Clock | None = None,
    public: bool = False,
) -> ReplayApp:
    """The replay server's application over a `ReplayTransport`, which holds the scale.

    `log` (standard error if None) gets a line for every request, and one more for every one that
    no recording matches. `public`: whoever reaches the port may read the recordings, web pages
    too; without it they are served on loopback only, and SettingsError is raised for another host.
    """
    return ReplayApp(
        transport,
        settings or GatewaySettings(),
        log or RequestLog(),
        clock or Clock(),
        public=public,
    )


def _logged(error: TransportError) -> str:
    """What the log says: of a miss the recordings and the places, never a value."""
    if not isinstance(error, UnmatchedRequest):
        return error.message
    near = [
        f"#{near.id} of {visible(near.source) or 'a cassette'}: {_places(near.differences)}"
        for near in error.nearest
    ]
    return f"no recording matches; nearest {'; '.join(near)}" if near else "no recording matches"


def _places(differences: tuple[str, ...]) -> str:
    """Where a recording differs, as JSON pointers."""
    pointers = [_COMPARED.split(text, maxsplit=1)[0] for text in differences]
    return ", ".join(visible(pointer) or "the body" for pointer in pointers) or "used already"


def _document(status: int, reason: str, error: TransportError) -> Json:
    """The error document. `nearest`: the recordings that come close, and where they differ."""
    if not isinstance(error, UnmatchedRequest):
        return envelope(status, error.message, reason)
    nearest: list[Json] = [
        {
            "source": near.source,
            "id": near.id,
            "used": near.used,
            "differences": list(near.differences),
        }
        for near in error.nearest
    ]
    metadata: dict[str, Json] = {
        "error_type": "not_found",
        "reason": reason,
        "nearest": nearest,
    }
    return {"error": {"code": status, "message": error.message, "metadata": metadata}}
