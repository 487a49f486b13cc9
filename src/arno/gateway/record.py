"""The recording server: an ASGI application that passes everything on, and knows no dialect.

Serves R39, R34 and R35: any method and path goes to its upstream as it came (path, query, body and
end-to-end headers, the client's key among them), and the answer comes back live, one client write
for each read of the upstream. What is kept, and what never is, is the business of the transport
(`arno.transport.record`).

Where a request goes is decided by the operator's routes and the path alone, never by a header or a
body. The keys that pass here are the user's own, so it listens on loopback only, behind the guard.

An upstream that cannot be asked is a 502 (504 where time ran out) in the gateway's envelope.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

import msgspec

from arno.canon.ext import Json
from arno.cassette.rules import REPLACEMENT
from arno.cassette.secrets import find_secret
from arno.gateway.asgi import Inbound, Scope
from arno.gateway.clock import Clock
from arno.gateway.errors import Refusal, SettingsError
from arno.gateway.log import RequestLog
from arno.gateway.settings import GatewaySettings, is_loopback
from arno.gateway.transport_app import Fault, TransportApp, target
from arno.transport.base import (
    ErrorKind,
    Headers,
    HttpRequest,
    Transport,
    TransportError,
)
from arno.transport.request_head import encode_head
from arno.transport.url import parse_url

LINGER_S: Final = 0.1
"""How long an upstream whose client has left may take to end its answer by itself: clients leave
after the last event without waiting for the end, and such an answer is complete."""

HOP_FIELDS: Final = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    " transfer-encoding upgrade".split()
)
"""Fields about one connection or one proxy (RFC 9110, 7.6.1)."""

_OWN_FIELDS: Final = HOP_FIELDS | {"content-length", "expect", "host", "http2-settings"}
"""Fields of a request that the transport sets anew, or that were answered here."""

_SERVER_FIELDS: Final = HOP_FIELDS | {"date"}
"""Fields of an answer that the server sets anew."""


class Route(msgspec.Struct, frozen=True):
    """Requests whose path begins with `prefix` ("" or `/name`) go to `base_url`."""

    prefix: str
    base_url: str

    def __post_init__(self) -> None:
        """Raises SettingsError for a URL that cannot be asked."""
        try:
            parse_url(self.base_url)
        except ValueError as error:
            raise SettingsError(f"no base URL of an upstream: {error}") from error
        if "?" in self.base_url:
            raise SettingsError("no base URL of an upstream: it has a query")

    def takes(self, path: str) -> bool:
        """Whether this route is meant by a path."""
        rest = path.removeprefix(self.prefix)
        return path.startswith(self.prefix) and (not rest or rest[0] in "/?")

    def url(self, target: str) -> str:
        """The upstream's URL for a target (path and query) that this route takes."""
        return _joined(self.base_url.rstrip("/"), target.removeprefix(self.prefix))


def _joined(base: str, target: str) -> str:
    """`target` below `base`. Path segments that both have are not doubled: below `/api/v1` the
    targets `/chat`, `/v1/chat` and `/api/v1/chat` are the same, since clients differ in how much
    of the path they add themselves.
    """
    path, mark, query = target.partition("?")
    authority = base.partition("://")[2]
    segments = authority.split("/")[1:]
    for count in range(len(segments), 0, -1):
        shared = "/" + "/".join(segments[-count:])
        if path == shared or path.startswith(shared + "/"):
            path = path.removeprefix(shared)
            break
    return f"{base}{path}{mark}{query}"


class RecordApp(TransportApp):
    """One recording server. `unanswered` says which requests no upstream answered, the first few;
    nothing of those is recorded.
    """

    cut_reason: ClassVar[str] = "upstream_cut"
    MAX_UNANSWERED: ClassVar[int] = 20

    def __init__(
        self,
        transport: Transport,
        routes: Iterable[Route],
        settings: GatewaySettings,
        log: RequestLog,
        clock: Clock,
        *,
        linger_s: float = LINGER_S,
    ) -> None:
        """`transport` is closed with the application, and `log`. Raises SettingsError."""
        if not is_loopback(settings.host):
            raise SettingsError(
                f"refusing to listen on {settings.host}: your keys and conversations pass here; "
                "listen on 127.0.0.1"
            )
        super().__init__(transport, settings, log, clock, local=True, linger_s=linger_s)
        # The longest prefix first.
        self._routes = sorted(routes, key=lambda route: len(route.prefix), reverse=True)
        self.unanswered: list[str] = []

    def asked(self, scope: Scope, request: Inbound, body: bytes) -> HttpRequest:
        """The request for the upstream that the path names."""
        wanted = target(scope, request)
        route = next((one for one in self._routes if one.takes(wanted)), None)
        if route is None or not wanted.startswith("/"):
            known = ", ".join(sorted(one.prefix for one in self._routes)) or "none"
            raise Refusal(404, f"No upstream is known for this path; known: {known}", "no_upstream")
        headers = _end_to_end(_decoded(scope["headers"]), _OWN_FIELDS)
        asked = HttpRequest(request.method, route.url(wanted), headers, body)
        try:
            encode_head(asked, parse_url(asked.url))
        except ValueError as error:
            raise Refusal(400, f"The request cannot be sent on: {error}", "unsendable") from error
        return asked

    async def body(self, request: Inbound) -> bytes:
        """The whole body as it comes, encoded or not."""
        fields = {k: v for k, v in request.headers.items() if k != b"content-encoding"}
        return await super().body(msgspec.structs.replace(request, headers=fields))

    def fields(self, headers: Headers) -> Headers:
        """End-to-end fields, in the upstream's order."""
        return _end_to_end(headers, _SERVER_FIELDS)

    def logged_path(self, path: str) -> str:
        """The path, unless it looks as if it held a key."""
        return REPLACEMENT if find_secret(path.encode(errors="replace")) else path

    def fault(self, error: TransportError) -> Fault:
        """Which upstream did not answer, and how."""
        late = error.kind is ErrorKind.TIMEOUT
        status, kind = (504, "timeout") if late else (502, "provider_unavailable")
        reason = f"upstream_{error.kind.value}"
        if len(self.unanswered) < self.MAX_UNANSWERED:
            self.unanswered.append(error.message)
        metadata: dict[str, Json] = {"error_type": kind, "reason": reason}
        message = f"The upstream did not answer: {error.message}"
        document: Json = {"error": {"code": status, "message": message, "metadata": metadata}}
        return Fault(status, reason, document, error.message)


def _decoded(fields: Iterable[tuple[bytes, bytes]]) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)


def _end_to_end(headers: Headers, dropped: frozenset[str]) -> Headers:
    """Headers without `dropped` and without those that the sender's Connection names."""
    named = {
        word.strip().lower()
        for name, value in headers
        if name == "connection"
        for word in value.split(",")
    }
    return tuple(field for field in headers if field[0] not in dropped and field[0] not in named)
