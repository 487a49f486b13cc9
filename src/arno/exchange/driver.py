"""The driver of one attempt: pulls the upstream's bytes through the machine.

No task, no queue and no lock per event: one loop that awaits one read. Deadlines cancel the task
that runs the loop and are told apart from the caller's own cancellation by a flag, as
`asyncio.timeout` does, but with an injected clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import msgspec

from arno.canon.failure import Failure, FailureKind, Stage
from arno.exchange.clock import Clock, LoopClock, Timer
from arno.exchange.machine import NOTHING, Exchange, Step
from arno.transport.base import (
    ErrorKind,
    HttpRequest,
    HttpResponse,
    Transport,
    TransportError,
)

DRAIN_SECONDS = 1.0
"""How long the rest of a body may take after its terminal event, to keep the connection."""

DRAIN_BYTES = 65_536
"""How much the rest of a body may be."""

KINDS: dict[ErrorKind, FailureKind] = {
    ErrorKind.CONNECT: FailureKind.UNAVAILABLE,
    ErrorKind.CONNECT_TIMEOUT: FailureKind.TIMEOUT,
    ErrorKind.BUSY: FailureKind.OVERLOADED,
    ErrorKind.CLOSED: FailureKind.UNAVAILABLE,
    ErrorKind.CUT: FailureKind.TRUNCATED,
    ErrorKind.PROTOCOL: FailureKind.INVALID_ANSWER,
    ErrorKind.TIMEOUT: FailureKind.TIMEOUT,
    ErrorKind.UNMATCHED: FailureKind.UNMATCHED,
    ErrorKind.SIGN: FailureKind.AUTHENTICATION,
}

MESSAGES: dict[ErrorKind, str] = {
    ErrorKind.CONNECT: "the upstream cannot be reached",
    ErrorKind.CONNECT_TIMEOUT: "the upstream cannot be reached in time",
    ErrorKind.BUSY: "too many requests wait for this upstream",
    ErrorKind.CLOSED: "the upstream closed the connection before it answered",
    ErrorKind.CUT: "the upstream's answer broke off before its end",
    ErrorKind.PROTOCOL: "the upstream's answer is no valid HTTP",
    ErrorKind.TIMEOUT: "the upstream took too long",
    ErrorKind.SIGN: "the gateway has no valid credentials for this upstream",
}
"""What a client may read; a replay's own words (unmatched) are for the client."""

CODES: dict[ErrorKind, str] = {
    ErrorKind.CONNECT_TIMEOUT: "connect_deadline",
    ErrorKind.BUSY: "upstream_busy",
    ErrorKind.SIGN: "no_credentials",
}
"""Stable words for what else only the message tells; deadlines name themselves (R11)."""


class Deadlines(msgspec.Struct, frozen=True):
    """Seconds, None for no limit. first: to the first event; idle: between events; total: all.

    connect: until a connection stands, part of first. Comments and pings are no events.
    """

    connect: float | None = 10.0
    first: float | None = 60.0
    idle: float | None = 120.0
    total: float | None = None


DEFAULT_DEADLINES = Deadlines()
DRAIN_DEADLINES = Deadlines(connect=None, first=None, idle=None, total=DRAIN_SECONDS)


class Watch:
    """Cancels the current task when a deadline passes while it waits for the upstream.

    One timer, armed again only when it fires. Time in which nobody reads (a slow client) is not
    the upstream's, so it does not count against the first and idle deadlines.
    """

    def __init__(self, clock: Clock, deadlines: Deadlines) -> None:
        self._clock = clock
        self._deadlines = deadlines
        self._start = self._last = self._left = clock.monotonic()
        self._alive = False
        self._reading = False
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._timer: Timer | None = None
        self.passed: str | None = None

    def stop(self) -> None:
        """No deadline passes any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._task = None

    def begin(self, task: asyncio.Task[object] | None) -> None:
        """`task`, the current one, waits for the upstream from now on."""
        self._task = task
        self._cancelling = 0 if task is None else task.cancelling()
        self._reading = True
        self._last += self._clock.monotonic() - self._left
        if self._timer is None:
            self._arm()

    def end(self, *, alive: bool) -> None:
        """The wait is over; alive: it brought an event."""
        self._reading = False
        self._left = self._clock.monotonic()
        if alive:
            if not self._alive and self._timer is not None:
                # It was armed for the first event; the idle deadline may be due before that.
                self._timer.cancel()
                self._timer = None
            self._alive = True
            self._last = self._left

    def absorb(self) -> str | None:
        """Take back a cancellation of this watch's own: the name of the deadline that passed.

        None where the caller has cancelled (too): that must go on, as in `asyncio.timeout`.
        """
        if self.passed is None or self._task is None:
            return None
        return self.passed if self._task.uncancel() <= self._cancelling else None

    def _due(self) -> tuple[float, str] | None:
        """The next deadline and its name."""
        waits = self._deadlines
        name, wait = ("idle", waits.idle) if self._alive else ("first event", waits.first)
        due = None if wait is None else (self._last + wait, name)
        if waits.total is not None:
            total = (self._start + waits.total, "total")
            return total if due is None else min(due, total)
        return due

    def _arm(self) -> None:
        due = self._due()
        if due is not None:
            delay = max(0.0, due[0] - self._clock.monotonic())
            self._timer = self._clock.call_later(delay, self._fire)

    def _fire(self) -> None:
        self._timer = None
        due = self._due()
        if due is None or self._task is None or not self._reading:
            return  # armed again by the next read
        if due[0] > self._clock.monotonic():
            self._arm()
        else:
            self.passed = due[1]
            self._task.cancel()


def failure_of(error: TransportError) -> Failure:
    """A transport's error as a failure; addresses and the like stay in `detail`."""
    message = MESSAGES.get(error.kind)
    return Failure(
        KINDS[error.kind],
        message or error.message,
        code=CODES.get(error.kind),
        detail=error.message if message else None,
        retryable=error.kind is not ErrorKind.UNMATCHED,
        stage=Stage.BEFORE_HEAD,
    )


def _deadline_failure(name: str) -> Failure:
    return Failure(
        FailureKind.TIMEOUT,
        f"upstream let the {name} deadline pass",
        code=name.replace(" ", "_") + "_deadline",
        retryable=True,
        stage=Stage.BEFORE_HEAD,
    )


async def run(
    transport: Transport,
    request: HttpRequest,
    exchange: Exchange,
    *,
    deadlines: Deadlines = DEFAULT_DEADLINES,
    clock: Clock | None = None,
) -> AsyncGenerator[Step, None]:
    """Steps of the attempt; the last one holds the terminal event. An upstream's fault is a step
    with a failure, never an exception; a bug of ours and the caller's cancellation go through.

    Close the iterator (`contextlib.aclosing`) to give up: the upstream connection is closed
    before the close returns. Asking for the step after the last one drains the connection.
    """
    attempt = Attempt(transport, request, exchange, deadlines=deadlines, clock=clock)
    try:
        while not exchange.ended:
            step = await attempt.next(asyncio.current_task())
            if step.output or step.events:
                yield step
        await attempt.drain(asyncio.current_task())
    finally:
        attempt.close()


class Attempt:
    """One attempt, step by step: `next` until the exchange has ended, `drain`, at last `close`.

    The socket side of it: every fault of the upstream becomes the machine's last step. Each call
    is given the current task, which a deadline cancels.
    """

    def __init__(
        self,
        transport: Transport,
        request: HttpRequest,
        exchange: Exchange,
        *,
        deadlines: Deadlines = DEFAULT_DEADLINES,
        clock: Clock | None = None,
    ) -> None:
        self._transport = transport
        self._request = request
        self._exchange = exchange
        self._response: HttpResponse | None = None
        self._read_out = False
        self._clock = clock or LoopClock()
        self._watch = Watch(self._clock, deadlines)

    async def next(self, task: asyncio.Task[object] | None) -> Step:
        """Wait for the head or for more of the body; a step may hold nothing."""
        step = NOTHING
        watch = self._watch
        watch.begin(task)
        try:
            if self._response is None:
                self._response = await self._transport.send(self._request)
                step = self._exchange.head(self._response.status, self._response.headers)
            elif chunk := await self._response.read():
                step = self._exchange.data(chunk)
            else:
                self._read_out = True
                step = self._exchange.end()
        except TransportError as error:
            step = self._exchange.broken(failure_of(error))
        except asyncio.CancelledError:
            passed = watch.absorb()
            if passed is None:
                raise
            step = self._exchange.broken(_deadline_failure(passed))
        finally:
            watch.end(alive=step.is_alive)
        return step

    async def drain(self, task: asyncio.Task[object] | None) -> None:
        """After a good end, read what little may be left, to keep the connection."""
        self._watch.stop()
        response = self._response
        if response is None or self._read_out or not self._exchange.seen.complete:
            return
        room = DRAIN_BYTES
        self._watch = watch = Watch(self._clock, DRAIN_DEADLINES)
        watch.begin(task)
        try:
            while room > 0 and (chunk := await response.read()):
                room -= len(chunk)
        except TransportError:
            return
        except asyncio.CancelledError:
            if watch.absorb() is None:
                raise
        finally:
            watch.end(alive=False)
            watch.stop()

    def close(self) -> None:
        """Give up what is left; the upstream connection is closed unless its answer has ended."""
        self._watch.stop()
        if self._response is not None:
            self._response.abort()
