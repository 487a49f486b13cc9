"""The record transport: a tee that passes every chunk on as it arrives and keeps bytes and times.

Serves R39. Nothing is held back for the recording's sake. An interaction leaves this file redacted,
the request's own credentials included wherever the answer repeats them; `arno.transport.recorder`
writes it, and refuses what still looks like a credential.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import msgspec

from arno.cassette import model
from arno.cassette.errors import CassetteError
from arno.cassette.model import (
    End,
    Interaction,
    RecordedRequest,
    RecordedResponse,
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
from arno.transport.decoding import codings_of
from arno.transport.tape import Room, Store, Tape, complete

_DIGITS: Final = 19

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes kept of one body; what a longer one is cut to never replays as complete."""

MAX_HELD: Final = 256 * 1024 * 1024
"""Bytes kept of all bodies that have not ended or are not written yet."""

OnInteraction = Callable[[Interaction], None]
"""Takes a finished interaction; must not raise."""

OnProblem = Callable[[str], None]
"""Takes one line that says what is missing from the recording; never holds what was recorded."""


class RecordTransport:
    """The `Transport` that tees another one.

    `on_interaction` is called once per answered request when its body has ended, well or not, with
    the redacted interaction; its `id` is the request's place among all requests. A request that
    got no head leaves nothing to replay and is not told. `on_problem` hears what could not be kept.
    `monotonic_ns` and `wall_ns` are the clock. `background`: redaction and both callbacks run in a
    thread of their own, one interaction after the other, so that streams go on meanwhile; though
    the search for secrets in a body of megabytes holds the interpreter for parts of a second.

    No encoded bodies are asked for: `accept-encoding` is the one thing that is changed on the way.
    Where an upstream encodes all the same, the reader gets the bytes as they came (if `inner` does
    not decode them) and the decoded body is kept, with its chunks' times. What cannot be decoded is
    kept with its `content-encoding`, which `Recorder` refuses.
    """

    def __init__(
        self,
        inner: Transport,
        on_interaction: OnInteraction,
        *,
        on_problem: OnProblem = lambda _problem: None,
        redaction: Redaction = DEFAULT,
        max_body: int = MAX_BODY,
        max_held: int = MAX_HELD,
        background: bool = False,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._inner = inner
        self._on_interaction = on_interaction
        self._on_problem = on_problem
        self._redaction = redaction
        self._max_body = max_body
        self._room = Room(max_held)
        self._worker = ThreadPoolExecutor(1, "arno-record") if background else None
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
        codings = codings_of(response.headers)

        def finish(body: RecordedBody, tape: Tape) -> None:
            self._running.discard(body)
            timed = msgspec.structs.replace(tape, sent=_instant(sent))
            self._run(lambda: self._settle(draft, codings, timed, self._rules_for(request)))

        store = Store(self._room, self._max_body)
        body = RecordedBody(response, store, finish, head, self._monotonic_ns)
        self._running.add(body)
        return body

    def _run(self, work: Callable[[], None]) -> None:
        if self._worker is None:
            work()
        else:
            self._worker.submit(work)

    def _settle(
        self, draft: Interaction, codings: tuple[str, ...], tape: Tape, rules: Redaction
    ) -> None:
        """Redact and hand over one interaction. The traffic must go on, whatever happens here."""
        number = draft.id
        try:
            _refuse_encoded_request(draft.request)
            self._on_interaction(redact_interaction(complete(draft, codings, tape), rules))
            if tape.full:
                self._on_problem(f"request {number}: its answer is too long; kept in part")
        except CassetteError as error:
            self._on_problem(f"request {number}: {error}")
        except Exception as error:  # a defect here must not pass for a recording
            self._on_problem(f"request {number}: it could not be kept ({type(error).__name__})")
        finally:
            self._room.give(sum(map(len, tape.pieces)))

    def _rules_for(self, request: HttpRequest) -> Redaction:
        """The rules, and the request's own credentials: an upstream may echo them in its answer."""
        own = carried(request.url, request.headers, self._redaction)
        known = (*self._redaction.known, *own)
        return msgspec.structs.replace(self._redaction, known=known)

    async def aclose(self) -> None:
        """See `Transport.aclose`. Bodies that have not ended are recorded as far as they came; all
        callbacks have returned after this.
        """
        for body in list(self._running):
            body.abort()
        await self._inner.aclose()
        if self._worker is not None:
            await asyncio.to_thread(self._worker.shutdown)


Finish = Callable[["RecordedBody", Tape], None]


class RecordedBody:
    """The `HttpResponse` of `RecordTransport`: the inner one, with a memory."""

    def __init__(
        self,
        inner: HttpResponse,
        store: Store,
        finish: Finish,
        head_ns: int,
        monotonic_ns: Callable[[], int],
    ) -> None:
        """`finish` is called once with what was kept. `head_ns`: when the head came."""
        self.status = inner.status
        self.headers = inner.headers
        self._inner = inner
        self._store: Store | None = store
        self._finish = finish
        self._head_ns = head_ns
        self._monotonic_ns = monotonic_ns

    async def read(self) -> bytes:
        """See `HttpResponse.read`."""
        try:
            data = await self._inner.read()
        except TransportError:
            self._end(End.RESET)
            raise
        if not data:
            self._end(End.EOF)
        elif self._store is not None:
            at_ns = self._monotonic_ns() - self._head_ns
            if not self._store.keep(data, at_ns):
                # The recorder turns away here, as a client would that has enough.
                self._end(End.CLIENT_CLOSED, full=True)
        return data

    def abort(self) -> None:
        """See `HttpResponse.abort`."""
        self._end(End.CLIENT_CLOSED)
        self._inner.abort()

    def _end(self, end: End, *, full: bool = False) -> None:
        if self._store is None:
            return
        store, self._store = self._store, None
        self._finish(self, Tape(tuple(store.pieces), tuple(store.times), end, full))


def _refuse_encoded_request(request: RecordedRequest) -> None:
    """No secret could be found in a body that is encoded."""
    values = request.headers.get("Content-Encoding", [])
    names = codings_of(tuple(("content-encoding", value) for value in values))
    if names:
        raise CassetteError(f"its body is encoded ({', '.join(names)[:40]}), which is not kept")


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
        content_length=_announced(response.headers),
        duration_ns=duration_ns,
    )


def _announced(headers: Headers) -> int:
    """As in Go: -1 for a body whose length was not announced."""
    text = header(headers, "content-length") or ""
    return int(text) if text.isdecimal() and len(text) < _DIGITS else -1


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
