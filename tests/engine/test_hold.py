"""The head is held until the first output; heartbeats meanwhile (architecture 4.5, R9, R28)."""

import asyncio
import gc

import pytest

from arno.canon.failure import Failure, FailureKind
from arno.dialects import DIALECTS
from arno.engine.delivery import Pace
from arno.engine.engine import Generation
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
from tests.transport.upstream import End, Script, ScriptedUpstream

ROLE = chunk({"role": "assistant", "content": ""})
GOOD = (*HELLO, STOP, USAGE, DONE)
STREAM = chat_body(stream=True)
BEAT = DIALECTS["chat"].heartbeat()


class Scene:
    """One served stream with a clock that stands still; scripts by slug, tried in that order."""

    def __init__(self, *scripts, pace=None, contract=True):
        self._scripts = scripts
        self._pace = pace or Pace()
        self._contract = contract
        self.clock = ManualClock()

    async def __aenter__(self):
        self.ups = [ScriptedUpstream([script]) for script in self._scripts]
        for up in self.ups:
            await up.__aenter__()
        rows = [(f"row{n}", up.url, self._contract) for n, up in enumerate(self.ups)]
        self.bench = Bench(*rows, clock=self.clock, pace=self._pace)
        return self

    async def __aexit__(self, *error):
        for up in self.ups:
            await up.__aexit__(*error)

    def begin(self, body=STREAM, client=None):
        self.task, self.client = self.bench.begin(body, client)

    async def read(self, *pieces):
        """Until the engine has taken these from upstreams and waits for more."""
        await asyncio.wait_for(self.bench.transport.until(len(b"".join(pieces))), 10)

    async def done(self):
        await asyncio.wait_for(self.task, 10)
        assert self.client.faults == []


NO_OUTPUT = {
    "a comment": b": OPENROUTER PROCESSING\n\n",
    "a role alone": chunk({"role": "assistant"}),
    "an empty content": ROLE,
    "a null content": chunk({"content": None}),
    "an empty reasoning": chunk({"reasoning": "", "content": ""}),
}


@pytest.mark.parametrize("contract", [True, False], ids=["contract", "plain"])
@pytest.mark.parametrize("what", NO_OUTPUT)
def test_the_head_is_held_until_the_first_output(what, contract):
    """Architecture 4.5; then all that was held and the output leave as one write."""

    async def main():
        gate = asyncio.Event()
        script = Script.sse(NO_OUTPUT[what], gate, *GOOD)
        async with Scene(script, contract=contract) as scene:
            scene.begin()
            await scene.read(NO_OUTPUT[what])
            await scene.clock.advance(4.9)
            assert scene.client.status is None
            gate.set()
            await scene.client.until(lambda c: c.writes)
            assert scene.client.writes[0].count(b"Hel") == 1
            await scene.done()
            if contract:
                assert scene.client.bytes == NO_OUTPUT[what] + b"".join(GOOD)

    asyncio.run(main())


def test_after_the_hold_the_head_goes_out_with_heartbeats():
    """Architecture 4.5: what the upstream has sent stays held."""

    async def main():
        gate = asyncio.Event()
        async with Scene(Script.sse(ROLE, gate, *GOOD)) as scene:
            scene.begin()
            await scene.read(ROLE)
            await scene.clock.advance(5.0)
            client = scene.client
            assert (client.status, client.writes) == (200, [BEAT])
            assert client.headers["content-type"] == "text/event-stream"
            await scene.clock.advance(9.9)
            assert client.writes == [BEAT]
            await scene.clock.advance(10.2)
            assert client.writes == [BEAT] * 3
            gate.set()
            await scene.done()
            assert client.bytes == BEAT * 3 + ROLE + b"".join(GOOD)

    asyncio.run(main())


FAILURES = {
    "a refusal": Script.json(b'{"error":{"message":"x"}}', 500),
    "a cut": Script.sse(ROLE, end=End.CUT),
    "an error event": Script.sse(ROLE, b'data: {"error":{"message":"x","code":502}}\n\n'),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_failover_stays_allowed_after_the_head_went_out(failure):
    """R28, rows 3 to 5: until the first output; nothing of the failed attempt is told."""
    script = FAILURES[failure]

    async def main():
        gate = asyncio.Event()
        first = Script(script.body, script.status, script.headers, script.framing, script.end)
        first.before = [gate]
        async with Scene(first, Script.sse(*GOOD)) as scene:
            scene.begin()
            await scene.ups[0].seen(1)
            await settle_loop()
            await scene.clock.advance(5.0)
            assert scene.client.writes == [BEAT]
            gate.set()
            await scene.done()
            assert scene.client.bytes == BEAT + b"".join(GOOD)
            assert [e.state for e in scene.bench.exchanges] == ["error", "success"]

    asyncio.run(main())


@pytest.mark.parametrize("failure", FAILURES)
def test_with_nobody_left_an_open_stream_ends_in_an_error_chunk(failure):
    """R5: the head is out, so the failure is told in the stream; one row says so."""
    script = FAILURES[failure]

    async def main():
        gate = asyncio.Event()
        first = Script(script.body, script.status, script.headers, script.framing, script.end)
        first.before = [gate]
        async with Scene(first) as scene:
            scene.begin()
            await scene.ups[0].seen(1)
            await settle_loop()
            await scene.clock.advance(5.0)
            gate.set()
            await scene.done()
            client, entry = scene.client, scene.bench.entry
            assert client.status == entry.http_status == 200
            assert client.writes[0] == BEAT
            assert client.documents[-1]["choices"][0]["finish_reason"] == "error"
            assert not client.is_done
            assert entry.state == "error"

    asyncio.run(main())


def test_heartbeats_come_only_after_a_silence():
    """R9: every `beat` seconds without a write, mid-stream too."""

    async def main():
        gates = [asyncio.Event() for _ in range(5)]
        pieces = [chunk({"content": str(number)}) for number in range(5)]
        steps = [step for pair in zip(pieces, gates, strict=True) for step in pair]
        async with Scene(Script.sse(*steps, STOP, DONE)) as scene:
            scene.begin()
            for number, gate in enumerate(gates, 1):
                await scene.read(*pieces[:number])
                await scene.clock.advance(9.0)
                gate.set()
            await scene.read(*pieces)
            await scene.done()
            assert BEAT not in scene.client.bytes

    asyncio.run(main())


def test_a_silence_mid_stream_is_filled_every_beat():
    async def main():
        gate = asyncio.Event()
        async with Scene(Script.sse(HELLO[0], gate, HELLO[1], STOP, DONE)) as scene:
            scene.begin()
            await scene.read(HELLO[0])
            await scene.clock.advance(31.0)
            gate.set()
            await scene.done()
            client = scene.client
            assert client.bytes == HELLO[0] + BEAT * 3 + HELLO[1] + STOP + DONE
            assert client.writes[1:4] == [BEAT] * 3

    asyncio.run(main())


def test_a_client_that_does_not_read_gets_no_heartbeat_into_its_write():
    """Never concurrent with a write, however long it takes; none is owed afterwards."""

    async def main():
        gate = asyncio.Event()
        async with Scene(Script.sse(HELLO[0], gate, HELLO[1], STOP, DONE)) as scene:
            client = Client(reads=False)
            scene.begin(client=client)
            await client.until(lambda c: c.waiting is not None)
            await scene.clock.advance(100.0)
            assert client.writes == []
            client.gate.set()
            await scene.read(HELLO[0])
            await scene.clock.advance(9.0)
            assert client.writes == [HELLO[0]]
            await scene.clock.advance(1.1)
            assert client.writes == [HELLO[0], BEAT]
            gate.set()
            await scene.done()

    asyncio.run(main())


def test_output_waits_for_a_heartbeat_that_is_being_written():
    async def main():
        gate = asyncio.Event()
        async with Scene(Script.sse(ROLE, gate, *GOOD)) as scene:
            client = Client(reads=False)
            scene.begin(client=client)
            await scene.read(ROLE)
            await scene.clock.advance(5.0)
            assert client.waiting == b""
            gate.set()
            while scene.bench.transport.taken == len(ROLE):
                await asyncio.sleep(0)
            await scene.clock.advance(50.0)
            client.gate.set()
            await scene.done()
            assert client.bytes == BEAT + ROLE + b"".join(GOOD)

    asyncio.run(main())


def test_an_error_waits_for_a_heartbeat_that_is_being_written():
    """The heartbeat had opened a stream, so the error is told in it: never JSON inside."""

    async def main():
        gate = asyncio.Event()
        async with Scene(Script([b"{}"], 500, before=[gate])) as scene:
            client = Client(reads=False)
            scene.begin(client=client)
            await scene.ups[0].seen(1)
            await settle_loop()
            await scene.clock.advance(5.0)
            assert client.waiting == b""
            gate.set()
            await asyncio.wait_for(scene.ups[0].requests[0].answered.wait(), 10)
            for _ in range(10):
                await asyncio.sleep(0.001)
            client.gate.set()
            await scene.done()
            assert client.writes[0] == BEAT
            assert client.documents[-1]["error"]["code"] == 502
            assert client.status == scene.bench.entry.http_status == 200

    asyncio.run(main())


def test_a_heartbeat_that_is_due_with_an_error_stays_out_of_it():
    """Both in one turn of the loop: the heartbeat opens a stream first, the error is told in it."""

    async def main():
        clock, client = ManualClock(), Client(reads=False)
        bench = Bench(plain="http://127.0.0.1:1", clock=clock)
        generation = Generation(bench.engine, bench.call(STREAM), client)
        generation.delivery.start()
        refusing = asyncio.ensure_future(generation._refuse(Failure(FailureKind.SERVER, "boom")))
        clock.now += 5.0
        for callback in clock.due():
            callback()  # the heartbeat's task comes behind the one that refuses
        await settle_loop()
        client.gate.set()
        await asyncio.wait_for(refusing, 10)
        return client, bench

    client, bench = asyncio.run(main())
    assert client.faults == []
    assert client.writes[0] == BEAT
    assert client.documents[-1]["error"]["message"] == "boom"
    assert client.status == bench.entry.http_status == 200


def test_a_whole_answer_is_waited_for_in_silence():
    """No heartbeat and no head before it: its status is not known."""

    async def main():
        gate = asyncio.Event()
        script = Script.json(answer())
        script.before = [gate]
        async with Scene(script) as scene:
            scene.begin(chat_body())
            await scene.ups[0].seen(1)
            await settle_loop()
            await scene.clock.advance(59.0)
            assert (scene.client.status, scene.client.writes) == (None, [])
            gate.set()
            await scene.done()
            assert scene.client.bytes == answer()

    asyncio.run(main())


def test_a_heartbeat_that_finds_the_client_gone_is_nobodys_error():
    """What the client's side raises is told by the next write; nothing is left to the loop."""

    class Gone(Client):
        async def body(self, data):
            raise ConnectionResetError("the client is gone")

    async def main():
        unhandled = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: unhandled.append(told))
        gate = asyncio.Event()
        async with Scene(Script.sse(ROLE, gate, *GOOD)) as scene:
            scene.begin(client=Gone())
            await scene.read(ROLE)
            await scene.clock.advance(5.0)
            assert scene.client.status == 200
            gate.set()
            with pytest.raises(ConnectionResetError):
                await scene.task
            assert len(scene.bench.sink.appended) == 1
            del scene.task
            gc.collect()
        return unhandled

    assert asyncio.run(main()) == []


def test_no_heartbeat_comes_after_the_end():
    async def main():
        async with Scene(Script.sse(*GOOD)) as scene:
            scene.begin()
            await scene.done()
            await scene.clock.advance(100.0)
            assert scene.client.bytes == b"".join(GOOD)

    asyncio.run(main())


@pytest.mark.parametrize("contract", [True, False], ids=["contract", "plain"])
def test_what_is_held_is_bounded(contract):
    """R12: beyond it the head goes out; every byte once and in order."""

    async def main():
        gate = asyncio.Event()
        fillers = [chunk({"role": "assistant"}, pad=f"{n:02}" + "x" * 98) for n in range(30)]
        script = Script.sse(*fillers, gate, *GOOD)
        async with Scene(script, pace=Pace(held_bytes=1000), contract=contract) as scene:
            scene.begin()
            await scene.read(b"".join(fillers))
            gate.set()
            await scene.done()
            pads = [document["pad"][:2] for document in scene.client.documents[:30]]
            assert pads == [f"{n:02}" for n in range(30)]
            assert scene.client.is_done
            assert len(scene.client.documents) == 30 + (4 if contract else 3)

    asyncio.run(main())


def test_what_is_held_leaves_at_once_when_one_read_is_over_the_bound():
    async def main():
        gate = asyncio.Event()
        big = b": " + b"x" * 5000 + b"\n\n"
        async with Scene(Script.sse(ROLE, big, gate, *GOOD), pace=Pace(held_bytes=1000)) as scene:
            scene.begin()
            await scene.read(ROLE, big)
            assert scene.client.bytes == ROLE + big
            gate.set()
            await scene.done()
            assert scene.client.bytes == ROLE + big + b"".join(GOOD)

    asyncio.run(main())


def test_comments_never_cost_the_failover():
    """Section 4.5: signs of life beyond the bound are dropped; another candidate may serve."""

    async def main():
        comment = b": " + b"x" * 98 + b"\n\n"
        bad = Script.sse(*[comment] * 30, end=End.CUT)
        async with Scene(bad, Script.sse(*GOOD), pace=Pace(held_bytes=1000)) as scene:
            scene.begin()
            await scene.done()
            assert scene.client.is_done
            assert b"xxx" not in scene.client.bytes
            assert [e.state for e in scene.bench.exchanges] == ["error", "success"]

    asyncio.run(main())


def test_after_the_held_bytes_went_out_nothing_is_switched():
    """The client has read of this attempt, so another one may not begin anew."""

    async def main():
        filler = chunk({"role": "assistant"}, pad="x" * 98)
        bad = Script.sse(*[filler] * 30, end=End.CUT)
        async with Scene(bad, Script.sse(*GOOD), pace=Pace(held_bytes=1000)) as scene:
            scene.begin()
            await scene.done()
            assert scene.ups[1].requests == []
            assert scene.client.documents[-1]["choices"][0]["finish_reason"] == "error"
            assert scene.bench.entry.state == "error"

    asyncio.run(main())
