"""No event waits for the next, none is merged, a burst stays one write (R8, architecture 4.4)."""

import asyncio

import pytest

from tests.engine.harness import DONE, STOP, USAGE, Bench, Client, answer, chat_body, chunk
from tests.transport.upstream import End, Script, ScriptedUpstream

ROWS = ["plain", "contract"]
EVENTS = [chunk({"content": f"{number:0>60}"}) for number in range(60)]


async def in_step(slug, *, include_usage=True, patience=10.0):
    """60 events, each released once the client has the one before; the client."""
    gates = [asyncio.Event() for _ in EVENTS]
    steps = [step for pair in zip(EVENTS, gates, strict=True) for step in pair]
    asked = {"stream_options": {"include_usage": True}} if include_usage else {}
    async with ScriptedUpstream([Script.sse(*steps, STOP, USAGE, DONE)]) as up:
        bench = Bench(**{slug: up.url})
        task, client = bench.begin(chat_body(stream=True, **asked))
        for number, gate in enumerate(gates, 1):
            has_it = client.until(lambda c, n=number: len(c.documents) == n)
            await asyncio.wait_for(has_it, patience)
            assert len(client.writes) == number
            gate.set()
        await asyncio.wait_for(task, 10)
    return client


@pytest.mark.parametrize("include_usage", [True, False])
@pytest.mark.parametrize("slug", ROWS)
def test_the_client_has_event_k_before_the_upstream_sends_the_next(slug, include_usage):
    """R8, trap 2: by order; one event, one write."""
    client = asyncio.run(in_step(slug, include_usage=include_usage))
    contents = [
        choice["delta"].get("content")
        for document in client.documents[: len(EVENTS)]
        for choice in document["choices"]
    ]
    assert contents == [f"{number:0>60}" for number in range(60)]
    assert client.is_done


@pytest.mark.parametrize("slug", ROWS)
def test_what_arrives_together_leaves_together(slug):
    """Architecture 4.4: one upstream read gives at most one client write."""

    async def main():
        gate = asyncio.Event()
        burst = b"".join(EVENTS[1:9])
        async with ScriptedUpstream([Script.sse(EVENTS[0], gate, burst, STOP, DONE)]) as up:
            bench = Bench(**{slug: up.url})
            task, client = bench.begin(chat_body(stream=True))
            await client.until(lambda c: len(c.documents) == 1)
            gate.set()
            await client.until(lambda c: len(c.documents) >= 9)
            await asyncio.wait_for(task, 10)
            return client

    client = asyncio.run(main())
    assert client.writes[1].count(b"data: ") >= 8
    assert len(client.writes) <= 4


@pytest.mark.parametrize("slug", ROWS)
def test_every_write_is_whole_frames(slug):
    """An event that an upstream cuts in two leaves once it is whole."""

    async def main():
        gate = asyncio.Event()
        head, tail = EVENTS[1][:40], EVENTS[1][40:]
        async with ScriptedUpstream([Script.sse(EVENTS[0], head, gate, tail, STOP, DONE)]) as up:
            bench = Bench(**{slug: up.url})
            task, client = bench.begin(chat_body(stream=True))
            await bench.transport.until(len(EVENTS[0] + head))
            assert len(client.documents) == 1
            gate.set()
            await asyncio.wait_for(task, 10)
            return client

    client = asyncio.run(main())
    assert all(write.endswith(b"\n\n") for write in client.writes)
    assert len(client.documents) == 3


@pytest.mark.parametrize("end", [End.KEEP, End.CLOSE])
@pytest.mark.parametrize("slug", ROWS)
def test_a_finish_and_the_end_of_the_body_is_a_success(slug, end):
    """R5 e, row 8: the end mark is added, usage is kept."""

    async def main():
        async with ScriptedUpstream([Script.sse(*EVENTS[:2], STOP, USAGE, end=end)]) as up:
            bench = Bench(**{slug: up.url})
            return await bench.serve(chat_body(stream=True)), bench

    client, bench = asyncio.run(main())
    assert client.bytes.endswith(DONE)
    assert client.bytes.count(DONE) == 1
    assert (bench.entry.state, bench.entry.output_tokens) == ("success", 5)


@pytest.mark.parametrize("slug", ROWS)
def test_the_answer_ends_before_the_upstream_hangs_up(slug):
    """The client is not kept waiting for the end of the upstream's body."""

    async def main():
        gate = asyncio.Event()
        async with ScriptedUpstream([Script.sse(*EVENTS[:2], STOP, DONE, gate)]) as up:
            bench = Bench(**{slug: up.url})
            task, client = bench.begin(chat_body(stream=True))
            await asyncio.wait_for(client.until(lambda c: c.ended), 10)
            assert not up.requests[0].answered.is_set()
            gate.set()
            await asyncio.wait_for(task, 10)
            return client

    assert asyncio.run(main()).is_done


@pytest.mark.parametrize("slug", ROWS)
def test_the_ledger_knows_the_answer_before_the_client_reads_its_end(slug):
    """Architecture 4.6: one append, and only then the terminal bytes."""

    async def main():
        async with ScriptedUpstream([Script.sse(*EVENTS[:2], STOP, USAGE, DONE)]) as up:
            return await last_writes_follow_the_ledger(Bench(**{slug: up.url}))

    asyncio.run(main())


async def last_writes_follow_the_ledger(bench, streamed=True):
    """The check: the ledger has the row at the last write, and at no write before it."""
    client = Ordered(bench)
    await bench.serve(chat_body(stream=streamed), client)
    assert client.entered == [False] * (len(client.entered) - 1) + [True]
    assert client.ended


class Ordered(Client):
    """A client that looks into the ledger at every write."""

    def __init__(self, bench):
        super().__init__()
        self._bench = bench
        self.entered = []

    async def body(self, data):
        self.entered.append(bool(self._bench.sink.appended))
        await super().body(data)


def test_the_ledger_knows_a_whole_answer_before_the_client_reads_it():
    """Architecture 4.6."""

    async def main():
        async with ScriptedUpstream([Script.json(answer())]) as up:
            await last_writes_follow_the_ledger(Bench(plain=up.url), streamed=False)

    asyncio.run(main())
