"""One generation: choose candidates, run exchanges until the first output, settle exactly once.

The order of one answer's end is the order of this file: the terminal event is seen, the record is
appended to the ledger's journal (one write), and only then the terminal bytes go out. What a
client has been told has ended is therefore in the ledger, whatever happens to the process.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from math import ceil

import msgspec

from arno.canon.failure import Failure, RequestError, Stage
from arno.dialects import CLIENTS, NATIVE_AT, can_serve
from arno.dialects.base import Dialect, Headers
from arno.engine.attempts import (
    CLIENT_GONE,
    FAULT,
    LEDGER_DOWN,
    STOPPED,
    Attempt,
    Book,
    nobody,
    refusal,
)
from arno.engine.call import SHUTTING_DOWN, Call, Downstream, Outcome
from arno.engine.counting import count
from arno.engine.deadlines import DeadlinesFor, DeadlineTable, Retry, tightened
from arno.engine.delivery import Delivery, Pace
from arno.engine.origins import MemoryOrigins, Origins
from arno.engine.plan import Plan, stamp_for
from arno.engine.translation import Translation
from arno.exchange import driver
from arno.exchange.clock import Clock, LoopClock, pause
from arno.exchange.driver import Deadlines
from arno.exchange.machine import Exchange, Limits, Step
from arno.ledger.ports import RecordNotDurable, Sink
from arno.ledger.price import PriceTable
from arno.providers import Candidate, Catalogue
from arno.routing.candidates import Draw, choose
from arno.routing.failover import may_go_on
from arno.routing.verdict import verdict
from arno.transport.base import Transport
from arno.transport.signing import Signer, Signing
from arno.wire import json


class EngineSettings(msgspec.Struct, frozen=True):
    """Deadlines per attempt, the client's pace, bounds in bytes, attempts for one request, and
    whether candidates that failed are tried again.
    """

    deadlines: Deadlines = Deadlines()
    pace: Pace = Pace()
    limits: Limits = Limits()
    max_attempts: int = 16
    retry: Retry = Retry()


DEFAULTS = EngineSettings()


class Engine:
    """Serves generations; safe for concurrent use on one event loop.

    transports: by the catalogue's name for them; upstream_key: the secret of an endpoint by slug;
    deadlines_for: what an attempt at a candidate may take (default: as the settings say); draw:
    chance, from 0 up to 1, for weights and pauses; origins: of reasoning artefacts;
    signers: of endpoints whose requests need more than a key in a header, by slug.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        prices: PriceTable,
        transports: Mapping[str, Transport],
        sink: Sink,
        upstream_key: Callable[[str], str | None] = lambda slug: None,
        clock: Clock | None = None,
        settings: EngineSettings = DEFAULTS,
        deadlines_for: DeadlinesFor | None = None,
        draw: Draw = random.random,
        origins: Origins | None = None,
        signers: Mapping[str, Signer] | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.prices = prices
        self.transports = transports
        self.sink = sink
        self.upstream_key = upstream_key
        self.clock = clock or LoopClock()
        self.settings = settings
        self.deadlines = DeadlineTable(deadlines_for or (lambda _: settings.deadlines))
        self.draw = draw
        self.origins: Origins = MemoryOrigins() if origins is None else origins
        self.signers = signers or {}

    async def serve(self, call: Call, down: Downstream) -> Outcome:
        """Serve one client request; settles exactly once, also when its task is cancelled."""
        generation = Generation(self, call, down)
        try:
            await generation.run()
        except asyncio.CancelledError as error:
            generation.interrupt(shutdown=error.args[:1] == (SHUTTING_DOWN,))
            raise
        except Exception:
            generation.stop(FAULT)
            raise
        finally:
            generation.settle_quietly()
            await generation.delivery.abandon()
        return generation.outcome()

    def candidates(self, call: Call) -> tuple[Candidate, ...]:
        """Who may serve this call, in order of trial."""
        envelope = call.envelope
        models = (envelope.model, *envelope.models)
        found = choose(models, self.catalogue.candidates_for, envelope.routing, self.draw)
        wanted = NATIVE_AT.get(call.dialect, call.dialect)
        placed = [self.catalogue.spoken(candidate, wanted) for candidate in found]
        several = envelope.choices > 1
        return tuple(
            c
            for c in placed
            if can_serve(call.dialect, c.endpoint.dialect)
            and (not several or c.endpoint.contract or c.endpoint.multiple_choices)
        )

    async def count(self, call: Call) -> int | Failure | None:
        """Tokens that a call would send; see `arno.engine.counting`."""
        return await count(self, call)

    def way_to(self, candidate: Candidate) -> tuple[Transport, str | None, str | None]:
        """The transport to a candidate, the key to show in a header, and the secret that its
        answers must not repeat.
        """
        endpoint = candidate.endpoint
        transport, signer = self.transports[endpoint.transport], self.signers.get(endpoint.slug)
        if signer is None:
            key = self.upstream_key(endpoint.slug)
            return transport, key, key
        return Signing(transport, signer), None, signer.secret


class Generation:
    """The state of one client request while it is served."""

    def __init__(self, engine: Engine, call: Call, down: Downstream) -> None:
        self._engine = engine
        self._call = call
        self._down = down
        self._dialect: Dialect = CLIENTS[call.dialect]
        self._translation = Translation(call, engine.origins)
        self._settled: Outcome | None = None
        self._task = asyncio.current_task()
        clock = engine.clock
        self.book = Book(call=call, started=clock.monotonic())
        heartbeat = self._dialect.heartbeat()
        self.delivery = Delivery(down, clock, engine.settings.pace, heartbeat)

    async def run(self) -> None:
        """Try candidates until one gives output or none is left."""
        candidates = self._engine.candidates(self._call)
        if not candidates:
            await self._refuse(nobody(self._call, self._engine.catalogue))
            return
        if self._call.envelope.stream:
            self.delivery.start()
        try:
            await self._translation.recall()
        except RequestError as error:
            await self._refuse(refusal(error))
            return
        number, failures = 0, await self._round(candidates)
        while failures and await self._pause(failures, number := number + 1):
            failures = await self._round(candidates)
        if failures:
            await self._refuse(verdict(failures))

    async def _round(self, candidates: Sequence[Candidate]) -> list[Failure]:
        """Try candidates in order; empty once the client has been told how it ended.

        A candidate that the request must not be told to (it would lose what it must not) is
        passed over; if all are, the first one's reason is the failure.
        """
        failures: list[Failure] = []
        refusals: list[Failure] = []
        for candidate in candidates[: self._attempts_left()]:
            plan = self._plan(candidate)
            if isinstance(plan, Failure):
                refusals.append(plan)
                continue
            failure = await self._attempt(candidate, plan)
            if failure is None:
                return []
            failures.append(failure)
            if self.delivery.output_sent or not may_go_on(failure) or self._is_over():
                break
            self.delivery.forget()
        return failures or refusals[:1]

    def _plan(self, candidate: Candidate) -> Plan | Failure:
        """What an attempt needs, or why there must be none."""
        try:
            return Plan(self._call, candidate, self._translation, self._engine.prices)
        except RequestError as error:
            return refusal(error)

    def _attempts_left(self) -> int:
        return self._engine.settings.max_attempts - len(self.book.attempts)

    async def _pause(self, failures: list[Failure], number: int) -> bool:
        """Wait before further round `number`; False if there is none.

        A failure that time does not mend ends it, and so does a wait longer than the request's own
        total or than the operator's bound: the client is told at once then.
        """
        retry, told = self._engine.settings.retry, verdict(failures)
        if number > retry.rounds or not told.retryable or self._attempts_left() < 1:
            return False
        if self.delivery.output_sent or not may_go_on(failures[-1]):
            return False
        wait = retry.wait(number, told.retry_after, self._engine.draw)
        asked = self._call.deadlines
        if asked is not None and asked.total is not None and wait >= asked.total - self._spent():
            return False
        if wait > retry.longest:
            return False
        await pause(self._engine.clock, wait)
        return True

    def _is_over(self) -> bool:
        """True once the request's own total is used up: another attempt could not be read."""
        asked = self._call.deadlines
        return asked is not None and asked.total is not None and self._spent() >= asked.total

    def _spent(self) -> float:
        """Seconds since the generation began."""
        return self._engine.clock.monotonic() - self.book.started

    def interrupt(self, *, shutdown: bool) -> None:
        """The task was cancelled: the client left, or the gateway stops under the client."""
        if shutdown:
            self.stop(STOPPED)
        else:
            self.book.cancel(200 if self.delivery.head_sent else CLIENT_GONE)

    def stop(self, failure: Failure) -> None:
        """The gateway itself ends the answer."""
        status, _ = self._dialect.encode_failure(failure)
        self.book.stop(failure, 200 if self.delivery.head_sent else status)

    async def _attempt(self, candidate: Candidate, plan: Plan) -> Failure | None:
        """One exchange; None if the client has been told how it ended."""
        engine, clock = self._engine, self._engine.clock
        transport, key, secret = engine.way_to(candidate)
        exchange = plan.exchange(engine.settings.limits, secret)
        attempt = Attempt(
            candidate,
            exchange.seen,
            plan.charger,
            started_ns=clock.wall_ns(),
            started=clock.monotonic(),
            way=plan,
        )
        self.book.attempts.append(attempt)
        deadlines = tightened(
            engine.deadlines.of(candidate),
            self._call.deadlines,
            clock.monotonic() - self.book.started,
        )
        line = driver.Attempt(
            transport,
            plan.request(key, deadlines.connect),
            exchange,
            deadlines=deadlines,
            clock=clock,
        )
        try:
            while not exchange.ended:
                step = await line.next(self._task)
                if isinstance(transport, Signing):
                    # The token may be younger than the attempt.
                    exchange.secret = transport.secret
                if not (step.output or step.events):
                    continue
                if attempt.first_byte is None:
                    attempt.first_byte = clock.monotonic()
                if not await self._deliver(step, exchange, plan):
                    return exchange.seen.failure
            await line.drain(self._task)
        finally:
            line.close()
            attempt.ended = clock.monotonic()
            if exchange.seen.artefacts:
                engine.origins.learn(exchange.seen.artefacts, candidate.endpoint.family)
        return exchange.seen.failure if not self.delivery.output_sent else None

    async def _deliver(self, step: Step, exchange: Exchange, plan: Plan) -> bool:
        """Bring one step to the client; False if the attempt failed before any output."""
        seen = exchange.seen
        if self.delivery.output_sent and self.delivery.head_sent and not exchange.ended:
            # The way of nearly all events. Output that an encoder holds back sends no head yet.
            await self.delivery.stream(step.output, ())
            return True
        if seen.failure is not None and not self.delivery.output_sent and not seen.output:
            return False
        if seen.output and self.book.first_output is None:
            self.book.first_output = self._engine.clock.monotonic()
        if exchange.ended:
            await self._finish(step, exchange, plan)
        elif self._call.envelope.stream and self._goes_out(step, exchange):
            headers = () if self.delivery.head_sent else self._headers(plan, exchange)
            await self.delivery.stream(step.output, headers)
        return True

    def _headers(self, plan: Plan, exchange: Exchange) -> Headers:
        """What the head tells: who served, and which attempts failed before."""
        headers = plan.headers(exchange)
        if len(self.book.attempts) > 1:
            failed = ", ".join(
                f"{each.provider}: {each.status or each.code}"
                for each in self.book.previous(self.book.last)
            )
            headers = (*headers, ("x-failed-attempts", failed))
        return headers

    def _goes_out(self, step: Step, exchange: Exchange) -> bool:
        """True for output; what comes before it is held as long as there is room.

        Comments for which there is none are dropped: they must not cost the failover.
        """
        if exchange.seen.output:
            return True
        return not self.delivery.hold(step.output) and step.is_alive

    async def _finish(self, step: Step, exchange: Exchange, plan: Plan) -> None:
        """The end of an answer that has output: settle, then say it."""
        headers = self._headers(plan, exchange)
        self.book.http_status = 200
        try:
            self.settle()
        except RecordNotDurable:
            await self._unsettled(headers)
            return
        if not self._call.envelope.stream:
            await self.delivery.whole(200, step.output, headers)
            return
        await self.delivery.stream(step.output, headers)
        await self.delivery.stop()
        await self.delivery.end()

    async def _unsettled(self, headers: Headers) -> None:
        """The ledger could not be written: the answer must not look like a success."""
        await self.delivery.stop()
        status, _ = self._dialect.encode_failure(LEDGER_DOWN)
        if self._settled is not None:
            self._settled = msgspec.structs.replace(
                self._settled,
                state="error",
                status=200 if self.delivery.head_sent else status,
                reason=LEDGER_DOWN.code,
            )
        if self.delivery.head_sent:
            await self._end_with(LEDGER_DOWN, headers)
        else:
            await self._send_error(LEDGER_DOWN)

    async def _refuse(self, failure: Failure) -> None:
        """No candidate gave output: an error with its status, or the failure frame."""
        if len(self.book.attempts) > 1:
            others = self.book.previous(self.book.teller(failure))
            failure = msgspec.structs.replace(failure, previous=others)
        self.book.failure = failure
        self.book.http_status, _ = self._dialect.encode_failure(failure)
        # A heartbeat on its way would land in the error, and decides whether the head is out.
        await self.delivery.stop()
        if self.delivery.head_sent:
            self.book.http_status = 200
        self.settle_quietly()
        if self.delivery.head_sent:
            await self._end_with(failure)
        else:
            await self._send_error(failure)

    async def _end_with(self, failure: Failure, headers: Headers = ()) -> None:
        """Tell a failure in the stream, and end it."""
        await self.delivery.stream(self._failure_frame(failure), headers)
        await self.delivery.end()

    async def _send_error(self, failure: Failure) -> None:
        teller = self.book.teller(failure)
        provider = None if teller is None else teller.candidate.endpoint.name
        status, document = self._dialect.encode_failure(failure, provider)
        headers: Headers = ()
        if failure.retry_after is not None:
            headers = (("retry-after", str(max(1, ceil(failure.retry_after)))),)
        await self.delivery.whole(status, json.dumps(document), headers)

    def _failure_frame(self, failure: Failure) -> bytes:
        last = self.book.last
        stamp = stamp_for(self._call, None if last is None else last.candidate)
        failure = msgspec.structs.replace(failure, stage=Stage.MID_STREAM)
        return self._dialect.stream_failure(failure, stamp)

    def settle(self) -> None:
        """Append the record, once. Raises RecordNotDurable."""
        if self._settled is not None:
            return
        now = self._engine.clock.monotonic()
        record = self.book.record(now)
        self._settled = self.book.outcome(record)
        self._down.settled(self._settled)
        self._engine.sink.append(record)

    def settle_quietly(self) -> None:
        """Append the record where nothing is acknowledged by it; the sink reports its health."""
        try:
            self.settle()
        except RecordNotDurable:
            return

    def outcome(self) -> Outcome:
        """How it ended. Raises RuntimeError before it was settled."""
        if self._settled is None:
            raise RuntimeError("the generation is not settled")
        return self._settled
