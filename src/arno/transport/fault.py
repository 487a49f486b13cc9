"""The fault transport: any other transport, with scripted faults (`arno.cassette.faults`).

A request that no fault is for goes straight through: its response is the inner one. Nothing here
is left to chance or to the wall clock, so the same script, requests and inner transport give the
same faults.

    before the head   slow-first, then the first of refuse, close-before-head and status
    in the body       `FaultedBody` says what comes, `FaultedResponse` plays it
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Final
from urllib.parse import urlsplit
from weakref import WeakSet

import msgspec

from arno.cassette.fault_body import FaultedBody, HeldTooMuch, Move, Stop, Wait, touches_body
from arno.cassette.faults import CloseBeforeHead, Fault, Refuse, SlowFirst, Status
from arno.transport.base import (
    ErrorKind,
    Headers,
    HttpRequest,
    HttpResponse,
    Transport,
    TransportError,
    header,
)
from arno.transport.decoding import decoded
from arno.wire.errors import FrameTooLarge

Sleep = Callable[[float], Awaitable[None]]
"""Waits that many seconds."""

MAX_COUNTED: Final = 100_000
"""Different requests whose attempts are counted; the one unseen for longest is forgotten first."""

_NS: Final = 1_000_000_000


class FaultTransport:
    """The `Transport` that spoils what another one answers.

    `fired` counts how often each fault happened: one that was never met (an event beyond the end
    of a stream) is not in it. `sleep` and `monotonic` (seconds) are the clock.
    """

    def __init__(
        self,
        inner: Transport,
        faults: Iterable[Fault],
        *,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._faults = tuple(faults)
        self._attempts = _Attempts()
        self._counts_attempts = any(fault.attempt is not None for fault in self._faults)
        self._asks_model = any(fault.model is not None for fault in self._faults)
        self._clock = _Clock(sleep, monotonic)
        self._running: WeakSet[FaultedResponse] = WeakSet()
        self._waiting: set[_Pause] = set()
        self._closed = False
        self.fired: Counter[Fault] = Counter()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """See `Transport.send`; raises `RuntimeError` after `aclose`."""
        if self._closed:
            raise RuntimeError("the transport is closed")
        faults = self._faults_for(request)
        await self._delay(faults)
        response = self._without_inner(faults)
        if response is None:
            response = await self._inner.send(request)
        in_body = [fault for fault in faults if touches_body(fault)]
        if not in_body:
            return response
        faulted = FaultedResponse(response, in_body, self._fire, self._clock)
        self._running.add(faulted)
        return faulted

    async def aclose(self) -> None:
        """See `Transport.aclose`; closes the inner transport too."""
        self._closed = True
        for pause in list(self._waiting):
            pause.stop()
        for response in list(self._running):
            response.abort()
        await self._inner.aclose()

    def _faults_for(self, request: HttpRequest) -> list[Fault]:
        attempt = self._attempts.next(request) if self._counts_attempts else 0
        model = _model(request.body) if self._asks_model else None
        return [
            fault
            for fault in self._faults
            if fault.attempt in (None, attempt) and fault.model in (None, model)
        ]

    async def _delay(self, faults: list[Fault]) -> None:
        for fault in faults:
            if not isinstance(fault.what, SlowFirst):
                continue
            self._fire(fault)
            pause = _Pause(self._clock, fault.what.ns)
            self._waiting.add(pause)
            try:
                await pause.wait()
            finally:
                self._waiting.discard(pause)
            if self._closed:
                message = "the transport was closed before connecting"
                raise TransportError(ErrorKind.CONNECT, message)

    def _without_inner(self, faults: list[Fault]) -> HttpResponse | None:
        """The answer that a fault gives instead of the inner transport's; None without one."""
        for fault in faults:
            what = fault.what
            if isinstance(what, (Refuse, CloseBeforeHead, Status)):
                self._fire(fault)
            if isinstance(what, Refuse):
                raise TransportError(ErrorKind.CONNECT, _injected("connecting failed: refused"))
            if isinstance(what, CloseBeforeHead):
                message = _injected("connection closed before the response head")
                raise TransportError(ErrorKind.CLOSED, message, sent=True)
            if isinstance(what, Status):
                return StatusResponse(what)
        return None

    def _fire(self, fault: Fault) -> None:
        self.fired[fault] += 1


class FaultedResponse:
    """A response whose body has faults; the `HttpResponse` of `FaultTransport` for those."""

    def __init__(
        self,
        inner: HttpResponse,
        faults: Sequence[Fault],
        fired: Callable[[Fault], None],
        clock: _Clock,
    ) -> None:
        # Events are counted in what the upstream meant, so an encoded body is decoded here.
        self._inner = decoded(inner)
        self.status = self._inner.status
        # The length may be another one afterwards.
        headers = self._inner.headers
        self.headers: Headers = tuple(item for item in headers if item[0] != "content-length")
        kind = header(headers, "content-type") or ""
        self._body = FaultedBody(
            faults,
            events=kind.lstrip().lower().startswith("text/event-stream"),
            length=_length(headers),
            fired=fired,
        )
        self._clock = clock
        self._moves: deque[Move] = deque()
        self._pause: _Pause | None = None
        self._reading = False
        self._ended = False
        self._fault: TransportError | None = None
        self._inner_fault: TransportError | None = None

    async def read(self) -> bytes:
        """See `HttpResponse.read`. One reader at a time."""
        if self._reading:
            raise RuntimeError("the response is already being read")
        self._reading = True
        try:
            return await self._next()
        finally:
            self._reading = False

    def abort(self) -> None:
        """See `HttpResponse.abort`; a read that waits ends with a cut."""
        if not self._ended and self._fault is None:
            message = "aborted before the end of the response"
            self._fault = TransportError(ErrorKind.CUT, message, sent=True)
        if self._pause is not None:
            self._pause.stop()
        self._inner.abort()

    async def _next(self) -> bytes:
        while True:
            if self._fault is not None:
                raise TransportError(self._fault.kind, self._fault.message, sent=self._fault.sent)
            if self._ended:
                return b""
            if not self._moves:
                await self._pull()
                continue
            move = self._moves[0]
            if isinstance(move, Wait):
                await self._stall(move)
                continue
            self._moves.popleft()
            if isinstance(move, bytes):
                return move
            self._stop(move)

    async def _pull(self) -> None:
        try:
            data = await self._inner.read()
        except TransportError as error:
            self._inner_fault = error
            self._moves.extend(self._body.close(Stop.FAILED))
            return
        try:
            self._moves.extend(self._body.feed(data) if data else self._body.close())
        except (FrameTooLarge, HeldTooMuch) as error:
            self._give_up(TransportError(ErrorKind.PROTOCOL, _injected(str(error)), sent=True))

    async def _stall(self, move: Wait) -> None:
        if self._pause is None:
            self._pause = _Pause(self._clock, move.ns)
        await self._pause.wait()
        # Only here: a read that was cancelled meanwhile leaves the rest of the wait to the next.
        self._pause = None
        if self._moves:
            self._moves.popleft()

    def _stop(self, stop: Stop) -> None:
        if stop is Stop.END:
            self._ended = True
            # An end that came early leaves something behind; a real one does not.
            self._inner.abort()
            return
        if stop is Stop.FAILED and self._inner_fault is not None:
            self._give_up(self._inner_fault)
            return
        how = "reset" if stop is Stop.RESET else "closed"
        message = _injected(f"connection {how} before the end of the body")
        self._give_up(TransportError(ErrorKind.CUT, message, sent=True))

    def _give_up(self, fault: TransportError) -> None:
        self._fault = fault
        self._inner.abort()


class StatusResponse:
    """The answer that a `status` fault gives: a small JSON error."""

    def __init__(self, what: Status) -> None:
        self.status = what.code
        after = () if what.retry_after is None else (("retry-after", what.retry_after),)
        message = _injected(f"status {what.code}")
        error = {"error": {"message": message, "code": what.code}}
        self._body = msgspec.json.encode(error)
        self._aborted = False
        self.headers: Headers = (
            ("content-type", "application/json"),
            ("content-length", str(len(self._body))),
            *after,
        )

    async def read(self) -> bytes:
        """See `HttpResponse.read`."""
        if self._aborted:
            message = "aborted before the end of the response"
            raise TransportError(ErrorKind.CUT, message, sent=True)
        body, self._body = self._body, b""
        return body

    def abort(self) -> None:
        """See `HttpResponse.abort`."""
        self._aborted = self._aborted or bool(self._body)


class _Clock:
    """Time as it was handed in."""

    def __init__(self, sleep: Sleep, monotonic: Callable[[], float]) -> None:
        self.sleep = sleep
        self.monotonic = monotonic


class _Pause:
    """A wait that others can end, and that a cancelled waiter can take up again."""

    def __init__(self, clock: _Clock, ns: int) -> None:
        """Its time begins now."""
        self._clock = clock
        self._due = clock.monotonic() + ns / _NS
        self._stopped = False
        self._sleeping: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Until the time is over, or `stop` was called."""
        if self._stopped:
            return
        left = max(0.0, self._due - self._clock.monotonic())
        self._sleeping = asyncio.ensure_future(self._clock.sleep(left))
        try:
            await self._sleeping
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        finally:
            self._sleeping = None

    def stop(self) -> None:
        """End it now."""
        self._stopped = True
        if self._sleeping is not None:
            self._sleeping.cancel()


class _Attempts:
    """How many requests were equal in method, path and body."""

    def __init__(self) -> None:
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    def next(self, request: HttpRequest) -> int:
        """The number of this one, from 1."""
        parts = urlsplit(request.url)
        asked = f"{request.method} {parts.path or '/'}?{parts.query}\n".encode()
        key = blake2b(asked + request.body, digest_size=16).digest()
        number = self._counts.pop(key, 0) + 1
        self._counts[key] = number
        if len(self._counts) > MAX_COUNTED:
            self._counts.popitem(last=False)
        return number


class _Asked(msgspec.Struct):
    model: str | None = None


def _model(body: bytes) -> str | None:
    """The request's `model`; None for a body that is no JSON object or names none."""
    try:
        return msgspec.json.decode(body, type=_Asked).model
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _length(headers: Headers) -> int | None:
    text = header(headers, "content-length") or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _injected(message: str) -> str:
    return f"injected fault: {message}"
