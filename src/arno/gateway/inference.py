"""The hot path: a request for inference, from the client's bytes to the engine and back.

The caller's dialect is the route's; everything that is said to the client is said in it.

Serves architecture 4.1 and 4.2, R8 (headers), R10 (cancellation), R12 (back-pressure, in
`asgi.AsgiDownstream`), R21 (errors in the caller's dialect) and R38 (the end of a cut stream). One
request makes no task besides its own under our server (under others one that watches for the
client's leaving); an event makes none.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from arno.canon.failure import Failure, FailureKind, RequestError, Stage
from arno.dialects.base import Envelope, Stamp
from arno.engine.call import Call, Caller
from arno.gateway.asgi import AsgiDownstream, Inbound, RawHeaders, Reply, Send, send_reply
from arno.gateway.body import read_body
from arno.gateway.clock import generation_id
from arno.gateway.core import Gateway
from arno.gateway.deadlines import asked_deadlines
from arno.gateway.errors import Refusal
from arno.gateway.inflight import Flight, Stop
from arno.gateway.log import Facts, facts_of
from arno.ledger.entry import State

RETRY_AFTER_S = 5
"""What a client is told while the gateway shuts down: by then another one serves."""

STATUS_OF = {Stop.CLIENT_GONE: 499, Stop.SHUTTING_DOWN: 503, "bug": 500}
"""Status in the log for an answer that was stopped before its head."""

Wrap = Callable[[Send, RawHeaders, Callable[[], None]], AsgiDownstream]
Edit = Callable[[Gateway, Inbound, bytes], Awaitable[tuple[bytes, Wrap]]]
"""Body to the body that is served, and who takes the answer. Raises RequestError and Refusal."""

_LAST_WORDS_S = 2.0
"""How long the end of a cut answer may wait for a slow client."""

_MAX_ATTRIBUTION = 512

_USERINFO = re.compile(r"\A((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)?[^/]*@")
"""Of an address: what stands before the host and may be a password."""

STRICT_HEADER = b"x-arno-strict"

FORWARDED = (b"anthropic-beta", b"openai-beta", b"x-anthropic-beta")
"""Request headers that go on to an upstream as they came (R14); all others stay here."""

SHUTDOWN = Failure(
    kind=FailureKind.OVERLOADED,
    message="The gateway is shutting down",
    retryable=True,
    retry_after=RETRY_AFTER_S,
    stage=Stage.MID_STREAM,
)
BUG = Failure(
    kind=FailureKind.SERVER, message="Internal error of the gateway", stage=Stage.MID_STREAM
)


async def complete(
    gateway: Gateway, request: Inbound, wrap: Wrap = AsgiDownstream, edit: Edit | None = None
) -> Facts:
    """Answer one inference request. Raises Refusal and ClientGone before anything was sent.

    wrap: makes the client's side of the answer; edit: what becomes of the body first.
    """
    if gateway.inflight.draining:
        return await refuse(gateway, request, SHUTDOWN, "shutting_down")
    settings = gateway.settings
    body = await read_body(request, settings.max_body, settings.body_deadline_s)
    try:
        if edit is not None:
            body, wrap = await edit(gateway, request, body)
        envelope = request.dialect.peek(body, request.line)
    except RequestError as error:
        return await refuse(gateway, request, invalid(error), "invalid_request")
    return await _serve(gateway, request, call_of(gateway, request, envelope, body), wrap)


def invalid(error: RequestError) -> Failure:
    """The failure of a request that cannot be understood."""
    text = error.message if not error.path else f"{error.path}: {error.message}"
    return Failure(kind=FailureKind.INVALID_REQUEST, message=text)


async def refuse(gateway: Gateway, request: Inbound, failure: Failure, reason: str) -> Facts:
    """Answer with a failure of the gateway itself, in the caller's dialect."""
    status, document = request.dialect.encode_failure(failure)
    wait = failure.retry_after
    headers = () if wait is None else (("retry-after", f"{wait:g}"),)
    await send_reply(request, Reply(status, document, headers))
    return Facts(status=status, state="refused", reason=reason)


def call_of(gateway: Gateway, request: Inbound, envelope: Envelope, body: bytes) -> Call:
    """The call of a request that was looked into. Raises Refusal for headers that say nonsense."""
    now = gateway.clock.wall_ns()
    return Call(
        generation_id=generation_id(now),
        caller=Caller(
            key_id=request.key_id or "",
            referer=_page(_attribution(request, b"http-referer", b"referer")),
            title=_bounded(_attribution(request, b"x-openrouter-title", b"x-title")),
        ),
        dialect=request.dialect.name,
        line=request.line,
        strict=gateway.settings.strict or asks_for_strictness(request),
        envelope=envelope,
        body=body,
        created_ns=now,
        deadlines=asked_deadlines(request.headers, request.repeated),
        forward=tuple(
            (name.decode(), value.decode("latin-1"))
            for name in FORWARDED
            if (value := request.headers.get(name)) is not None
        ),
    )


def asks_for_strictness(request: Inbound) -> bool:
    """Whether the request is to be refused rather than to lose anything. Raises Refusal."""
    value = request.headers.get(STRICT_HEADER)
    if value is None or value.lower() in (b"false", b"0"):
        return False
    if value.lower() not in (b"true", b"1"):
        raise Refusal(400, "X-Arno-Strict must be true or false", "invalid_header")
    return True


def _attribution(request: Inbound, *names: bytes) -> str | None:
    """The first of the headers that is there."""
    for name in names:
        value = request.headers.get(name)
        if value:
            return value.decode("latin-1")
    return None


def _bounded(text: str | None) -> str | None:
    return text[:_MAX_ATTRIBUTION] if text else None


def _page(address: str | None) -> str | None:
    """The address of a page without what may be secret: userinfo, query and fragment."""
    if address is None:
        return None
    return _bounded(_USERINFO.sub(r"\1", re.split("[?#]", address, maxsplit=1)[0]))


async def _serve(gateway: Gateway, request: Inbound, call: Call, wrap: Wrap) -> Facts:
    """Run the engine in this task; it is cancelled when the client leaves or we shut down."""
    own = ((b"x-generation-id", call.generation_id.encode()), *request.common)
    flight = gateway.inflight.enter()
    # The server reports a disconnect as soon as the answer is out, while the engine still reads
    # the rest of the upstream's: an ended answer cannot be cancelled.
    down = wrap(request.send, own, flight.settle)
    flight.watch(request)
    try:
        facts = await _run(gateway, call, down, flight)
        flight.settle()
        if not down.ended:
            await _finish(gateway, request, call, down, flight)
        return facts
    finally:
        gateway.inflight.leave(flight)


async def _run(gateway: Gateway, call: Call, down: AsgiDownstream, flight: Flight) -> Facts:
    """The engine's run, and what is known when it was cut short."""
    try:
        outcome = await gateway.engine.serve(call, down)
    except asyncio.CancelledError:
        if flight.stop is None:
            raise
        return _cut_short(call, down, _state(flight.stop, down), flight.stop)
    except Exception as error:
        # Whatever it is, the client must see neither its text nor a hanging connection.
        gateway.log.bug(
            wall_ns=gateway.clock.wall_ns(), generation_id=call.generation_id, error=error
        )
        return _cut_short(call, down, "error", "bug")
    finally:
        if flight.stop is not None:
            flight.task.uncancel()
    return facts_of(outcome)


def _state(stop: Stop, down: AsgiDownstream) -> State:
    """The ledger's word for an answer that was cut short."""
    if stop is Stop.CLIENT_GONE:
        return "cancelled"
    return "error" if down.status is None else "truncated"


def _cut_short(call: Call, down: AsgiDownstream, state: State, reason: str) -> Facts:
    """What the log says: what the engine settled, or what is known without that."""
    if down.outcome is not None:
        return msgspec.structs.replace(facts_of(down.outcome), reason=reason)
    return Facts(
        status=STATUS_OF[reason] if down.status is None else down.status,
        state=state,
        reason=reason,
        generation_id=call.generation_id,
        model=call.envelope.model,
    )


async def _finish(
    gateway: Gateway, request: Inbound, call: Call, down: AsgiDownstream, flight: Flight
) -> None:
    """End an answer that the engine left open: in the dialect while that is possible."""
    if flight.stop is Stop.CLIENT_GONE:
        return
    failure = SHUTDOWN if flight.stop is Stop.SHUTTING_DOWN else BUG
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_S):
            if down.status is None:
                await _answer_late(gateway, request, call, failure)
            elif down.streaming:
                await _end_stream(request, call, down, failure)


async def _answer_late(gateway: Gateway, request: Inbound, call: Call, failure: Failure) -> None:
    """Nothing was sent yet: an ordinary error with its status."""
    headers = [("x-generation-id", call.generation_id)]
    if failure is BUG:
        status, document = 500, request.dialect.encode_refusal(500, failure.message, "bug")
    else:
        status, document = request.dialect.encode_failure(failure)
        headers.append(("retry-after", str(RETRY_AFTER_S)))
    await send_reply(request, Reply(status, document, tuple(headers)))


async def _end_stream(request: Inbound, call: Call, down: AsgiDownstream, failure: Failure) -> None:
    """Close the frame that may stand half written, then say that the stream failed."""
    stamp = Stamp(id=call.generation_id, model=call.envelope.model)
    gap = b"" if not down.tail or down.tail.endswith((b"\n\n", b"\r\n\r\n")) else b"\n\n"
    await down.body(gap + request.dialect.stream_failure(failure, stamp))
    await down.end()
