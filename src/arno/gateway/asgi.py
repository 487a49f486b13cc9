"""ASGI at its lowest: a request's head as we need it, answers, and the client side of a stream.

Serves bad input 11 (bounded heads) and the hot path: one pass over the headers, no objects in
between. The types are ASGI's own shapes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import msgspec

from arno.canon.ext import Json
from arno.dialects import CLIENTS
from arno.dialects.base import BODY_ONLY, Dialect, Headers, RequestLine
from arno.engine.call import Outcome
from arno.gateway.errors import Refusal
from arno.wire import json

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
RawHeaders = Sequence[tuple[bytes, bytes]]

MAX_FIELDS = 200
"""Header fields of one request."""

MAX_PARAMETERS = 32
"""Parameters of one query."""

MAX_VALUE = 256
"""Characters of a response header value that comes from elsewhere."""

JSON_TYPE = (b"content-type", b"application/json")
STREAM_FIELDS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
"""What keeps intermediaries from holding a stream back (R8)."""


ON_GONE = "arno.on_gone"
"""ASGI extension of our own server protocol: takes a callback for the client's leaving, so that no
task has to wait for it. Under another server the leaving is read from `receive`."""

REGISTER = "register"
"""Its one member."""

_NO_EXTENSIONS: Mapping[str, Any] = {}

OnGone = Callable[[Callable[[], None] | None], None]


class Inbound(msgspec.Struct, kw_only=True, eq=False):
    """One client request whose head has come.

    headers: first value by lower-case name; repeated: names that came more than once; params: what
    stood in the route's placeholders; dialect and line: the route's, see `arno.gateway.routes`;
    key_id: the caller, None until the request is let in.
    """

    method: str
    path: str
    scheme: str
    query: bytes
    headers: Mapping[bytes, bytes]
    repeated: frozenset[bytes]
    receive: Receive
    send: Send
    on_gone: OnGone | None = None
    common: RawHeaders = ()
    params: tuple[str, ...] = ()
    dialect: Dialect = CLIENTS["chat"]
    line: RequestLine = BODY_ONLY
    key_id: str | None = None


def inbound(scope: Scope, receive: Receive, send: Send) -> Inbound:
    """The request of an HTTP scope. The path is the one the server parsed, never rebuilt."""
    fields: dict[bytes, bytes] = {}
    repeated: list[bytes] = []
    for name, value in scope["headers"]:
        if name in fields:
            repeated.append(name)
        else:
            fields[name] = value
    return Inbound(
        method=scope["method"],
        path=scope["path"],
        scheme=scope["scheme"],
        query=scope["query_string"],
        headers=fields,
        repeated=frozenset(repeated),
        receive=receive,
        send=send,
        on_gone=scope.get("extensions", _NO_EXTENSIONS).get(ON_GONE, _NO_EXTENSIONS).get(REGISTER),
    )


def check_head(scope: Scope, max_head: int, max_path: int) -> None:
    """Raise Refusal for a head beyond its bounds (bytes)."""
    fields = scope["headers"]
    size = 0
    for name, value in fields:
        size += len(name) + len(value)
    if len(fields) > MAX_FIELDS or size > max_head:
        raise Refusal(431, "The request's headers are too large", "headers_too_large")
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > max_path:
        raise Refusal(414, "The request's path is too long", "path_too_long")


def parameters(request: Inbound) -> dict[str, list[str]]:
    """The values of a query by name; those without a value are left out. Raises Refusal."""
    try:
        return parse_qs(request.query.decode("latin-1"), max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        text = f"A query has at most {MAX_PARAMETERS} parameters"
        raise Refusal(400, text, "invalid_parameter") from error


class Reply(msgspec.Struct, frozen=True):
    """A whole answer: a JSON document (None: no body) with extra headers."""

    status: int
    document: Json = None
    headers: Headers = ()


def raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers as bytes, safe to write: one line, latin-1, bounded."""
    return [_field(name, value) for name, value in headers]


@lru_cache(maxsize=1024)
def _field(name: str, value: str) -> tuple[bytes, bytes]:
    """One field; most of an answer's are the same each time."""
    return name.encode("latin-1"), _value(value)


def _value(value: str) -> bytes:
    if not value.isascii() or not value.isprintable():
        value = "".join(c if " " <= c <= "~" else "?" for c in value)
    return value[:MAX_VALUE].encode("latin-1")


async def send_reply(request: Inbound, reply: Reply, *, last: bool = True) -> None:
    """Send a whole answer. last: False leaves the response open (all its bytes are sent)."""
    body = b"" if reply.document is None else json.dumps(reply.document)
    fields = [*raw(reply.headers), *request.common]
    if reply.document is not None:
        fields.append(JSON_TYPE)
    if reply.status != 204:
        fields.append((b"content-length", str(len(body)).encode()))
    start: Message = {"type": "http.response.start", "status": reply.status, "headers": fields}
    await request.send(start)
    await request.send({"type": "http.response.body", "body": body, "more_body": not last})


class AsgiDownstream:
    """The client's side of one generation (`arno.engine.call.Downstream`) over ASGI.

    `body` returns when the server has room for more, so a client that does not read stops the
    engine. status: what was sent, None before; tail: the last bytes written; on_end: called when
    all was said, from where on nothing the client does concerns the answer.
    """

    def __init__(
        self, send: Send, own: RawHeaders, on_end: Callable[[], None] = lambda: None
    ) -> None:
        self._send = send
        self._own = own
        self._on_end = on_end
        self.status: int | None = None
        self.outcome: Outcome | None = None
        self.streaming = False
        self.ended = False
        self.tail = b""

    async def head(self, status: int, headers: Headers) -> None:
        """Send the response head with the gateway's own fields."""
        fields = raw(headers)
        kind = next((value for name, value in fields if name == b"content-type"), b"")
        self.streaming = kind.startswith(b"text/event-stream")
        names = {name for name, _ in fields}
        own = (*self._own, *STREAM_FIELDS) if self.streaming else self._own
        fields += [field for field in own if field[0] not in names]
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": fields})

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response and end it."""
        fields = [*raw(headers), *self._own]
        self.status, self.tail, self.ended = status, body, True
        # First, because nothing may be added once the engine has said that all is said.
        self._on_end()
        await self._send({"type": "http.response.start", "status": status, "headers": fields})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def body(self, data: bytes) -> None:
        """Send body bytes, one write."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        # Only now: a write that is cancelled while it waits for room was not made.
        self.tail = data

    def settled(self, outcome: Outcome) -> None:
        """Keep what the log will say, also of an answer that is cut short."""
        self.outcome = outcome

    async def end(self) -> None:
        """End the response."""
        # First, because nothing may be added once the engine has said that all is said.
        self.ended = True
        self._on_end()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
