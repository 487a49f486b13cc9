"""R10, row 25: a client that leaves, at every moment of a call.

The upstream is closed, nothing else is tried, one row is written, and it says how far it came.
"""

import asyncio
from dataclasses import dataclass, field

import pytest

from arno.engine.call import SHUTTING_DOWN
from arno.transport.live import LiveLimits, LivePool
from tests.engine.harness import (
    DONE,
    HELLO,
    STOP,
    USAGE,
    Bench,
    Client,
    ManualClock,
    answer,
    chat_body,
    chunk,
    settle_loop,
)
from tests.transport.upstream import Script, ScriptedUpstream

ROLE = chunk({"role": "assistant", "content": ""})


@dataclass
class Scene:
    """What the moments below may look at."""

    up: ScriptedUpstream
    bench: Bench
    client: Client
    clock: ManualClock
    taken: int

    async def reading(self):
        """The engine has taken all there is and waits for more."""
        await self.up.seen(1)
        await self.bench.transport.until(self.taken)

    async def head(self):
        await self.up.seen(1)
        await settle_loop()

    async def writing(self):
        """The engine is in a write that the client does not take."""
        await self.client.until(lambda c: c.waiting)

    async def ended(self):
        await self.client.until(lambda c: c.ended)
        await self.bench.transport.until(self.taken)

    async def beating(self):
        """A heartbeat is in a write that the client does not take."""
        await self.reading()
        await self.clock.advance(5.0)
        assert self.client.waiting == b""


@dataclass
class Moment:
    """pieces: what the upstream says, then it is silent (whole: before its head)."""

    pieces: tuple[bytes, ...]
    when: str
    state: str
    streamed: bool = True
    reads: bool = True
    headless: bool = False
    written: tuple[bytes, ...] = field(default=())


GOOD = (*HELLO, STOP, USAGE, DONE)
MOMENTS = {
    "before the upstream's head": Moment((), "head", "cancelled", headless=True),
    "before a whole answer": Moment((), "head", "cancelled", streamed=False, headless=True),
    "before the first event": Moment((), "reading", "cancelled"),
    "while the head is held": Moment((ROLE,), "reading", "cancelled"),
    "during a heartbeat": Moment((ROLE,), "beating", "cancelled", reads=False),
    "mid-stream": Moment(HELLO, "reading", "cancelled", written=HELLO),
    "during a write to a slow client": Moment(HELLO[:1], "writing", "cancelled", reads=False),
    "after the finish, before the end": Moment((*HELLO, STOP), "reading", "cancelled"),
    "during the last write": Moment(GOOD, "writing", "success", reads=False),
    "after the end, while it drains": Moment(GOOD, "ended", "success", written=GOOD),
}


async def leave(moment):
    """A call whose client leaves at `moment`: (bench, client, upstream, the next candidate)."""
    gate, clock, client = (
        asyncio.Event(),
        ManualClock(),
        Client(reads=moment.reads, takes_head=moment.when == "writing"),
    )
    steps = [b"".join(moment.pieces)] if moment.pieces else []
    script = Script.raw(gate) if moment.headless else Script.sse(*steps, gate)
    async with ScriptedUpstream([script]) as up, ScriptedUpstream([]) as other:
        bench = Bench(("contract", up.url, True), ("other", other.url, True), clock=clock)
        task, _ = bench.begin(chat_body(stream=moment.streamed), client)
        scene = Scene(up, bench, client, clock, len(b"".join(moment.pieces)))
        await asyncio.wait_for(getattr(scene, moment.when)(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Looked at before the loop turns again: nothing may be left to do afterwards.
        rows = list(bench.sink.appended)
        await is_closed(up)
        await clock.advance(100.0)
        assert bench.sink.appended == rows
        return bench, client, other


async def is_closed(up):
    """The check: the upstream of a call that was given up sees its connection closed."""
    await asyncio.wait_for(up.requests[0].closed.wait(), 2)


@pytest.mark.parametrize("name", MOMENTS)
def test_a_client_that_leaves_is_settled_once_and_truly(name):
    """R10: the upstream closed, no further attempt, one row with what is known."""
    moment = MOMENTS[name]
    bench, client, other = asyncio.run(leave(moment))
    assert other.requests == []
    assert len(bench.sink.appended) == 1
    assert bench.entry.state == moment.state
    assert [entry.state for entry in bench.exchanges] == [moment.state]
    head_out = client.status is not None or name == "during a heartbeat"  # the beat sends it
    left_early = moment.state == "cancelled" and not head_out
    assert bench.entry.http_status == (499 if left_early else 200)
    assert client.faults == []
    if moment.written:
        assert client.bytes == b"".join(moment.written)
    if moment.state == "success":
        assert bench.entry.cost_nano == 20_000
    else:
        assert bench.entry.cost_nano is None
        assert not client.is_done


def test_a_client_that_leaves_while_a_connection_is_made():
    """R10: the attempt to connect is given up; nothing was sent, one row says cancelled."""

    async def main():
        started, given_up = asyncio.Event(), asyncio.Event()

        async def connect(origin, factory, context):
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()

        bench = Bench(plain="http://127.0.0.1:1", transport=LivePool(connect=connect))
        task, client = bench.begin(chat_body(stream=True))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert given_up.is_set()
        return bench, client

    bench, client = asyncio.run(main())
    assert [record.generation.state for record in bench.sink.appended] == ["cancelled"]
    assert [entry.state for entry in bench.exchanges] == ["cancelled"]
    assert client.status is None


def test_a_client_that_leaves_between_two_candidates_is_not_served_by_the_next():
    """R10: the failed attempt keeps its own state."""

    async def main():
        scripts = [Script.json(b"{}", 500)], [Script.raw(asyncio.Event())]
        async with ScriptedUpstream(scripts[0]) as bad, ScriptedUpstream(scripts[1]) as slow:
            bench = Bench(("bad", bad.url, False), ("slow", slow.url, False))
            task, _ = bench.begin(chat_body())
            await slow.seen(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await is_closed(slow)
            return bench

    bench = asyncio.run(main())
    assert [entry.state for entry in bench.exchanges] == ["error", "cancelled"]
    assert (bench.entry.state, bench.entry.attempts) == ("cancelled", 2)
    assert len(bench.sink.appended) == 1


def test_a_slot_is_free_again_after_a_client_left():
    """R10: the next call to the same host is served."""

    async def main():
        scripts = [Script.sse(*HELLO, asyncio.Event()), Script.json(answer())]
        async with ScriptedUpstream(scripts) as up:
            pool = LivePool(LiveLimits(max_connections_per_host=1))
            bench = Bench(plain=up.url, transport=pool)
            task, client = bench.begin(chat_body(stream=True))
            await client.until(lambda c: len(c.documents) == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await asyncio.wait_for(bench.serve(chat_body()), 10)

    assert asyncio.run(main()).status == 200


SHUTDOWN_STATES = {"before any output": ((), "error"), "after output": (HELLO, "truncated")}


@pytest.mark.parametrize("moment", SHUTDOWN_STATES)
def test_a_generation_that_the_gateway_stops_is_no_cancelled_one(moment):
    """R38: the client did not leave, so its answer is a failure of ours."""
    pieces, state = SHUTDOWN_STATES[moment]

    async def main():
        gate = asyncio.Event()
        async with ScriptedUpstream([Script.sse(*pieces, gate)]) as up:
            bench = Bench(plain=up.url)
            task, client = bench.begin(chat_body(stream=True))
            await up.seen(1)
            if pieces:
                await client.until(lambda c: len(c.documents) == len(pieces))
            task.cancel(SHUTTING_DOWN)
            with pytest.raises(asyncio.CancelledError):
                await task
            return bench

    bench = asyncio.run(main())
    assert (bench.entry.state, bench.exchanges[0].state) == (state, state)
    assert bench.entry.error_code == "shutting_down"
