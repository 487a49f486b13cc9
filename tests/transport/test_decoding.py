"""Fault row 23: encoded bodies are decoded event by event, however they arrive, and bounded."""

import asyncio
import subprocess
import sys
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.transport.base import ErrorKind
from arno.transport.decoding import (
    READ_ROOM,
    DecodedResponse,
    DecodingChain,
    codings_of,
    decoded,
)
from arno.transport.live import LivePool
from tests.transport.encoding import (
    BODY,
    ENCODERS,
    EVENTS,
    PiecesResponse,
    bomb,
    brotli,
    encoded,
    encoded_pieces,
    every_coding,
    outcome,
    response,
    zstd,
)
from tests.transport.running import (
    fault_of,
    on_both_loops,
    pool,
    post,
    read_all,
    read_to_fault,
    within,
)
from tests.transport.upstream import End, Framing, Script, ScriptedUpstream

# ---------------------------------------------------------------- over the wire


def gated(name):
    """A script that holds each event back until its gate opens, and the gates."""
    gates = [asyncio.Event() for _ in EVENTS]
    pieces = encoded_pieces(name, EVENTS)
    steps = [step for pair in zip(gates, pieces, strict=False) for step in pair]
    headers = [("content-type", "text/event-stream"), ("content-encoding", ENCODERS[name][0])]
    return Script([*steps, pieces[-1]], headers=headers), gates


async def read_in_order(live, name):
    """Each event must be read before the next one leaves the upstream."""
    script, gates = gated(name)
    async with ScriptedUpstream([script, Script.json(b"{}")]) as upstream:
        reader = await live.send(post(upstream.url))
        for gate, event in zip(gates, EVENTS, strict=True):
            gate.set()
            got = b""
            while len(got) < len(event):
                got += await reader.read()
            assert got == event
        assert [await reader.read() for _ in range(3)] == [b""] * 3
        # The connection was read to its end: it carries the next request.
        assert await read_all(await live.send(post(upstream.url))) == b"{}"
        assert upstream.connections == 1
        return reader.headers


@on_both_loops
@every_coding
def test_each_event_is_read_before_the_next_one_leaves_the_upstream(run, name):
    async def scenario():
        async with pool() as live:
            headers = await read_in_order(live, name)
            names = [key for key, _ in headers]
            assert "content-type" in names
            assert not {"content-encoding", "content-length"} & set(names)

    run(within(20, scenario()))


def test_mutant_that_waits_for_the_whole_body_is_caught(monkeypatch):
    read = DecodedResponse.read

    async def read_whole(self):
        pieces = []
        while piece := await read(self):
            pieces.append(piece)
        return b"".join(pieces)

    monkeypatch.setattr(DecodedResponse, "read", read_whole)

    async def scenario():
        async with pool() as live:
            await asyncio.wait_for(read_in_order(live, "gzip"), 0.5)

    with pytest.raises(TimeoutError):
        asyncio.run(scenario())


def test_a_pool_told_not_to_decode_gives_the_bytes_and_headers_as_they_come():
    async def scenario():
        script = Script([encoded("gzip", BODY)], headers=[("Content-Encoding", "gzip")])
        async with ScriptedUpstream(lambda _: script) as upstream:
            live = LivePool(decode=False)
            raw = await live.send(post(upstream.url))
            assert ("content-encoding", "gzip") in raw.headers
            assert await read_all(raw) == encoded("gzip", BODY)
            await live.aclose()
            async with pool() as live:  # the control
                assert await read_all(await live.send(post(upstream.url))) == BODY

    asyncio.run(within(20, scenario()))


@on_both_loops
@pytest.mark.parametrize("end", [End.CUT, End.RESET])
def test_a_cut_gives_what_can_be_decoded_and_then_fails(run, end):
    async def scenario():
        gate = asyncio.Event()
        pieces = encoded_pieces("gzip", EVENTS)[:3]
        script = Script([*pieces, gate], headers=[("content-encoding", "gzip")], end=end)
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            reader = await live.send(post(upstream.url))
            got = b""
            while len(got) < len(b"".join(EVENTS[:3])):
                got += await reader.read()
            gate.set()
            assert (got, await read_to_fault(reader)) == (
                b"".join(EVENTS[:3]),
                (b"", ErrorKind.CUT),
            )

    run(within(20, scenario()))


@on_both_loops
def test_a_fault_closes_the_connection_and_names_the_upstream(run):
    async def scenario():
        script = Script([b"not gzip", asyncio.Event()], headers=[("content-encoding", "gzip")])
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            reader = await live.send(post(upstream.url))
            error = await fault_of(reader.read())
            await upstream.requests[0].closed.wait()
            place = upstream.url.removeprefix("http://")
            assert error.message.startswith(f"{place}: content-encoding 'gzip': not valid data")
            assert (error.kind, error.sent) == (ErrorKind.PROTOCOL, True)

    run(within(20, scenario()))


@on_both_loops
def test_a_stopped_reader_stops_the_upstream(run):
    """What is decoded already is given out before more is read: nothing piles up here."""
    piece = encoded("gzip", bytes(range(256)) * 4096)

    async def scenario():
        script = Script([piece] * 40_000, headers=[("content-encoding", "gzip")])
        async with (
            ScriptedUpstream([script], send_buffer=65_536) as upstream,
            pool(read_high_water=65_536) as live,
        ):
            reader = await live.send(post(upstream.url))
            assert await reader.read()
            last, request = -1, upstream.requests[0]
            while request.sent != last:
                last = request.sent
                await asyncio.sleep(0.2)
            assert not request.answered.is_set()
            reader.abort()
            await request.closed.wait()

    run(within(60, scenario()))


@on_both_loops
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_answer_without_a_body_needs_no_decoding(run, method):
    async def scenario():
        headers = [("content-encoding", "gzip")]
        script = Script([], headers=headers, framing=Framing.LENGTH)
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            request = post(upstream.url)
            reader = await live.send(type(request)(method, request.url))
            assert await read_all(reader) == b""

    run(within(20, scenario()))


# ---------------------------------------------------------------- the law


@settings(max_examples=60)
@given(
    name=st.sampled_from(sorted(ENCODERS)),
    pieces=st.lists(st.binary(max_size=300), max_size=6),
    cuts=st.lists(st.integers(min_value=0), max_size=12),
    room=st.integers(min_value=1, max_value=400),
)
def test_any_split_of_the_encoded_bytes_gives_the_same_decoded_bytes(name, pieces, cuts, room):
    whole = b"".join(encoded_pieces(name, pieces))
    marks = [0, *sorted(cut % (len(whole) + 1) for cut in cuts), len(whole)]
    chain = DecodingChain(codings_of((("content-encoding", ENCODERS[name][0]),)), 10_000)
    out = b""
    for begin, end in pairwise(marks):
        chain.feed(whole[begin:end])
        while piece := chain.take(room):
            out += piece
        assert not chain.pending
    assert (out, chain.ended) == (b"".join(pieces), True)


UNBOUNDED = {
    "gzip": lambda: zlib.decompressobj(31).decompress,
    "deflate": lambda: zlib.decompressobj(15).decompress,
    "raw deflate": lambda: zlib.decompressobj(-15).decompress,
    "br": lambda: brotli.Decompressor().process,
    "zstd": lambda: zstd.ZstdDecompressor().decompress,
}


@pytest.mark.parametrize("name", UNBOUNDED)
@pytest.mark.parametrize("room", [1, 7, 100_000])
def test_after_every_byte_all_is_out_that_can_be_decoded(name, room):
    """What the library itself gives for these bytes, when nothing bounds it."""
    whole = b"".join(encoded_pieces(name, [bytes(700), b"abc" * 90, BODY]))
    reference, chain = UNBOUNDED[name](), DecodingChain((ENCODERS[name][0],), 10_000)
    for at in range(len(whole)):
        expected = reference(whole[at : at + 1])
        chain.feed(whole[at : at + 1])
        got = b""
        while piece := chain.take(room):
            got += piece
        assert got == expected


@every_coding
def test_byte_by_byte_and_whole_are_the_same(name):
    whole = encoded(name, BODY)
    assert outcome(name, [whole]) == (BODY, None)
    assert outcome(name, [whole[at : at + 1] for at in range(len(whole))]) == (BODY, None)


@every_coding
def test_every_flushed_event_comes_out_of_its_own_piece(name):
    async def scenario():
        reader, _ = response(name, encoded_pieces(name, EVENTS))
        for event in EVENTS:
            assert await reader.read() == event
        assert await reader.read() == b""

    asyncio.run(scenario())


# ---------------------------------------------------------------- headers


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["gzip"], ("gzip",)),
        (["GZip"], ("gzip",)),
        ([" gzip , br"], ("gzip", "br")),
        (["gzip", "br"], ("gzip", "br")),
        (["identity"], ()),
        (["identity, gzip"], ("gzip",)),
        (["", " , "], ()),
    ],
)
def test_codings_are_read_from_every_header_in_order(values, names):
    assert codings_of(tuple(("content-encoding", value) for value in values)) == names


@pytest.mark.parametrize("headers", [(), (("content-encoding", "identity"),)])
def test_a_plain_body_is_left_alone(headers):
    inner = PiecesResponse("", [b"x"])
    inner.headers = headers
    assert decoded(inner) is inner


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize("name", ["deflate", "br", "zstd"])
def test_the_bound_of_a_body_is_exact(name):
    limit = 3 * 1024 * 1024
    body = bomb(name, 3)
    out, kind = outcome(name, [body], max_decoded=limit)
    assert (len(out), kind) == (limit, None)
    out, kind = outcome(name, [body], max_decoded=limit - 1)
    assert (len(out) < limit, kind) == (True, ErrorKind.PROTOCOL)


def test_the_bound_holds_between_the_codings_of_a_chain_too():
    """What swells in the middle and comes to nothing in the end."""
    nothing = zlib.compressobj(wbits=31)
    swollen = nothing.flush(zlib.Z_NO_FLUSH) + b"".join(
        nothing.flush(zlib.Z_FULL_FLUSH) for _ in range(3)
    )
    swollen += b"\x00\x00\x00\xff\xff" * 400_000
    pieces = [encoded("gzip", swollen)]
    assert len(pieces[0]) < 20_000
    out, kind = outcome("gzip, gzip", pieces, max_decoded=1_000_000)
    assert (out, kind) == (b"", ErrorKind.PROTOCOL)


@pytest.mark.parametrize("name", ["deflate", "br", "zstd"])
def test_a_read_is_bounded_and_others_get_their_turn(name):
    async def scenario():
        reader, inner = response(name, [bomb(name, 8)])
        turns, sizes = 0, []

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())
        while piece := await reader.read():
            sizes.append(len(piece))
        beside.cancel()
        assert sum(sizes) == 8 * 1024 * 1024
        # brotli's last block may come on top of the room.
        assert max(sizes) <= 4 * READ_ROOM
        assert turns >= len(sizes) - 1
        assert inner.reads == 2

    asyncio.run(scenario())


BOMBED = """
import asyncio, resource, sys
from arno.transport.base import TransportError
from arno.transport.decoding import MAX_DECODED, DecodingChain, decoded
from tests.transport.encoding import PiecesResponse, bomb

name, mutant = sys.argv[1:]
if mutant == "unbounded":
    take = DecodingChain.take
    DecodingChain.take = lambda self, room: take(self, 2 ** 30)
data = bomb(name, 1024)

async def main():
    reader = decoded(PiecesResponse(name, [data]))
    size = 0
    try:
        while piece := await reader.read():
            size += len(piece)
    except TransportError as error:
        return size, error
def peak():
    # Not ru_maxrss where there is better: it counts what the parent held before the child was.
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak()
size, error = asyncio.run(main())
grown = peak() - before
assert mutant != 'none' or MAX_DECODED - 2 ** 20 < size <= MAX_DECODED, size
print(grown // 1024, error.kind.value, error.message)
"""


def memory_of_a_bomb(name, mutant="none"):
    """MiB by which 1 GiB of zeros makes a process grow; how the body ends."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", BOMBED, name, mutant],
        capture_output=True,
        text=True,
        cwd=root,
        env={"PYTHONPATH": f"{root}:{root / 'src'}"},
    )
    assert not done.stderr, done.stderr
    grown, kind, message = done.stdout.split(" ", 2)
    return int(grown), kind, message


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
@pytest.mark.parametrize("name", ["deflate", "br", "zstd"])
def test_a_bomb_of_a_gigabyte_grows_memory_by_a_few_megabytes(name):
    grown, kind, message = memory_of_a_bomb(name)
    assert grown <= 16
    assert kind == "protocol"
    assert "more than 268435456 bytes when decoded" in message


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_mutant_whose_reads_are_not_bounded_is_caught():
    assert memory_of_a_bomb("deflate", "unbounded")[0] > 100


# ---------------------------------------------------------------- giving up


def test_abort_drops_what_is_decoded_already():
    async def scenario():
        reader, inner = response("deflate", [bomb("deflate", 4)])
        await reader.read()
        reader.abort()
        reader.abort()
        assert inner.aborted == 2
        assert await read_to_fault(reader) == (b"", ErrorKind.CUT)

    asyncio.run(scenario())


def test_abort_after_the_end_changes_nothing():
    async def scenario():
        reader, _ = response("gzip", [encoded("gzip", BODY)])
        assert await read_all(reader) == BODY
        reader.abort()
        assert await reader.read() == b""

    asyncio.run(scenario())


@on_both_loops
def test_a_cancelled_read_loses_nothing(run):
    async def scenario():
        script, gates = gated("gzip")
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            reader = await live.send(post(upstream.url))
            reading = asyncio.create_task(reader.read())
            for _ in range(3):
                await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            for gate in gates:
                gate.set()
            assert await read_all(reader) == BODY

    run(within(20, scenario()))


def test_a_read_cancelled_between_two_blocks_loses_nothing():
    async def scenario():
        reader, _ = response("deflate", [bomb("deflate", 1)])
        size = len(await reader.read())
        reading = asyncio.create_task(reader.read())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert size + len(await read_all(reader)) == 1024 * 1024

    asyncio.run(scenario())
