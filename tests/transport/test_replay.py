"""Replay: recorded chunks at recorded times, every end as recorded, and no way to the outside."""

import asyncio
import socket
import threading

import pytest

from arno.cassette.canonical import Ignore
from arno.cassette.match import Policy
from arno.cassette.model import End
from arno.transport.base import ErrorKind, TransportError
from arno.transport.replay import MATCHED_AT_ONCE, ReplayTransport, UnmatchedRequest
from tests.transport.replaying import (
    URL,
    FakeTime,
    ask,
    cassette,
    read_chunks,
    recording,
    replay,
)
from tests.transport.running import fault_of, read_to_fault

CHUNKS = ((10, b"data: 1\n\nda"), (25, b"ta: 2\n\n"), (25, b"data: 3\n\n"), (400, b"data: 4\n\n"))
PIECES = [data for _, data in CHUNKS]
PATIENCE_S = 10


# ---------------------------------------------------------------- chunks and time


def test_a_read_gives_one_recorded_chunk_and_the_end_stays_the_end():
    async def scenario():
        response = await replay(recording(*CHUNKS)).send(ask())
        assert await read_chunks(response) == PIECES
        assert await response.read() == b""

    asyncio.run(scenario())


@pytest.mark.parametrize("scale", [1, 0.1, 10])
def test_head_and_chunks_come_at_their_scaled_times(scale):
    async def scenario():
        time = FakeTime()
        began = time.ns
        transport = replay(
            recording(*CHUNKS, duration_ms=200),
            scale=scale,
            sleep=time.sleep,
            monotonic=time.monotonic,
        )
        response = await transport.send(ask())
        head = time.ns
        arrivals = []
        while await response.read():
            arrivals.append((time.ns - head) / 1e6)
        assert (head - began) / 1e6 == pytest.approx(200 * scale)
        assert arrivals == pytest.approx([ms * scale for ms, _ in CHUNKS], abs=1e-3)

    asyncio.run(scenario())


def test_a_slow_reader_does_not_shift_what_comes_later():
    async def scenario():
        time = FakeTime()
        transport = replay(recording(*CHUNKS), scale=1, sleep=time.sleep, monotonic=time.monotonic)
        response = await transport.send(ask())
        await response.read()
        time.ns += 300_000_000  # 310 ms after the head: two more chunks are due already
        time.slept.clear()
        assert await read_chunks(response) == PIECES[1:]
        assert time.slept == pytest.approx([0, 0, 0.09], abs=1e-6)

    asyncio.run(scenario())


def test_scale_0_waits_for_nothing_but_gives_the_loop_a_turn_for_each_chunk():
    async def scenario():
        time = FakeTime()
        transport = replay(recording(*CHUNKS, duration_ms=200), sleep=time.sleep)
        await read_chunks(await transport.send(ask()))
        assert time.slept == [0.0] * (1 + len(CHUNKS))

    asyncio.run(scenario())


def test_streams_at_scale_0_take_turns():
    async def scenario():
        transport = replay(recording(*CHUNKS))
        seen = []

        async def reader(name):
            response = await transport.send(ask())
            while await response.read():
                seen.append(name)

        await asyncio.gather(reader("a"), reader("b"))
        assert seen == ["a", "b"] * len(CHUNKS)

    asyncio.run(scenario())


@pytest.mark.parametrize("scale", [-1, float("nan"), float("inf")])
def test_a_scale_must_be_a_number_that_time_can_be_stretched_by(scale):
    with pytest.raises(ValueError, match="scale must be 0 or more"):
        ReplayTransport([], scale=scale)


# ---------------------------------------------------------------- what is given back


def test_status_and_headers_are_the_recorded_ones_without_those_of_the_connection():
    headers = {
        "Content-Type": ["application/json"],
        "X-Many": ["a", "b"],
        "Content-Length": ["2"],
        "Content-Encoding": ["gzip"],
        "Transfer-Encoding": ["chunked"],
        "Connection": ["close"],
        "Retry-After": ["20"],
    }

    async def scenario():
        response = await replay(recording((0, b"{}"), status=429, headers=headers)).send(ask())
        assert response.status == 429
        assert response.headers == (
            ("content-type", "application/json"),
            ("x-many", "a"),
            ("x-many", "b"),
            ("retry-after", "20"),
        )

    asyncio.run(scenario())


@pytest.mark.parametrize("end", [End.RESET, End.CLIENT_CLOSED])
def test_a_body_without_its_end_is_a_cut_after_its_bytes(end):
    async def scenario():
        response = await replay(recording(*CHUNKS, end=end)).send(ask())
        assert await read_to_fault(response) == (b"".join(PIECES), ErrorKind.CUT)
        assert (await fault_of(response.read())).kind is ErrorKind.CUT

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [0, 101, 199, 600])
def test_a_recorded_status_that_no_response_can_have_is_a_protocol_error(status):
    async def scenario():
        fault = await fault_of(replay(recording((0, b"{}"), status=status)).send(ask()))
        assert fault.kind is ErrorKind.PROTOCOL
        assert str(status) in fault.message

    asyncio.run(scenario())


# ---------------------------------------------------------------- finding


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(ask(url="http://127.0.0.1:9/v1/chat/completions"), id="host"),
        pytest.param(ask(body=b'{ "n": 1.0, "model": "a/b" }'), id="body as JSON"),
    ],
)
def test_requests_match_by_path_and_by_what_the_body_says(asked):
    async def scenario():
        assert await read_chunks(await replay(recording(*CHUNKS)).send(asked)) == PIECES

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("asked", "difference"),
    [
        (ask(method="PUT"), 'method: recorded "POST", got "PUT"'),
        (ask(url=URL + "?a=1"), "url: recorded"),
        (ask(body=b'{"model":"a/c","n":1}'), '/model: recorded "a/b", got "a/c"'),
        (ask(body=b"{"), "body: recorded"),
    ],
)
def test_an_unmatched_request_says_what_comes_nearest(asked, difference):
    async def scenario():
        transport = ReplayTransport([cassette(recording(*CHUNKS), name="a.yaml")])
        fault = await fault_of(transport.send(asked))
        assert isinstance(fault, UnmatchedRequest)
        assert (fault.kind, fault.sent) == (ErrorKind.UNMATCHED, False)
        assert "nearest is #0 of a.yaml" in fault.message
        assert difference in fault.message
        [near] = fault.nearest
        assert (near.source, near.id, near.used) == ("a.yaml", 0, False)
        assert any(text.startswith(difference) for text in near.differences)

    asyncio.run(scenario())


def test_replay_is_sealed(monkeypatch):
    opened = []
    monkeypatch.setattr(socket.socket, "connect", lambda *args: opened.append(args))

    async def scenario():
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "create_connection", lambda *args: opened.append(args))
        monkeypatch.setattr(loop, "sock_connect", lambda *args: opened.append(args))
        monkeypatch.setattr(loop, "getaddrinfo", lambda *args: opened.append(args))
        transport = replay(recording(*CHUNKS))
        await read_chunks(await transport.send(ask()))
        await fault_of(transport.send(ask(body=b"{}")))

    asyncio.run(scenario())
    assert opened == []


def held(transport):
    """Makes every search of the transport wait until it is let go (or has waited in vain)."""
    begun, go, find = threading.Event(), threading.Event(), transport.index.find

    def waiting(*request):
        begun.set()
        assert go.wait(PATIENCE_S), "the event loop stood still during the search"
        return find(*request)

    transport.index.find = waiting
    return begun, go


LONG = b'{"model":"a/b","text":"%b"}' % (b"x" * MATCHED_AT_ONCE)


def test_the_loop_goes_on_while_a_long_body_is_looked_up():
    async def scenario():
        transport = replay(recording(*CHUNKS, body=LONG))
        begun, go = held(transport)
        sending = asyncio.create_task(transport.send(ask(body=LONG)))
        while not begun.is_set():
            await asyncio.sleep(0)
        go.set()
        assert await read_chunks(await sending) == PIECES

    asyncio.run(scenario())


def test_closing_during_a_search_ends_the_request():
    async def scenario():
        transport = replay(recording(*CHUNKS, body=LONG))
        begun, go = held(transport)
        sending = asyncio.create_task(transport.send(ask(body=LONG)))
        while not begun.is_set():
            await asyncio.sleep(0)
        await transport.aclose()
        go.set()
        with pytest.raises(RuntimeError, match="closed"):
            await sending

    asyncio.run(scenario())


def test_ignored_fields_may_differ():
    async def scenario():
        transport = replay(
            recording(*CHUNKS, body=b'{"model":"a/b","max_tokens":10}'), ignore=[Ignore.LIMITS]
        )
        response = await transport.send(ask(body=b'{"model":"a/b","max_tokens":99}'))
        assert await read_chunks(response) == PIECES

    asyncio.run(scenario())


def test_by_default_the_same_request_gets_the_same_answer_any_number_of_times():
    async def scenario():
        transport = replay(recording((0, b"1")), recording((0, b"2"), number=1))
        assert [await read_chunks(await transport.send(ask())) for _ in range(3)] == [[b"1"]] * 3

    asyncio.run(scenario())


def test_in_sequence_each_recording_answers_once():
    async def scenario():
        recordings = (recording((0, b"1")), recording((0, b"2"), number=1))
        transport = replay(*recordings, policy=Policy.SEQUENCE)
        assert [await read_chunks(await transport.send(ask())) for _ in range(2)] == [
            [b"1"],
            [b"2"],
        ]
        assert "used already" in (await fault_of(transport.send(ask()))).message

    asyncio.run(scenario())


def test_many_at_once_do_not_mix():
    async def scenario():
        count = 40
        bodies = [b'{"n":%d}' % n for n in range(count)]
        recordings = [
            recording((1, b"%d a" % n), (2, b"%d b" % n), body=body, number=n)
            for n, body in enumerate(bodies)
        ]
        transport = replay(*recordings, scale=0.1)

        async def fetch(body):
            return await read_chunks(await transport.send(ask(body=body)))

        got = await asyncio.gather(*(fetch(body) for body in bodies * 2))
        assert got == [[b"%d a" % n, b"%d b" % n] for n in range(count)] * 2

    asyncio.run(scenario())


# ---------------------------------------------------------------- giving up


async def stalled():
    """A transport whose time stands still, and a read of it that waits for the first chunk."""
    time = FakeTime()
    transport = replay(recording(*CHUNKS), scale=1, sleep=time.sleep, monotonic=time.monotonic)
    response = await transport.send(ask())
    time.stopped = True
    reading = asyncio.create_task(response.read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not reading.done()
    return time, transport, response, reading


def test_a_cancelled_read_loses_nothing():
    async def scenario():
        time, _, response, reading = await stalled()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        time.stopped = False
        assert await read_chunks(response) == PIECES

    asyncio.run(scenario())


def test_abort_ends_a_read_that_waits():
    async def scenario():
        _, _, response, reading = await stalled()
        response.abort()
        assert (await fault_of(reading)).kind is ErrorKind.CUT
        response.abort()
        assert (await fault_of(response.read())).kind is ErrorKind.CUT

    asyncio.run(scenario())


def test_abort_after_the_end_changes_nothing():
    async def scenario():
        response = await replay(recording(*CHUNKS)).send(ask())
        await read_chunks(response)
        response.abort()
        assert await response.read() == b""

    asyncio.run(scenario())


def test_aclose_aborts_what_runs_and_refuses_what_comes():
    async def scenario():
        _, transport, _, reading = await stalled()
        await transport.aclose()
        await transport.aclose()
        with pytest.raises(TransportError):
            await reading
        with pytest.raises(RuntimeError, match="closed"):
            await transport.send(ask())

    asyncio.run(scenario())


def test_one_reader_at_a_time():
    async def scenario():
        _, _, response, reading = await stalled()
        with pytest.raises(RuntimeError, match="already being read"):
            await response.read()
        reading.cancel()

    asyncio.run(scenario())
