"""The driver of one attempt over real sockets and a clock that stands still: deadlines (R11, row
9 and 10), cancellation (R10), the connection kept (trap 1 of the performance notes).
"""

import asyncio
from contextlib import aclosing

import pytest

from arno.canon.events import ResponseEnd, StreamError
from arno.canon.failure import FailureKind, Stage
from arno.exchange import driver
from arno.exchange.driver import DRAIN_BYTES, DRAIN_SECONDS, KINDS, Deadlines, run
from arno.transport.base import ErrorKind, HttpRequest, TransportError
from arno.transport.live import LivePool
from tests.engine.harness import ManualClock, Watched, settle_loop
from tests.exchange.attempt import DONE, SMALL, delta, exchange, finish, output, terminals
from tests.transport.upstream import End, Script, ScriptedUpstream

NEVER = Deadlines(first=None, idle=None, total=None)


class Run:
    """One attempt in a task of its own; `steps` are what it has given so far."""

    def __init__(self, url, *, clock, deadlines=NEVER, pool=None, row="contract"):
        self.transport = Watched(pool or LivePool())
        self.exchange = exchange(row)
        self.steps = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._request = HttpRequest("POST", url + "/x", (), b"{}")
        self._options = {"deadlines": deadlines, "clock": clock}
        self.task = asyncio.ensure_future(self._take())

    async def _take(self):
        steps = run(self.transport, self._request, self.exchange, **self._options)
        async with aclosing(steps):
            async for step in steps:
                self.steps.append(step)
                await self.gate.wait()

    async def until(self, pieces):
        """Until the driver has read `pieces` and waits for more."""
        reading = asyncio.ensure_future(self.transport.until(len(pieces)))
        await asyncio.wait({reading, self.task}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert reading.done(), "the attempt ended before"

    async def done(self):
        await asyncio.wait_for(self.task, 10)

    @property
    def failure(self):
        (last,) = terminals(self.steps)
        assert isinstance(last, StreamError)
        return last.failure


FIRST = delta("a")
DEADLINES = {
    "first event": (b": only a comment\n\n", Deadlines(first=20.0, idle=5.0), 20.0),
    "idle": (FIRST + b": comment\n\n", Deadlines(first=60.0, idle=30.0), 30.0),
    "total": (FIRST, Deadlines(first=60.0, idle=60.0, total=45.0), 45.0),
}


@pytest.mark.parametrize("name", DEADLINES)
def test_a_deadline_ends_the_attempt_and_names_itself(name):
    """R5 d, R11 b and c: not a moment before, and comments do not put it off."""
    sent, deadlines, seconds = DEADLINES[name]

    async def main():
        clock, gate = ManualClock(), asyncio.Event()
        async with ScriptedUpstream([Script.sse(sent, gate)]) as up:
            attempt = Run(up.url, clock=clock, deadlines=deadlines)
            await attempt.until(sent)
            await clock.advance(seconds - 0.1)
            assert not attempt.task.done()
            await clock.advance(0.2)
            await attempt.done()
            await asyncio.wait_for(up.requests[0].closed.wait(), 10)
            return attempt

    attempt = asyncio.run(main())
    assert attempt.failure.kind is FailureKind.TIMEOUT
    assert name in attempt.failure.message
    assert attempt.failure.stage is (
        Stage.BEFORE_OUTPUT if name == "first event" else Stage.MID_STREAM
    )


def test_an_upstream_that_says_nothing_lets_the_first_deadline_pass():
    """R11 a, row 10: no head at all."""

    async def main():
        clock = ManualClock()
        async with ScriptedUpstream([Script.raw(asyncio.Event())]) as up:
            attempt = Run(up.url, clock=clock, deadlines=Deadlines(first=20.0))
            await up.seen(1)
            await clock.advance(20.1)
            await attempt.done()
            await asyncio.wait_for(up.requests[0].closed.wait(), 10)
            return attempt

    attempt = asyncio.run(main())
    assert attempt.failure.code == "first_event_deadline"
    assert attempt.failure.stage is Stage.BEFORE_HEAD


def test_bytes_that_are_no_event_do_not_feed_the_idle_deadline():
    """Row 9: an upstream that sends a byte now and then."""

    async def main():
        clock, gates = ManualClock(), [asyncio.Event() for _ in range(3)]
        drops = [step for gate in gates for step in (b"d", gate)]
        async with ScriptedUpstream([Script.sse(FIRST, *drops)]) as up:
            attempt = Run(up.url, clock=clock, deadlines=Deadlines(idle=30.0))
            for number, gate in enumerate(gates, 1):
                await attempt.until(FIRST + b"d" * number)
                assert not attempt.task.done()
                await clock.advance(10.1)
                gate.set()
            await attempt.done()
            return attempt

    assert asyncio.run(main()).failure.code == "idle_deadline"


def test_every_event_gives_the_idle_deadline_its_whole_time_again():
    """R11: a healthy stream is not killed however long it is."""

    async def main():
        clock, gates = ManualClock(), [asyncio.Event() for _ in range(40)]
        steps = [step for gate in gates for step in (FIRST, gate)]
        async with ScriptedUpstream([Script.sse(*steps, finish(), DONE)]) as up:
            attempt = Run(up.url, clock=clock, deadlines=Deadlines(first=10.0, idle=30.0))
            for number, gate in enumerate(gates, 1):
                await attempt.until(FIRST * number)
                await clock.advance(29.0)
                gate.set()
            await attempt.done()
            return attempt

    attempt = asyncio.run(main())
    assert terminals(attempt.steps) == [ResponseEnd()]


@pytest.mark.parametrize("slow", [29.0, 31.0, 300.0])
def test_a_slow_client_does_not_use_up_the_upstreams_time(slow):
    """The idle deadline counts the time in which the upstream was waited for, all of it."""

    async def main():
        clock, gate = ManualClock(), asyncio.Event()
        async with ScriptedUpstream([Script.sse(FIRST, gate, finish(), DONE)]) as up:
            attempt = Run(up.url, clock=clock, deadlines=Deadlines(idle=30.0))
            attempt.gate.clear()
            while not attempt.steps:
                await asyncio.sleep(0)
            await clock.advance(slow)
            attempt.gate.set()
            await attempt.until(FIRST)
            await clock.advance(29.0)
            assert not attempt.task.done()
            await clock.advance(1.1)
            await attempt.done()
            return attempt

    assert asyncio.run(main()).failure.code == "idle_deadline"


def test_a_cancellation_by_the_caller_is_no_deadline():
    """R10: it goes on as what it is, and the upstream is closed."""

    async def main():
        clock = ManualClock()
        async with ScriptedUpstream([Script.sse(FIRST, asyncio.Event())]) as up:
            attempt = Run(up.url, clock=clock, deadlines=Deadlines(idle=30.0, total=30.0))
            await attempt.until(FIRST)
            attempt.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt.task
            await asyncio.wait_for(up.requests[0].closed.wait(), 10)
            await clock.advance(100.0)
            return attempt

    attempt = asyncio.run(main())
    assert not attempt.exchange.ended


@pytest.mark.parametrize("first", ["caller", "deadline"])
def test_a_cancellation_at_the_moment_of_a_deadline_is_not_swallowed(first):
    """R10: in one turn of the loop, in either order."""

    async def main():
        clock = ManualClock()
        async with ScriptedUpstream([Script.sse(FIRST, asyncio.Event())]) as up:
            attempt = Run(up.url, clock=clock, deadlines=Deadlines(idle=30.0))
            await attempt.until(FIRST)
            cancel = attempt.task.cancel
            clock.call_later(30.0 if first == "deadline" else 29.0, cancel)
            fire_all_at_once(clock, 30.0)
            with pytest.raises(asyncio.CancelledError):
                await attempt.task

    asyncio.run(main())


def fire_all_at_once(clock, seconds):
    """Let time pass without a turn of the loop in between."""
    clock.now += seconds
    for callback in clock.due():
        callback()


def test_a_deadline_leaves_no_cancellation_behind():
    """The task that runs the attempt goes on as if nobody had cancelled it."""

    async def main():
        clock = ManualClock()
        async with ScriptedUpstream([Script.sse(FIRST, asyncio.Event())]) as up:
            attempt = Run(up.url, clock=clock, deadlines=Deadlines(idle=30.0))
            await attempt.until(FIRST)
            await clock.advance(30.1)
            await attempt.done()
            return attempt.task

    task = asyncio.run(main())
    assert task.cancelling() == 0
    assert not task.cancelled()


def test_every_fault_of_a_transport_is_a_failure():
    assert set(KINDS) == set(ErrorKind)
    for kind in ErrorKind:
        failure = driver.failure_of(TransportError(kind, "said so"))
        assert failure.retryable is (kind is not ErrorKind.UNMATCHED)


@pytest.mark.parametrize("kind", ErrorKind)
def test_what_a_transport_says_is_for_the_operator(kind):
    """Addresses never reach a client; what a replay says of a miss is meant for it."""
    failure = driver.failure_of(TransportError(kind, "10.0.0.1:443: said so"))
    for_client = kind is ErrorKind.UNMATCHED
    assert ("10.0.0.1" in failure.message) is for_client
    assert failure.detail == (None if for_client else "10.0.0.1:443: said so")


GOOD_ENDS = {
    "the end mark and the end in one piece": [SMALL],
    "the end of the body apart": [SMALL, b": bye\n\n"],
    "no end mark": [SMALL.removesuffix(DONE)],
    "words after the end mark": [SMALL, delta("ghost"), delta("ghost")],
}


@pytest.mark.parametrize("row", ["contract", "plain"])
@pytest.mark.parametrize("end", GOOD_ENDS)
def test_many_attempts_use_one_connection(end, row):
    """Trap 1: counted at the upstream."""

    async def main():
        async with ScriptedUpstream(lambda request: Script.sse(*GOOD_ENDS[end])) as up:
            pool, clock = LivePool(), ManualClock()
            for _ in range(5):
                attempt = Run(up.url, clock=clock, pool=pool, row=row)
                await attempt.done()
                assert terminals(attempt.steps) == [ResponseEnd()]
                assert b"ghost" not in output(attempt.steps)
            return up.connections

    assert asyncio.run(main()) == 1


def test_an_end_of_the_body_that_comes_late_keeps_the_connection():
    """Trap 1: after `[DONE]` the last bytes of the body are waited for, comments and all."""

    async def main():
        gates = [asyncio.Event(), asyncio.Event()]
        scripts = [Script.sse(SMALL, gates[0], b": bye\n\n", gates[1]), Script.sse(SMALL)]
        async with ScriptedUpstream(scripts) as up:
            pool, clock = LivePool(), ManualClock()
            attempt = Run(up.url, clock=clock, pool=pool)
            await attempt.until(SMALL)
            gates[0].set()
            await attempt.until(SMALL + b": bye\n\n")
            gates[1].set()
            await attempt.done()
            await Run(up.url, clock=clock, pool=pool).done()
            return up.connections

    assert asyncio.run(main()) == 1


def test_the_end_of_the_body_is_waited_for_only_so_long():
    """An upstream that says `[DONE]` and never ends: by the clock, after the client was told."""

    async def main():
        clock, gate = ManualClock(), asyncio.Event()
        async with ScriptedUpstream([Script.sse(SMALL, gate)]) as up:
            attempt = Run(up.url, clock=clock)
            await attempt.until(SMALL)
            assert terminals(attempt.steps) == [ResponseEnd()]
            await clock.advance(DRAIN_SECONDS - 0.1)
            assert not attempt.task.done()
            await clock.advance(0.2)
            await attempt.done()
            await asyncio.wait_for(up.requests[0].closed.wait(), 10)

    asyncio.run(main())


def test_what_follows_the_end_is_read_only_so_far():
    """R12: an upstream that goes on talking after `[DONE]` is hung up on."""
    ghost = delta("g" * 2000)

    async def main():
        async with ScriptedUpstream([Script.sse(SMALL, *[ghost] * 20_000)]) as up:
            attempt = Run(up.url, clock=ManualClock())
            await attempt.done()
            assert attempt.transport.taken < len(SMALL) + DRAIN_BYTES + 2 * high_water
            await asyncio.wait_for(up.requests[0].closed.wait(), 10)
            return attempt

    high_water = 256 * 1024
    assert b"ggg" not in output(asyncio.run(main()).steps)


def test_a_cancellation_while_it_drains_is_the_callers():
    async def main():
        async with ScriptedUpstream([Script.sse(SMALL, asyncio.Event())]) as up:
            attempt = Run(up.url, clock=ManualClock())
            await attempt.until(SMALL)
            attempt.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt.task
            await asyncio.wait_for(up.requests[0].closed.wait(), 10)
            return attempt

    assert asyncio.run(main()).exchange.seen.complete


@pytest.mark.parametrize("end", [End.CUT, End.RESET])
def test_a_connection_that_breaks_after_the_end_does_no_harm(end):
    """Row 5: the answer was over before."""

    async def main():
        async with ScriptedUpstream([Script.sse(SMALL, end=end)]) as up:
            attempt = Run(up.url, clock=ManualClock())
            await attempt.done()
            return attempt

    assert terminals(asyncio.run(main()).steps) == [ResponseEnd()]


def test_a_reader_that_gives_up_closes_the_upstream_before_it_goes_on():
    """R10: closing the iterator is enough."""

    async def main():
        async with ScriptedUpstream([Script.sse(FIRST, asyncio.Event())]) as up:
            request = HttpRequest("POST", up.url + "/x", (), b"{}")
            steps = run(LivePool(), request, exchange(), clock=ManualClock())
            async with aclosing(steps):
                await anext(steps)
            await settle_loop()
            await asyncio.wait_for(up.requests[0].closed.wait(), 10)

    asyncio.run(main())
