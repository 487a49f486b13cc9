"""What the engine notes of its attempts, and the ledger record they end in."""

from __future__ import annotations

from typing import Protocol

import msgspec

from arno.canon.ext import Loss
from arno.canon.failure import Failure, FailureKind, Previous, RequestError, Stage
from arno.dialects.disclosure import MAX_TOLD
from arno.engine.call import Call, Outcome
from arno.engine.prices import Charger
from arno.exchange.machine import Seen
from arno.ledger.entry import (
    ExchangeEntry,
    GenerationEntry,
    LedgerRecord,
    State,
    cost_fields,
    token_fields,
)
from arno.ledger.settle import Charge, CostBasis
from arno.providers import Candidate, Catalogue

CLIENT_GONE = 499


class Lossy(Protocol):
    """What may lose something on the way."""

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What was lost so far."""
        ...


class Attempt(msgspec.Struct):
    """One upstream attempt. Times in seconds of the monotonic clock, started_ns wall clock.

    way: how the request went there and the answer came back.
    """

    candidate: Candidate
    seen: Seen
    charger: Charger
    started_ns: int
    started: float
    first_byte: float | None = None
    ended: float | None = None
    way: Lossy | None = None


def state_of(seen: Seen | None, *, cancelled: bool) -> State:
    """How an attempt ended; a failure after output is a truncated answer (R5)."""
    if seen is not None and seen.complete:
        return "success"
    failure = None if seen is None else seen.failure
    if failure is None:
        return "cancelled" if cancelled else "error"
    return "truncated" if failure.stage is Stage.MID_STREAM else "error"


class Book(msgspec.Struct):
    """All that one generation leaves behind, gathered while it runs."""

    call: Call
    started: float
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    first_output: float | None = None
    failure: Failure | None = None
    http_status: int | None = None
    cancelled: bool = False

    def cancel(self, status: int) -> None:
        """The client left; status: what it had seen, CLIENT_GONE for nothing."""
        self.cancelled = True
        self.http_status = status

    def stop(self, failure: Failure, status: int) -> None:
        """The gateway itself ends the answer; status: what the client sees if no head is out."""
        if self.http_status is None:
            self.http_status = status
        self.failure = failure
        last = self.last
        if last is not None and not last.seen.complete and last.seen.failure is None:
            stage = Stage.MID_STREAM if last.seen.output else Stage.BEFORE_OUTPUT
            last.seen.failure = msgspec.structs.replace(failure, stage=stage)

    @property
    def last(self) -> Attempt | None:
        """The attempt whose answer the client got, or the last that failed."""
        return self.attempts[-1] if self.attempts else None

    def teller(self, told: Failure) -> Attempt | None:
        """The attempt whose failure a client is told; the last one where it is nobody's."""
        for attempt in reversed(self.attempts):
            failure = attempt.seen.failure
            if failure is not None and (failure.kind, failure.message) == (told.kind, told.message):
                return attempt
        return self.last

    def previous(self, besides: Attempt | None) -> tuple[Previous, ...]:
        """The failed attempts besides one, in order, as a client may be told."""
        return tuple(
            Previous(
                attempt.candidate.endpoint.name,
                code=None if failure is None else failure.code or failure.kind.value,
                status=attempt.seen.status,
            )
            for attempt in self.attempts
            if attempt is not besides
            for failure in (attempt.seen.failure,)
        )

    def record(self, now: float) -> LedgerRecord:
        """The ledger record; `now` in seconds of the monotonic clock."""
        charges = [a.charger(a.seen.usage, a.seen.served_by) for a in self.attempts]
        exchanges = tuple(
            [
                self._exchange(number, attempt, charge, now)
                for number, (attempt, charge) in enumerate(
                    zip(self.attempts, charges, strict=True), 1
                )
            ]
        )
        generation = self._generation(charges, now)
        return LedgerRecord(generation=generation, exchanges=exchanges)

    def state(self) -> State:
        """How the generation ended. refused: nothing was sent upstream."""
        if self.last is None:
            return "cancelled" if self.cancelled else "refused"
        state = state_of(self.last.seen, cancelled=self.cancelled)
        # A client that leaves between two attempts was told of no failure.
        return "cancelled" if self.cancelled and state == "error" else state

    def _exchange(self, number: int, attempt: Attempt, charge: Charge, now: float) -> ExchangeEntry:
        seen = attempt.seen
        failure = seen.failure
        return ExchangeEntry(
            generation_id=self.call.generation_id,
            attempt=number,
            endpoint=attempt.candidate.endpoint.slug,
            model=attempt.candidate.upstream_model,
            state=state_of(seen, cancelled=self.cancelled),
            started_at_ms=attempt.started_ns // 1_000_000,
            duration_ms=_ms(attempt.started, attempt.ended if attempt.ended is not None else now),
            served_by=seen.served_by,
            upstream_id=seen.upstream_id,
            http_status=seen.status,
            error_kind=None if failure is None else failure.kind.value,
            retryable=None if failure is None else failure.retryable,
            cost_nano=charge.nano,
            cost_basis=charge.basis,
            first_byte_ms=_maybe_ms(attempt.started, attempt.first_byte),
            **token_fields(seen.usage),
        )

    def _generation(self, charges: list[Charge], now: float) -> GenerationEntry:
        call, last = self.call, self.last
        seen = Seen() if last is None else last.seen
        total = _total(charges, answered=seen.output or seen.complete)
        failure = seen.failure or self.failure
        first = self.first_output
        return GenerationEntry(
            id=call.generation_id,
            key_id=call.caller.key_id,
            created_at_ms=call.created_ns // 1_000_000,
            dialect=call.dialect,
            model_requested=call.envelope.model,
            state=self.state(),
            streamed=call.envelope.stream,
            http_status=200 if self.http_status is None else self.http_status,
            model_served=seen.model,
            endpoint=None if last is None else last.candidate.endpoint.slug,
            served_by=seen.served_by or (None if last is None else last.candidate.endpoint.name),
            upstream_id=seen.upstream_id,
            stage=None if failure is None else failure.stage.value,
            finish_reason=None if seen.reason is None else seen.reason.value,
            native_finish_reason=seen.native_reason,
            latency_ms=_maybe_ms(self.started, first),
            generation_ms=None if first is None else _ms(first, now),
            attempts=len(self.attempts),
            error_kind=None if failure is None else failure.kind.value,
            error_code=None if failure is None else failure.code,
            app_referer=call.caller.referer,
            app_title=call.caller.title,
            user=call.envelope.user,
            session_id=call.envelope.session_id,
            losses=() if last is None or last.way is None else _told(last.way.losses),
            anomalies=total.anomalies,
            **cost_fields(total),
            **token_fields(seen.usage),
        )

    def outcome(self, record: LedgerRecord) -> Outcome:
        """What the log line tells."""
        entry = record.generation
        return Outcome(
            generation_id=entry.id,
            state=entry.state,
            status=entry.http_status,
            model=entry.model_requested,
            served_by=entry.served_by,
            attempts=entry.attempts,
            cost_nano=entry.cost_nano,
            input=entry.input_tokens,
            output=entry.output_tokens,
            first_output_ms=entry.latency_ms,
            reason=self._reason(),
        )

    def _reason(self) -> str | None:
        failure = self.failure if self.last is None else self.last.seen.failure or self.failure
        if failure is None:
            return None
        return (
            failure.kind.value
            if failure.detail is None
            else f"{failure.kind.value}: {failure.detail}"
        )


def _total(charges: list[Charge], *, answered: bool) -> Charge:
    """The generation's charge: the last attempt's, plus what failed ones are known to have cost.

    answered: the last attempt gave output. If then its cost is not known, neither is the sum; an
    attempt that gave nothing and told no usage adds nothing.
    """
    if not charges:
        return Charge(nano=None, basis="unpriced")
    last = charges[-1]
    if len(charges) == 1:
        return last
    anomalies = tuple(dict.fromkeys(word for charge in charges for word in charge.anomalies))
    known = [(charge.nano, charge.basis) for charge in charges if charge.nano is not None]
    if not known or (answered and last.nano is None):
        return msgspec.structs.replace(last, anomalies=anomalies)
    # A sum is known no better than the least known of its parts.
    nano = sum(nano for nano, _ in known)
    basis = max((basis for _, basis in known), key=_DOUBT.index)
    return msgspec.structs.replace(last, nano=nano, basis=basis, anomalies=anomalies)


def _told(losses: tuple[Loss, ...]) -> tuple[str, ...]:
    """Losses as the ledger keeps them, each once and bounded."""
    return tuple(dict.fromkeys(f"{loss.path}: {loss.action}" for loss in losses))[:MAX_TOLD]


def refusal(error: RequestError) -> Failure:
    """The failure of a request that is wrong, or asks for what a candidate cannot be told."""
    text = error.message if not error.path else f"{error.path}: {error.message}"
    return Failure(FailureKind.INVALID_REQUEST, text)


def nobody(call: Call, catalogue: Catalogue) -> Failure:
    """No candidate: nobody knows the models, or the request's own wishes leave nobody."""
    envelope = call.envelope
    if not any(map(catalogue.candidates_for, (envelope.model, *envelope.models))):
        text = f"{envelope.model} is not a valid model ID"
        return Failure(FailureKind.INVALID_REQUEST, text)
    if envelope.choices > 1:
        text = "n: no provider of this model gives more than one answer"
        return Failure(FailureKind.INVALID_REQUEST, text)
    text = "No allowed providers are available for the selected model"
    return Failure(FailureKind.NOT_FOUND, text)


_DOUBT: tuple[CostBasis, ...] = ("reported", "priced", "estimated", "unpriced")


def _ms(start: float, end: float) -> int:
    return round((end - start) * 1000) if end > start else 0


def _maybe_ms(start: float, end: float | None) -> int | None:
    return None if end is None else _ms(start, end)


STOPPED = Failure(
    FailureKind.OVERLOADED, "the gateway is shutting down", code="shutting_down", retryable=True
)
FAULT = Failure(FailureKind.SERVER, "internal error of the gateway", code="bug")
LEDGER_DOWN = Failure(
    FailureKind.OVERLOADED,
    "the answer could not be entered into the ledger, so it is not acknowledged",
    code="ledger_unavailable",
    stage=Stage.MID_STREAM,
)
