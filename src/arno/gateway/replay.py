"""The replay server: an ASGI application that answers from cassettes and knows no dialect.

Serves R39 and R40: any method and path, recorded bytes in recorded chunks at recorded (scaled)
time, and for a request that was never recorded a loud 424 that names the nearest recordings. A
body that was recorded without its end is cut the same way: the connection closes without the last
chunk. Own words are only `GET /healthz` and the errors, in the gateway's envelope.

There is nothing to spend here, so there are no keys; but recordings are private. So they are served
on loopback, where the gateway's guard holds: no foreign Host (DNS rebinding) and no foreign web
page. Only who says `public` serves them to anybody, and anywhere. The log has no content: of a miss
it names where the nearest recordings differ, and the client alone is told how.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

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
from arno.gateway.body import drop_rest, read_body
from arno.gateway.clock import Clock
from arno.gateway.errors import ClientGone, Refusal, SettingsError, envelope
from arno.gateway.inflight import Flight, Inflight
from arno.gateway.log import Facts, RequestLog, visible
from arno.gateway.settings import GatewaySettings, is_loopback
from arno.transport.base import (
    ErrorKind,
    Headers,
    HttpRequest,
    HttpResponse,
    Transport,
    TransportError,
)
from arno.transport.replay import UnmatchedRequest

ORIGIN: Final = "http://replay.invalid"
"""Stands for the recorded host, which does not decide what matches."""

UNMATCHED_STATUS: Final = 424
_BODILESS: Final = (204, 304)
_UNREAD: Final = (413, 415)
_CLOSE: Final = (("connection", "close"),)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_COMPARED: Final = re.compile(": (?:not )?recorded")
"""Where the text of a difference goes on from the place to the values."""


class ReplayApp:
    """One replay server. `inflight` are the answers being played, for a drain."""

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
        self.inflight = Inflight()
        self.settings = settings
        self.log = log
        self._transport = transport
        self.clock = clock
        self._local = not public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self._transport.aclose()
        self.log.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = self.clock.monotonic_ns()
        request = inbound(scope, receive, send)
        try:
            facts = await self._answer(scope, request)
        except Refusal as refusal:
            facts = await self._refuse(request, refusal)
        except ClientGone:
            facts = Facts(status=499, state="cancelled")
        self.log.request(
            wall_ns=self.clock.wall_ns(),
            key_id=None,
            method=request.method,
            path=request.path,
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
        body = await read_body(request, settings.max_body, settings.body_deadline_s)
        flight = self.inflight.enter()
        flight.watch(request)
        try:
            return await self._play(request, _as_asked(scope, request, body), flight)
        finally:
            self.inflight.leave(flight)

    async def _play(self, request: Inbound, asked: HttpRequest, flight: Flight) -> Facts:
        """Find and send the recording. A client that leaves or a shutdown ends it where it is."""
        response: HttpResponse | None = None
        try:
            response = await self._transport.send(asked)
            await _send_response(request, response)
        except TransportError as error:
            if response is None:
                flight.settle()
                return await self._fail(request, error)
            # Nothing more is sent, not even the end: the server closes the connection.
            return Facts(status=response.status, state="truncated", reason="recorded_cut")
        except asyncio.CancelledError:
            if flight.stop is None:
                raise
            flight.task.uncancel()
            status = 499 if response is None else response.status
            return Facts(status=status, state="cancelled", reason=flight.stop.value)
        return Facts(status=response.status, state="ok")

    async def _fail(self, request: Inbound, error: TransportError) -> Facts:
        """Tell why no recording answers."""
        unmatched = error.kind is ErrorKind.UNMATCHED
        status, reason = (
            (UNMATCHED_STATUS, "unmatched_request") if unmatched else (500, "recording")
        )
        self.log.note(wall_ns=self.clock.wall_ns(), event=reason, text=_logged(error))
        await send_reply(request, Reply(status, _document(status, reason, error)))
        return Facts(status=status, state="error", reason=reason)

    async def _refuse(self, request: Inbound, refusal: Refusal) -> Facts:
        document = envelope(refusal.status, refusal.message, refusal.reason)
        unread = refusal.status in _UNREAD
        await send_reply(request, Reply(refusal.status, document, refusal.headers), last=not unread)
        if unread:
            await drop_rest(request, self.settings.max_body, self.settings.linger_s)
            await request.send({"type": "http.response.body", "body": b"", "more_body": False})
        return Facts(status=refusal.status, state="refused", reason=refusal.reason)


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


async def _send_response(request: Inbound, response: HttpResponse) -> None:
    """Head, then one message for each chunk, then the end; without the end if it was cut."""
    try:
        head = {"status": response.status, "headers": _fields(response.headers)}
        await request.send({"type": "http.response.start", **head})
        bodiless = response.status in _BODILESS
        while data := await response.read():
            if not bodiless:
                await request.send({"type": "http.response.body", "body": data, "more_body": True})
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        response.abort()


def _as_asked(scope: Scope, request: Inbound, body: bytes) -> HttpRequest:
    """The request as a client would send it upstream. The path is the raw one: `%2F` stays."""
    path = (scope.get("raw_path") or request.path.encode()).decode("latin-1")
    query = f"?{request.query.decode('latin-1')}" if request.query else ""
    return HttpRequest(request.method, f"{ORIGIN}{path}{query}", body=body)


def _fields(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Recorded headers as bytes. What HTTP cannot carry (a file can be edited) is left out."""
    fields = []
    for name, value in headers:
        if _NAME.fullmatch(name) and _VALUE.fullmatch(value):
            fields.append((name.encode("latin-1"), value.encode("latin-1")))
    return fields


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
