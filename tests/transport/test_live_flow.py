"""R12 and fault row 26: a reader that stops reading stops the upstream; memory stays bounded."""

import asyncio

from arno.transport.connection import Connection
from tests.transport.running import on_both_loops, pool, post, read_all, within
from tests.transport.upstream import Framing, Script, ScriptedUpstream, SeenRequest

PIECE = b"x" * 65_536
TOTAL = 200 * 1024 * 1024
BOUND = 24 * 1024 * 1024
"""Kernel buffers of both ends (a few MB each at most) and our high water, with room."""


def firehose(total: int) -> Script:
    return Script([PIECE] * (total // len(PIECE)), framing=Framing.LENGTH)


async def stalled(request: SeenRequest) -> int:
    """Bytes the upstream could write by the time it can write no more (or is done)."""
    last = -1
    while request.sent != last and not request.answered.is_set():
        last = request.sent
        await asyncio.sleep(0.2)
    return request.sent


@on_both_loops
def test_unread_response_stops_the_upstream(run):
    async def scenario():
        async with (
            ScriptedUpstream([firehose(TOTAL)], send_buffer=65_536) as upstream,
            pool(read_high_water=65_536) as live,
        ):
            response = await live.send(post(upstream.url))
            written = await stalled(upstream.requests[0])
            held = sum(map(len, response._pieces))
            response.abort()
            await upstream.requests[0].closed.wait()
            return written, held

    written, held = run(within(60, scenario()))
    assert written < BOUND
    # High water plus what one socket read may bring on top.
    assert held <= 65_536 + 256 * 1024


def test_mutant_that_never_pauses_is_caught(monkeypatch):
    monkeypatch.setattr(Connection, "_hold_back", lambda self: None)
    total = 2 * BOUND

    async def scenario():
        async with (
            ScriptedUpstream([firehose(total)], send_buffer=65_536) as upstream,
            pool() as live,
        ):
            response = await live.send(post(upstream.url))
            written = await stalled(upstream.requests[0])
            response.abort()
            return written

    assert asyncio.run(within(60, scenario())) > BOUND


@on_both_loops
def test_slow_reader_gets_everything_and_the_connection_is_kept(run):
    """Pausing and resuming many times loses nothing."""
    total = 8 * 1024 * 1024

    async def scenario():
        async with (
            ScriptedUpstream([firehose(total), Script.json(b"{}")]) as upstream,
            pool(read_high_water=16_384) as live,
        ):
            response = await live.send(post(upstream.url))
            size = 0
            while piece := await response.read():
                size += len(piece)
                assert len(piece) <= 16_384 + 256 * 1024
                await asyncio.sleep(0)
            await read_all(await live.send(post(upstream.url)))
            return size, upstream.connections

    assert run(within(60, scenario())) == (total, 1)


@on_both_loops
def test_a_drained_connection_is_paused_by_new_bytes_only(run):
    """What the reader has taken no longer counts against the high water."""

    async def scenario():
        gate, end = asyncio.Event(), asyncio.Event()
        large = PIECE * 8
        script = Script([large, gate, b"small", end])
        async with ScriptedUpstream([script]) as upstream, pool(read_high_water=4096) as live:
            response = await live.send(post(upstream.url))
            size = 0
            while size < len(large):
                size += len(await response.read())
            gate.set()
            while not response._pieces:
                await asyncio.sleep(0.001)
            assert not response._connection._reading_paused
            end.set()
            assert await read_all(response) == b"small"

    run(within(20, scenario()))


@on_both_loops
def test_a_connection_that_ends_its_response_while_paused_is_read_again(run):
    """TLS layers may still hand over what they had decrypted before the pause."""

    async def scenario():
        gate = asyncio.Event()
        head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(PIECE) + 4)
        scripts = [Script.raw(head + PIECE, gate), Script.json(b"next")]
        async with ScriptedUpstream(scripts) as upstream, pool(read_high_water=4096) as live:
            response = await live.send(post(upstream.url))
            connection = response._connection
            while len(response._pieces) == 0 or connection._parser.size < len(PIECE):
                await asyncio.sleep(0.001)
                if connection._reading_paused and connection._parser.size < len(PIECE):
                    connection._transport.resume_reading()
            connection._hold_back()
            assert connection._reading_paused
            connection.data_received(b"last")
            gate.set()
            assert await read_all(response) == PIECE + b"last"
            assert await read_all(await live.send(post(upstream.url))) == b"next"
            assert upstream.connections == 1

    run(within(20, scenario()))


@on_both_loops
def test_one_stalled_reader_does_not_stop_another(run):
    async def scenario():
        scripts = [firehose(TOTAL), Script.json(b"{}")]
        async with ScriptedUpstream(scripts, send_buffer=65_536) as upstream, pool() as live:
            unread = await live.send(post(upstream.url))
            assert await read_all(await live.send(post(upstream.url))) == b"{}"
            unread.abort()
            await upstream.requests[0].closed.wait()

    run(within(60, scenario()))
