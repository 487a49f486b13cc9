"""Rounds: candidates that failed are tried again after a pause, where time may mend it.

Chance and clock are handed in; the upstreams are real sockets.
"""

import asyncio

import msgspec
import pytest

from arno.engine import engine
from arno.engine.deadlines import NO_DEADLINES, Retry
from arno.engine.delivery import Pace
from tests.engine.harness import (
    DONE,
    HELLO,
    STOP,
    Bench,
    Client,
    ManualClock,
    answer,
    chat_body,
    settle_loop,
)
from tests.transport.upstream import End, Script, ScriptedUpstream

HALF = 0.5
"""The chance drawn here: a wait is three quarters of the back-off."""


def drawn():
    return HALF


# how long


WAITS = {
    "first": (Retry(backoff=4.0), 1, None, 0.0, 2.0),
    "first, all of chance": (Retry(backoff=4.0), 1, None, 1.0, 4.0),
    "doubled": (Retry(backoff=4.0), 2, None, 1.0, 8.0),
    "doubled again": (Retry(backoff=4.0), 3, None, 1.0, 16.0),
    "never longer than the longest": (Retry(backoff=4.0), 9, None, 1.0, 30.0),
    "a Retry-After that is longer": (Retry(backoff=4.0), 1, 7.0, 1.0, 7.0),
    "a Retry-After that is shorter": (Retry(backoff=4.0), 2, 1.0, 1.0, 8.0),
    "a Retry-After beyond the longest": (Retry(backoff=4.0), 1, 31.0, 1.0, 31.0),
    "a Retry-After of 0": (Retry(backoff=4.0), 1, 0.0, 0.0, 2.0),
}


@pytest.mark.parametrize("case", WAITS)
def test_how_long_a_pause_is(case):
    retry, number, retry_after, chance, seconds = WAITS[case]
    assert retry.wait(number, retry_after, lambda: chance) == seconds


# whether


LATER = [("content-type", "application/json"), ("retry-after", "7")]
BUSY = Script.json(b'{"error":{"message":"busy"}}', 503)
FULL = Script.json(b'{"error":{"message":"slow down"}}', 429)
WAIT_7 = Script([b'{"error":{"message":"slow down"}}'], 429, LATER)
WAIT_31 = Script([b'{"error":{"message":"slow down"}}'], 429, [*LATER[:1], ("retry-after", "31")])
BAD = Script.json(b'{"error":{"message":"bad temperature"}}', 400)
NO_KEY = Script.json(b'{"error":{"message":"bad key"}}', 401)
NO_MONEY = Script.json(b'{"error":{"message":"no money"}}', 402)
NO_MODEL = Script.json(b'{"error":{"message":"model not found"}}', 404)
CUT = Script.sse(*HELLO, end=End.CUT)
GOOD = Script.json(answer())
GOOD_STREAM = Script.sse(*HELLO, STOP, DONE)


class Trial:
    """One request of a client while the clock stands; `alpha` and `beta` are asked in turn."""

    def __init__(self, retry, total=None, streamed=False, max_attempts=16):
        self.retry, self.total, self.streamed = retry, total, streamed
        self.max_attempts = max_attempts
        self.clock, self.client = ManualClock(), Client()

    async def run(self, alpha, beta, moments):
        """moments: seconds to pass, one after the other, until the request has ended."""
        async with ScriptedUpstream(alpha) as a, ScriptedUpstream(beta) as b:
            rows = [("alpha", a.url, False), ("beta", b.url, False)][: 1 + bool(beta)]
            self.bench = Bench(*rows, clock=self.clock, pace=Pace(hold=5.0, beat=10.0))
            made = self.bench.engine
            made.settings = msgspec.structs.replace(
                made.settings, retry=self.retry, max_attempts=self.max_attempts
            )
            made.draw = drawn
            call = self.bench.call(chat_body(stream=self.streamed))
            if self.total is not None:
                asked = msgspec.structs.replace(NO_DEADLINES, total=self.total)
                call = msgspec.structs.replace(call, deadlines=asked)
            task = asyncio.ensure_future(made.serve(call, self.client))
            self.asked = [await self._settle(task, a, b)]
            for seconds in moments:
                await self.clock.advance(seconds)
                self.asked.append(await self._settle(task, a, b))
            assert task.done(), "the request has not ended"
            await task
        return self

    async def _settle(self, task, a, b):
        """How many requests came so far; all that can happen without time has happened."""
        before = None
        while before != (seen := (len(a.requests), len(b.requests), task.done(), self.paused())):
            before = seen
            for _ in range(3):
                await asyncio.sleep(0.002)
                await settle_loop()
        return len(a.requests), len(b.requests)

    def paused(self):
        return len(self.clock._timers)

    @property
    def states(self):
        return [(e.endpoint, e.state) for e in self.bench.exchanges]


def trial(alpha, beta, *moments, retry=None, **more):
    """A request through both upstreams with the pauses of four seconds and more."""
    retry = retry or Retry(rounds=2, backoff=4.0)
    return asyncio.run(Trial(retry, **more).run(alpha, beta, moments))


def test_all_candidates_are_tried_again_after_the_pause():
    """Three seconds: four, of which half is chance."""
    found = trial([BUSY, GOOD], [BUSY], 2.9, 0.2)
    assert found.asked == [(1, 1), (1, 1), (2, 1)]
    assert (found.client.status, found.bench.entry.state) == (200, "success")
    assert found.states == [("alpha", "error"), ("beta", "error"), ("alpha", "success")]
    assert found.bench.entry.attempts == 3


def test_rounds_end_and_the_last_failure_is_told():
    found = trial([BUSY] * 3, [FULL] * 3, 3.1, 6.1)
    assert found.asked == [(1, 1), (2, 2), (3, 3)]
    assert found.client.status == 429
    assert len(found.states) == found.bench.entry.attempts == 6


def test_without_rounds_nothing_is_tried_again():
    """The default."""
    assert Retry().rounds == 0
    assert trial([BUSY, GOOD], [BUSY], retry=Retry()).asked == [(1, 1)]


def test_a_longer_retry_after_is_waited_for():
    found = trial([WAIT_7, GOOD], [], 6.9, 0.2)
    assert found.asked == [(1, 0), (1, 0), (2, 0)]
    assert found.client.status == 200


def test_a_retry_after_beyond_the_longest_is_told_instead():
    found = trial([WAIT_31, GOOD], [])
    assert found.asked == [(1, 0)]
    assert (found.client.status, found.client.headers["retry-after"]) == (429, "31")


TOTALS = {
    "leaves no time for the pause": (2.9, [(1, 0)], 503),
    "ends with the pause": (3.0, [(1, 0)], 503),
    "leaves time for it": (3.5, [(1, 0), (2, 0)], 200),
}


@pytest.mark.parametrize("case", TOTALS)
def test_the_requests_own_total_bounds_the_pause(case):
    """A client that has three seconds is not told after three seconds what is known now."""
    total, asked, status = TOTALS[case]
    moments = [3.1] * (len(asked) - 1)
    found = trial([BUSY, GOOD], [], *moments, total=total)
    assert (found.asked, found.client.status) == (asked, status)


FINAL = {"400": BAD, "401": NO_KEY, "402": NO_MONEY, "404 of the model": NO_MODEL}


@pytest.mark.parametrize("case", FINAL)
def test_what_time_does_not_mend_is_told_at_once(case):
    assert trial([FINAL[case], GOOD], []).asked == [(1, 0)]


def test_a_requests_own_fault_ends_the_rounds_whatever_failed_before():
    found = trial([BUSY, GOOD], [BAD])
    assert (found.asked, found.client.status) == ([(1, 1)], 400)


def test_one_failure_that_time_may_mend_is_enough():
    """The other candidate has no account: it is asked again too, and stays what it is."""
    found = trial([FULL, GOOD], [NO_MONEY], 3.1)
    assert found.asked == [(1, 1), (2, 1)]
    assert found.client.status == 200


def test_after_output_nothing_is_tried_again():
    found = trial([CUT, GOOD_STREAM], [], streamed=True)
    assert (found.asked, found.states) == ([(1, 0)], [("alpha", "truncated")])


def test_rounds_count_into_the_most_attempts():
    found = trial([BUSY] * 9, [BUSY] * 9, 3.1, max_attempts=3)
    assert found.asked == [(1, 1), (2, 1)]
    assert found.bench.entry.attempts == 3


def test_a_stream_shows_signs_of_life_during_a_pause():
    """Seven seconds: the head goes out after five, and the answer comes into it."""
    found = trial([WAIT_7, GOOD_STREAM], [], 4.9, 0.2, 2.0, streamed=True)
    beat = b": ARNO PROCESSING\n"
    assert found.client.bytes.startswith(beat)
    assert found.client.bytes.count(beat) == 1
    assert found.client.is_done
    assert found.client.faults == []


def test_a_failure_after_a_pause_ends_an_open_stream():
    """The head is out, so the failure stands in the stream, with our own status for the ledger."""
    found = trial([WAIT_7, BAD], [], 5.1, 2.0, streamed=True)
    assert found.client.documents[-1]["choices"][0]["finish_reason"] == "error"
    assert (found.client.status, found.bench.entry.http_status) == (200, 200)
    assert found.bench.entry.state == "error"


MUTANTS = {
    "tries for ever": (
        "_pause",
        lambda self, failures, number: asyncio.sleep(0, result=number < 9),
        test_rounds_end_and_the_last_failure_is_told,
    ),
    "never again": (
        "_pause",
        lambda self, failures, number: asyncio.sleep(0, result=False),
        test_all_candidates_are_tried_again_after_the_pause,
    ),
    "knows no bound of attempts": (
        "_attempts_left",
        lambda self: 99,
        test_rounds_count_into_the_most_attempts,
    ),
    "has no sense of time": (
        "_spent",
        lambda self: -100.0,
        lambda: test_the_requests_own_total_bounds_the_pause("ends with the pause"),
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_found_out(mutant, monkeypatch):
    name, changed, check = MUTANTS[mutant]
    monkeypatch.setattr(engine.Generation, name, changed)
    with pytest.raises(AssertionError):
        check()


def test_a_pause_without_chance_is_found_out(monkeypatch):
    monkeypatch.setattr(Retry, "wait", lambda self, number, retry_after, draw: self.backoff)
    with pytest.raises(AssertionError):
        test_all_candidates_are_tried_again_after_the_pause()
