"""The record transport: a tee that passes every chunk on as it arrives and keeps bytes and times.

Serves R39. Nothing is held back for the recording's sake. An interaction leaves this file redacted,
the request's own credentials included wherever the answer repeats them; `arno.transport.recorder`
writes it, and refuses what still looks like a credential.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import msgspec

from arno.cassette import model
from arno.cassette.model import (
    End,
    Interaction,
    RecordedRequest,
    RecordedResponse,
    WireTiming,
)
from arno.cassette.redact import redact_interaction
from arno.cassette.rules import DEFAULT, Redaction
from arno.cassette.secrets import carried
from arno.transport.base import (
    Headers,
    HttpRequest,
    HttpResponse,
    Transport,
    TransportError,
    header,
)

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes kept of one body; what a longer one is cut to never replays as complete."""

OnInteraction = Callable[[Interaction], None]
"""Takes a finished interaction; must not raise."""


class RecordTransport:
    """The `Transport` that tees another one.

    `on_interaction` is called once per answered request when its body has ended, well or not, with
    the redacted interaction; its `id` is the request's place among all requests. A request that
    got no head leaves nothing to replay and is not told. `monotonic_ns` and `wall_ns` are the
    clock. Bodies are recorded as they are, so no encoded ones are asked for: `accept-encoding` is
    the one thing that is changed on the way. An upstream that encodes all the same is recorded with
    its `content-encoding`, which `Recorder` refuses.
    """

    def __init__(
        self,
        inner: Transport,
        on_interaction: OnInteraction,
        *,
        redaction: Redaction = DEFAULT,
        max_body: int = MAX_BODY,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._inner = inner
        self._on_interaction = on_interaction
        self._redaction = redaction
        self._max_body = max_body
        self._monotonic_ns = monotonic_ns
        self._wall_ns = wall_ns
        self._count = 0
        self._running: set[RecordedBody] = set()

    async def send(self, request: HttpRequest) -> RecordedBody:
        """See `Transport.send`."""
        number, self._count = self._count, self._count + 1
        sent, began = self._wall_ns(), self._monotonic_ns()
        response = await self._inner.send(_unencoded(request))
        head = self._monotonic_ns()
        draft = Interaction(number, _request(request), _response(response, head - began))
        rules = self._rules_for(request)

        def finish(body: RecordedBody, data: bytes, wire: WireTiming) -> None:
            self._running.discard(body)
            timed = msgspec.structs.replace(wire, sent=_instant(sent))
            answer = msgspec.structs.replace(draft.response, body=data)
            done = msgspec.structs.replace(draft, response=answer, wire=timed)
            self._on_interaction(redact_interaction(done, rules))

        body = RecordedBody(response, finish, head, self._monotonic_ns, self._max_body)
        self._running.add(body)
        return body

    def _rules_for(self, request: HttpRequest) -> Redaction:
        """The rules, and the request's own credentials: an upstream may echo them in its answer."""
        own = carried(request.url, request.headers, self._redaction)
        known = (*self._redaction.known, *own)
        return msgspec.structs.replace(self._redaction, known=known)

    async def aclose(self) -> None:
        """See `Transport.aclose`. Bodies that have not ended are recorded as far as they came."""
        for body in list(self._running):
            body.abort()
        await self._inner.aclose()


Finish = Callable[["RecordedBody", bytes, WireTiming], None]


class RecordedBody:
    """The `HttpResponse` of `RecordTransport`: the inner one, with a memory."""

    def __init__(
        self,
        inner: HttpResponse,
        finish: Finish,
        head_ns: int,
        monotonic_ns: Callable[[], int],
        max_body: int,
    ) -> None:
        """`finish` is called once with body and timing. `head_ns`: when the head came."""
        self.status = inner.status
        self.headers = inner.headers
        self._inner = inner
        self._finish: Finish | None = finish
        self._head_ns = head_ns
        self._monotonic_ns = monotonic_ns
        self._room = max_body
        self._pieces: list[bytes] = []
        self._chunks: list[tuple[int, int]] = []

    async def read(self) -> bytes:
        """See `HttpResponse.read`."""
        try:
            data = await self._inner.read()
        except TransportError:
            self._end(End.RESET)
            raise
        if data:
            self._keep(data)
        else:
            self._end(End.EOF)
        return data

    def abort(self) -> None:
        """See `HttpResponse.abort`."""
        self._end(End.CLIENT_CLOSED)
        self._inner.abort()

    def _keep(self, data: bytes) -> None:
        if self._finish is None:
            return
        if len(data) > self._room:
            # The recorder turns away here, as a client would that has enough.
            self._end(End.CLIENT_CLOSED)
            return
        self._room -= len(data)
        self._chunks.append((self._monotonic_ns() - self._head_ns, len(data)))
        self._pieces.append(data)

    def _end(self, end: End) -> None:
        if self._finish is None:
            return
        finish, self._finish = self._finish, None
        data, wire = b"".join(self._pieces), WireTiming(tuple(self._chunks), end=end)
        self._pieces.clear()
        finish(self, data, wire)


def _unencoded(request: HttpRequest) -> HttpRequest:
    if header(request.headers, "accept-encoding") is None:
        return request
    kept = tuple(field for field in request.headers if field[0] != "accept-encoding")
    return msgspec.structs.replace(request, headers=kept)


def _request(request: HttpRequest) -> RecordedRequest:
    return RecordedRequest(
        method=request.method,
        url=request.url,
        headers=_fields(request.headers),
        body=request.body,
        content_length=len(request.body),
    )


def _response(response: HttpResponse, duration_ns: int) -> RecordedResponse:
    return RecordedResponse(
        status=_status_text(response.status),
        code=response.status,
        headers=_fields(response.headers),
        duration_ns=duration_ns,
    )


def _status_text(code: int) -> str:
    """As in Go: the number and its phrase, the number alone where there is no phrase."""
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def _fields(headers: Headers) -> model.Headers:
    """Header fields under their names in Go's spelling (`Content-Type`)."""
    fields: model.Headers = {}
    for name, value in headers:
        spelled = "-".join(word.capitalize() for word in name.split("-"))
        fields.setdefault(spelled, []).append(value)
    return fields


def _instant(wall_ns: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(wall_ns / 1e9, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
