"""What the engine's book says of one generation: states, sums, stages (R5, R27)."""

import pytest

from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.usage import Usage
from arno.dialects import DIALECTS
from arno.engine.attempts import Attempt, Book, state_of
from arno.engine.call import Call, Caller
from arno.engine.prices import Charger, day_of, price_table
from arno.exchange.machine import Seen
from tests.engine.harness import MODEL, catalogue_of, chat_body

CATALOGUE = catalogue_of(("a", "http://a", False), ("b", "http://b", False))
CANDIDATES = CATALOGUE.candidates_for(MODEL)


def failed(stage):
    return Failure(FailureKind.SERVER, "boom", stage=stage)


STATES = [
    (None, False, "error"),
    (None, True, "cancelled"),
    (Seen(), True, "cancelled"),
    (Seen(), False, "error"),
    (Seen(complete=True), True, "success"),
    (Seen(complete=True), False, "success"),
    (Seen(failure=failed(Stage.BEFORE_HEAD)), False, "error"),
    (Seen(failure=failed(Stage.BEFORE_OUTPUT)), True, "error"),
    (Seen(failure=failed(Stage.MID_STREAM)), False, "truncated"),
    (Seen(failure=failed(Stage.MID_STREAM)), True, "truncated"),
]


@pytest.mark.parametrize(("seen", "cancelled", "state"), STATES)
def test_the_state_of_an_attempt(seen, cancelled, state):
    assert state_of(seen, cancelled=cancelled) == state


PRICES = price_table(CATALOGUE)


def book(*seen, cancelled=False):
    body = chat_body()
    call = Call(
        generation_id="gen-1",
        caller=Caller(key_id="k"),
        dialect="chat",
        envelope=DIALECTS["chat"].peek(body),
        body=body,
        created_ns=1_800_000_000_000_000_000,
    )
    attempts = [
        Attempt(
            candidate,
            one,
            Charger(candidate, call.created_ns, PRICES),
            started_ns=1_800_000_000_000_000_000,
            started=10.0,
        )
        for candidate, one in zip(CANDIDATES, seen, strict=False)
    ]
    made = Book(call=call, started=10.0, attempts=attempts)
    if cancelled:
        made.cancel(499)
    return made


def record(*seen, **options):
    return book(*seen, **options).record(12.5)


USED = Usage(input=10, output=5)
REPORTED = Usage(input=10, output=5, cost="0.00003")
SUMS = {
    "nothing known": ([Seen(), Seen()], None, "unpriced"),
    "the last alone": ([Seen(), Seen(usage=USED)], 20_000, "priced"),
    "the first alone": ([Seen(usage=USED), Seen()], 20_000, "priced"),
    "the first alone, reported": ([Seen(usage=REPORTED), Seen()], 30_000, "reported"),
    "both": ([Seen(usage=REPORTED), Seen(usage=USED)], 50_000, "priced"),
    "free is known": ([Seen(usage=Usage(input=1, output=1, cost="0"))], 0, "reported"),
}


@pytest.mark.parametrize("name", SUMS)
def test_a_generation_costs_what_its_attempts_are_known_to_cost(name):
    """R27: the sum of the rows; unknown is None, never 0."""
    seen, nano, basis = SUMS[name]
    made = record(*seen)
    assert (made.generation.cost_nano, made.generation.cost_basis) == (nano, basis)
    known = [entry.cost_nano for entry in made.exchanges if entry.cost_nano is not None]
    assert (sum(known) if known else None) == nano


@pytest.mark.parametrize("first", [USED, REPORTED])
@pytest.mark.parametrize("last", [Seen(output=True), Seen(complete=True)])
def test_an_answer_of_unknown_cost_makes_the_sum_unknown(first, last):
    """What a failed attempt is known to have cost says nothing about the answer's."""
    made = record(Seen(usage=first), last).generation
    assert (made.cost_nano, made.cost_basis) == (None, "unpriced")


def test_anomalies_of_every_attempt_are_kept():
    odd = Usage(input=0, output=0, cost="free")
    made = record(Seen(usage=odd), Seen(usage=USED)).generation
    assert set(made.anomalies) == {"reported_cost_unreadable", "zero_usage"}


def test_a_generation_without_an_attempt_was_refused_or_left():
    assert record().generation.state == "refused"
    left = record(cancelled=True).generation
    assert (left.state, left.http_status, left.cost_nano) == ("cancelled", 499, None)


def test_times_are_milliseconds_and_unknown_ones_are_none():
    made = record(Seen(complete=True))
    assert made.exchanges[0].duration_ms == 2500
    assert made.exchanges[0].first_byte_ms is None
    assert (made.generation.latency_ms, made.generation.generation_ms) == (None, None)


def test_the_outcome_says_what_the_ledger_says():
    kept = book(Seen(usage=USED, complete=True, served_by="Host"))
    made = kept.record(12.5)
    outcome = kept.outcome(made)
    entry = made.generation
    assert (outcome.state, outcome.status, outcome.attempts) == ("success", 200, 1)
    assert (outcome.cost_nano, outcome.served_by) == (entry.cost_nano, "Host")
    assert (outcome.input, outcome.output) == (10, 5)


@pytest.mark.parametrize(
    ("ns", "day"),
    [(0, "1970-01-01"), (86_399_999_999_999, "1970-01-01"), (86_400_000_000_000, "1970-01-02")],
)
def test_a_day_is_the_utc_day(ns, day):
    assert day_of(ns) == day
