"""The checks of this folder are put to the test: engines with one fault each must fail them.

A mutant is put in the place of the real thing, and a check that passes over it raises here.
"""

import asyncio

import pytest

from arno.canon.events import ResponseEnd
from arno.engine import attempts, delivery, engine, plan
from arno.exchange import driver, machine
from tests.engine import test_cancel, test_faults, test_flow, test_hold, test_rows
from tests.engine.harness import DONE, HELLO
from tests.exchange import test_driver
from tests.transport.upstream import Script


class SettlesLate(engine.Generation):
    """Says the end first and enters it afterwards."""

    async def _finish(self, step, exchange, plan):
        await self.delivery.stream(step.output, ())
        self.settle()
        await self.delivery.end()


class SettlesTwice(engine.Generation):
    """Forgets that it has settled."""

    def settle(self):
        self._settled = None
        super().settle()


class InventsSuccess(machine.Exchange):
    """Takes the end of the body for the end of the answer."""

    def end(self):
        step = super().end()
        if self.seen.failure is None:
            return step
        self.seen.failure, self.seen.complete = None, True
        return machine.Step(DONE, (ResponseEnd(),))


class SwallowsTheBreak(machine.Exchange):
    """Ends without a word when the connection breaks."""

    def broken(self, failure):
        step = super().broken(failure)
        return machine.Step(b"", step.events)


class HoldsNothing(delivery.Delivery):
    """Lets go of what may still belong to an attempt that fails."""

    def hold(self, data):
        return False


class HoldsTwice(delivery.Delivery):
    """Keeps what it says it has no room for."""

    def hold(self, data):
        self._held.append(data)
        return super().hold(data)


class ForgetsNothing(delivery.Delivery):
    """Keeps what an attempt that failed had said."""

    def forget(self):
        pass


class BeatsInto(delivery.Delivery):
    """Does not look whether a write is under way."""

    _busy = property(lambda self: False, lambda self, value: None)


class BeatsOn(delivery.Delivery):
    """Goes on with heartbeats while an error is told."""

    async def stop(self):
        pass


class HoldsOneBack(delivery.Delivery):
    """Writes an event when the next one comes."""

    _late = b""

    async def stream(self, data, headers):
        data, self._late = self._late, data
        await super().stream(data if DONE not in self._late else data + self._late, headers)


class WritesOneByOne(delivery.Delivery):
    """Takes apart what arrived together."""

    async def stream(self, data, headers):
        for frame in data.split(b"\n\n")[:-1]:
            await super().stream(frame + b"\n\n", headers)


class ForgetsToAbort(driver.Attempt):
    """Leaves the upstream talking."""

    def close(self):
        pass


class DrainsOnce(driver.Attempt):
    """Throws a connection away whose body does not end with the next read."""

    async def drain(self, task):
        await self._response.read()


class DrainsForEver(driver.Attempt):
    """Reads whatever comes after the end."""

    async def drain(self, task):
        while await self._response.read():
            pass


class ChargesTheClient(driver.Watch):
    """Counts the time in which nobody read."""

    def begin(self, task):
        self._left = self._clock.monotonic()
        super().begin(task)


class SwallowsTheCaller(driver.Watch):
    """Takes every cancellation for its own."""

    def absorb(self):
        super().absorb()
        return self.passed


def failed_stream(fault):
    client, bench = asyncio.run(test_faults._stream(test_faults.MID_STREAM[fault], "plain"))
    test_faults.judge_failed_stream(client, bench)


def one_case(name):
    """One case of the table of R27, by the checks of that file."""
    traffic = test_rows.Traffic()
    asyncio.run(traffic.run([name] * 3))
    rows = [record.generation.cost_nano for record in traffic.bench.sink.appended]
    assert rows == [test_rows.CASES[name][4]] * 3


def no_sum(charges, *, answered):
    return charges[-1]


FAILURES = (AssertionError, TimeoutError, KeyError)
LEAVES = test_cancel.test_a_client_that_leaves_is_settled_once_and_truly

MUTANTS = [
    (
        engine,
        "Generation",
        SettlesLate,
        lambda: test_flow.test_the_ledger_knows_the_answer_before_the_client_reads_its_end("plain"),
    ),
    (engine, "Generation", SettlesTwice, lambda: LEAVES("after the end, while it drains")),
    (plan, "Exchange", InventsSuccess, lambda: failed_stream("a clean end without a finish")),
    (plan, "Exchange", SwallowsTheBreak, lambda: failed_stream("a reset")),
    (
        engine,
        "Delivery",
        HoldsNothing,
        test_faults.test_what_a_failed_attempt_sent_before_output_never_reaches_the_client,
    ),
    (
        engine,
        "Delivery",
        ForgetsNothing,
        test_faults.test_what_a_failed_attempt_sent_before_output_never_reaches_the_client,
    ),
    (engine, "Delivery", HoldsTwice, lambda: test_hold.test_what_is_held_is_bounded(True)),
    (
        engine,
        "Delivery",
        BeatsInto,
        test_hold.test_a_client_that_does_not_read_gets_no_heartbeat_into_its_write,
    ),
    (
        engine,
        "Delivery",
        BeatsOn,
        test_hold.test_a_heartbeat_that_is_due_with_an_error_stays_out_of_it,
    ),
    (
        engine,
        "Delivery",
        HoldsOneBack,
        lambda: asyncio.run(test_flow.in_step("plain", patience=0.2)),
    ),
    (
        engine,
        "Delivery",
        WritesOneByOne,
        lambda: test_flow.test_what_arrives_together_leaves_together("plain"),
    ),
    (driver, "Attempt", ForgetsToAbort, lambda: LEAVES("mid-stream")),
    (
        driver,
        "Attempt",
        DrainsOnce,
        test_driver.test_an_end_of_the_body_that_comes_late_keeps_the_connection,
    ),
    (
        driver,
        "Attempt",
        DrainsForEver,
        test_driver.test_what_follows_the_end_is_read_only_so_far,
    ),
    (
        driver,
        "Watch",
        ChargesTheClient,
        lambda: test_driver.test_a_slow_client_does_not_use_up_the_upstreams_time(29.0),
    ),
    (
        driver,
        "Watch",
        SwallowsTheCaller,
        lambda: test_driver.test_a_cancellation_at_the_moment_of_a_deadline_is_not_swallowed(
            "deadline"
        ),
    ),
]


@pytest.mark.parametrize(
    ("module", "name", "mutant", "check"), MUTANTS, ids=[row[2].__name__ for row in MUTANTS]
)
def test_a_mutant_is_found_out(module, name, mutant, check, monkeypatch):
    check()
    monkeypatch.setattr(module, name, mutant)
    with pytest.raises((*FAILURES, pytest.fail.Exception)):
        check()


def test_a_sum_that_forgets_a_failed_attempt_is_found_out(monkeypatch):
    one_case("spent, then refused")
    monkeypatch.setattr(attempts, "_total", no_sum)
    with pytest.raises(AssertionError):
        one_case("spent, then refused")


def test_the_judge_needs_a_stream_that_failed():
    """The control of the controls: over a good stream the judge does not pass."""
    client, bench = asyncio.run(
        test_faults._stream(Script.sse(*HELLO, test_faults.STOP, DONE), "plain")
    )
    with pytest.raises((AssertionError, KeyError)):
        test_faults.judge_failed_stream(client, bench)
