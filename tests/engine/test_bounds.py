"""R12, rows 18, 22 and 26: nothing an upstream or a client does makes a call grow without bound."""

import asyncio
import tracemalloc

import pytest

from arno.exchange.machine import Limits
from arno.transport.live import LiveLimits, LivePool
from tests.engine.harness import DONE, HELLO, STOP, Bench, Client, answer, chat_body, chunk
from tests.transport.upstream import Framing, Script, ScriptedUpstream

MEGA = 1024 * 1024
PIECE = b"x" * 65536
LIMITS = Limits(frame=256 * 1024, whole=256 * 1024)
STREAM_HEADERS = [("content-type", "text/event-stream")]
JSON_HEADERS = [("content-type", "application/json")]
SOCKETS = 16 * MEGA
"""More than the kernel's buffers of both ends may hold, far less than what is offered."""


async def swallow(script, body, slug):
    """Serve one endless answer: (client, bench, bytes sent by the upstream, peak of memory)."""
    async with ScriptedUpstream([script], send_buffer=65536) as up:
        bench = Bench(**{slug: up.url}, limits=LIMITS)
        tracemalloc.start()
        try:
            client = await asyncio.wait_for(bench.serve(body), 30)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        await asyncio.wait_for(up.requests[0].closed.wait(), 10)
        return client, bench, up.requests[0].sent, peak


@pytest.mark.parametrize("slug", ["plain", "contract"])
@pytest.mark.parametrize("start", [(), HELLO], ids=["at once", "mid-stream"])
def test_a_line_without_an_end_is_given_up_at_the_frame_limit(start, slug):
    """R12, row 18: 200 MB without a newline."""
    endless = Script([*start, b"data: ", *[PIECE] * 3200], headers=STREAM_HEADERS)
    client, bench, sent, peak = asyncio.run(swallow(endless, chat_body(stream=True), slug))
    assert sent < SOCKETS
    assert peak < 8 * MEGA
    assert bench.exchanges[0].error_kind == "invalid_answer"
    if start:
        assert client.documents[-1]["choices"][0]["finish_reason"] == "error"
        assert bench.entry.state == "truncated"
    else:
        assert (client.status, bench.entry.state) == (502, "error")


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_a_whole_answer_without_an_end_is_given_up(status, streamed):
    """R12: 200 MB of JSON, or of a refusal."""
    endless = Script([b'{"a":"', *[PIECE] * 3200], status, JSON_HEADERS)
    client, bench, sent, peak = asyncio.run(swallow(endless, chat_body(stream=streamed), "plain"))
    assert sent < SOCKETS
    assert peak < 8 * MEGA
    assert client.status == 502
    assert bench.entry.state == "error"
    assert len(client.bytes) < 4096


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_an_empty_answer_is_a_failure(streamed):
    """Row 22: 200 and nothing."""

    async def main():
        script = Script([], headers=JSON_HEADERS, framing=Framing.LENGTH)
        async with ScriptedUpstream([script]) as up:
            bench = Bench(plain=up.url)
            return await bench.serve(chat_body(stream=streamed)), bench

    client, bench = asyncio.run(main())
    assert (client.status, bench.entry.state) == (502, "error")


async def steady(request):
    """Wait until the upstream cannot write any more; how much it has written."""
    before = -1
    while request.sent != before:
        before = request.sent
        await asyncio.sleep(0.1)
    return request.sent


OFFERED = 800
EVENT = chunk({"content": "y" * 65_000})
HIGH_WATER = 128 * 1024


@pytest.mark.parametrize("slug", ["plain", "contract"])
def test_a_client_that_does_not_read_pauses_the_upstream(slug):
    """R12, row 26: 50 MB are offered; what does not fit into sockets stays with the upstream."""

    async def main():
        script = Script.sse(*[EVENT] * OFFERED, STOP, DONE)
        async with ScriptedUpstream([script], send_buffer=65536) as up:
            pool = LivePool(LiveLimits(read_high_water=HIGH_WATER))
            bench, client = Bench(**{slug: up.url}, transport=pool), Client(reads=False)
            task, _ = bench.begin(chat_body(stream=True), client)
            await client.until(lambda c: c.waiting is not None)
            sent = await asyncio.wait_for(steady(up.requests[0]), 20)
            assert sent < SOCKETS < OFFERED * len(EVENT)
            assert bench.transport.taken <= 2 * (HIGH_WATER + len(EVENT)) + MEGA
            assert client.writes == []
            client.gate.set()
            await asyncio.wait_for(task, 30)
            return client, bench

    client, bench = asyncio.run(main())
    assert client.bytes.count(b'"content":"yyy') == OFFERED
    assert client.is_done
    assert bench.entry.state == "success"


def test_a_whole_answer_below_the_limit_passes():
    """The control: the same harness, the same limits."""

    async def main():
        body = answer("z" * 200_000)
        async with ScriptedUpstream([Script.json(body)]) as up:
            bench = Bench(contract=up.url, limits=LIMITS)
            return await bench.serve(chat_body()), body

    client, body = asyncio.run(main())
    assert client.bytes == body
