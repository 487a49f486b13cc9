"""Recording: a tee that changes and delays nothing, keeps everything but secrets, and every end."""

import asyncio
import gc
import gzip
import threading
import weakref

import pytest

from arno.cassette.model import End
from arno.cassette.timing import chunks_of
from arno.transport.base import ErrorKind, HttpRequest
from arno.transport.live import LivePool
from arno.transport.record import RecordTransport
from tests.transport.replaying import FakeTime, ask, read_chunks, recording, replay
from tests.transport.running import (
    fault_of,
    on_both_loops,
    pool,
    post,
    read_all,
    read_to_fault,
    within,
)
from tests.transport.upstream import End as Close
from tests.transport.upstream import Framing, Script, ScriptedUpstream

EVENTS = (b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n")


@on_both_loops
def test_each_event_is_read_before_the_next_one_leaves_the_upstream(run):
    async def scenario():
        gates = [asyncio.Event() for _ in EVENTS]
        steps = [step for pair in zip(gates, EVENTS, strict=True) for step in pair]
        async with ScriptedUpstream([Script.sse(*steps)]) as upstream, pool() as live:
            kept = []
            response = await RecordTransport(live, kept.append).send(post(upstream.url))
            for gate, event in zip(gates, EVENTS, strict=True):
                gate.set()
                assert await response.read() == event
                assert kept == []
            assert await response.read() == b""
            assert [chunk.data for chunk in chunks_of(kept[0])] == list(EVENTS)

    run(within(20, scenario()))


def test_an_interaction_holds_what_was_sent_and_what_came():
    async def scenario():
        script = Script.sse(*EVENTS)
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            kept = []
            headers = (("content-type", "application/json"), ("user-agent", "test/1"))
            asked = post(upstream.url, b'{"model":"a/b"}', headers)
            response = await RecordTransport(live, kept.append).send(asked)
            assert (response.status, await read_all(response)) == (200, b"".join(EVENTS))
            [item] = kept
            request, answer = item.request, item.response
            assert (request.method, request.url) == ("POST", asked.url)
            assert (request.body, request.content_length) == (asked.body, len(asked.body))
            assert request.headers == {
                "Content-Type": ["application/json"],
                "User-Agent": ["test/1"],
            }
            assert (answer.status, answer.code, answer.body) == ("200 OK", 200, b"".join(EVENTS))
            assert answer.headers == {"Content-Type": ["text/event-stream"]}
            assert (answer.proto, answer.content_length) == ("HTTP/1.1", -1)

    asyncio.run(within(20, scenario()))


def test_times_are_those_of_the_head_and_of_each_chunk():
    async def scenario():
        time, kept = FakeTime(), []
        inner = replay(
            recording((10, b"a"), (25, b"bc"), (400, b"d"), duration_ms=200),
            scale=1,
            sleep=time.sleep,
            monotonic=time.monotonic,
        )
        transport = RecordTransport(
            inner,
            kept.append,
            monotonic_ns=time.monotonic_ns,
            wall_ns=lambda: 1_773_273_600_250_000_000,
        )
        await read_chunks(await transport.send(ask()))
        [item] = kept
        assert item.response.duration_ns == pytest.approx(200_000_000, abs=1000)
        assert [length for _, length in item.wire.chunks] == [1, 2, 1]
        times = [at_ns for at_ns, _ in item.wire.chunks]
        assert times == pytest.approx([10e6, 25e6, 400e6], abs=1000)
        assert item.wire.sent == "2026-03-12T00:00:00.250Z"

    asyncio.run(scenario())


# ---------------------------------------------------------------- ends


@pytest.mark.parametrize("close", [Close.CUT, Close.RESET])
def test_a_cut_answer_is_kept_as_far_as_it_came_and_marked(close):
    async def scenario():
        gate = asyncio.Event()
        script = Script.sse(*EVENTS, gate, end=close)
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            kept = []
            response = await RecordTransport(live, kept.append).send(post(upstream.url))
            got = b""
            while len(got) < len(b"".join(EVENTS)):
                got += await response.read()
            gate.set()
            assert (await fault_of(response.read())).kind is ErrorKind.CUT
            assert [(item.wire.end, item.response.body) for item in kept] == [(End.RESET, got)]

    asyncio.run(within(20, scenario()))


def test_a_client_that_leaves_early_is_kept_and_marked_and_the_upstream_is_let_go():
    async def scenario():
        script = Script.sse(EVENTS[0], asyncio.Event())
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            kept = []
            response = await RecordTransport(live, kept.append).send(post(upstream.url))
            await response.read()
            response.abort()
            response.abort()
            await upstream.requests[0].closed.wait()
            assert [(i.wire.end, i.response.body) for i in kept] == [(End.CLIENT_CLOSED, EVENTS[0])]

    asyncio.run(within(20, scenario()))


def test_closing_the_transport_keeps_what_was_under_way():
    async def scenario():
        kept = []
        transport = RecordTransport(replay(recording((0, b"a"), (0, b"b"))), kept.append)
        response = await transport.send(ask())
        await response.read()
        del response
        await transport.aclose()
        assert [(i.wire.end, i.response.body) for i in kept] == [(End.CLIENT_CLOSED, b"a")]

    asyncio.run(scenario())


def test_an_ended_answer_is_told_once():
    async def scenario():
        kept = []
        transport = RecordTransport(replay(recording((0, b"a"))), kept.append)
        response = await transport.send(ask())
        await read_chunks(response)
        await response.read()
        response.abort()
        await transport.aclose()
        assert [item.wire.end for item in kept] == [End.EOF]

    asyncio.run(scenario())


def test_an_ended_answer_is_not_held_on_to():
    async def scenario():
        transport = RecordTransport(replay(recording((0, b"a"))), lambda _: None)
        response = await transport.send(ask())
        await read_chunks(response)
        gone = weakref.ref(response)
        del response
        gc.collect()
        assert gone() is None

    asyncio.run(scenario())


def test_a_request_without_a_head_leaves_nothing():
    async def scenario():
        async with ScriptedUpstream([Script.raw(end=Close.CUT)]) as upstream, pool() as live:
            kept = []
            await fault_of(RecordTransport(live, kept.append).send(post(upstream.url)))
            assert kept == []

    asyncio.run(within(20, scenario()))


def test_a_body_beyond_the_bound_passes_whole_and_is_never_kept_as_complete():
    async def scenario():
        kept = []
        chunks = [b"12345", b"67890", b"x"]
        inner = replay(recording(*((0, data) for data in chunks)))
        response = await RecordTransport(inner, kept.append, max_body=9).send(ask())
        assert await read_chunks(response) == chunks
        assert [(i.wire.end, i.response.body) for i in kept] == [(End.CLIENT_CLOSED, b"12345")]

    asyncio.run(scenario())


def test_a_cancelled_read_loses_nothing():
    async def scenario():
        gate = asyncio.Event()
        script = Script.sse(EVENTS[0], gate, EVENTS[1])
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            kept = []
            response = await RecordTransport(live, kept.append).send(post(upstream.url))
            await response.read()
            reading = asyncio.create_task(response.read())
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            gate.set()
            assert await read_to_fault(response) == (EVENTS[1], None)
            assert kept[0].response.body == EVENTS[0] + EVENTS[1]

    asyncio.run(within(20, scenario()))


# ---------------------------------------------------------------- order, secrets, encodings


def test_numbers_are_the_order_of_the_requests_whatever_ends_first():
    async def scenario():
        kept = []
        recordings = [recording((0, b"a"), body=b'{"n":%d}' % n) for n in range(3)]
        transport = RecordTransport(replay(*recordings), kept.append)
        responses = [await transport.send(ask(body=b'{"n":%d}' % n)) for n in range(3)]
        for response in reversed(responses):
            await read_chunks(response)
        assert [(item.id, item.request.body) for item in kept] == [
            (n, b'{"n":%d}' % n) for n in (2, 1, 0)
        ]

    asyncio.run(scenario())


def test_secrets_do_not_leave_the_transport():
    secret = "not-to-be-written-4711"

    async def scenario():
        answer = Script(
            [b'{"access_token":"%b"}' % secret.encode()],
            headers=[("content-type", "application/json"), ("set-cookie", secret)],
        )
        async with ScriptedUpstream([answer]) as upstream, pool() as live:
            kept = []
            asked = HttpRequest(
                "POST",
                f"{upstream.url}/v1?key={secret}&b=1",
                (("authorization", f"Bearer {secret}"), ("x-api-key", secret)),
                b'{"api_key":"%b","n":1}' % secret.encode(),
            )
            body = await read_all(await RecordTransport(live, kept.append).send(asked))
            assert secret.encode() in body
            assert upstream.requests[0].header("authorization") == f"Bearer {secret}"
            assert secret not in repr(kept)
            assert kept[0].request.url.endswith("/v1?b=1")
            assert kept[0].request.body == b'{"api_key":"[redacted]","n":1}'

    asyncio.run(within(20, scenario()))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("authorization", "Bearer KEY"),
        ("authorization", "KEY"),
        ("proxy-authorization", "Basic KEY"),
        *((name, "KEY") for name in ("x-api-key", "api-key", "x-goog-api-key")),
        ("cookie", "a=b; session=KEY"),
    ],
)
def test_an_answer_that_repeats_the_requests_key_is_kept_without_it(header, value):
    """Of any shape, also if it came in two reads; timing and the rest of the text stay."""
    key = "canary.of-no-known.shape"
    parts = [b'{"error":"Incorrect API key provided: canary.', b'of-no-known.shape (n=%d)"}' % 1]

    async def scenario():
        kept, time = [], FakeTime()
        inner = replay(
            recording((5, parts[0]), (9, parts[1]), status=401, headers={"X-Generation-Id": [key]}),
            scale=1,
            sleep=time.sleep,
            monotonic=time.monotonic,
        )
        asked = HttpRequest("POST", ask().url, ((header, value.replace("KEY", key)),), ask().body)
        transport = RecordTransport(inner, kept.append, monotonic_ns=time.monotonic_ns)
        assert b"".join(await read_chunks(await transport.send(asked))) == b"".join(parts)
        [item] = kept
        assert key not in repr(item)
        assert item.response.body == b'{"error":"Incorrect API key provided: [redacted] (n=1)"}'
        assert item.response.headers == {"X-Generation-Id": ["[redacted]"]}
        assert [round(chunk.at_ns / 1e6) for chunk in chunks_of(item)] == [5, 9]

    asyncio.run(scenario())


def test_an_answer_that_repeats_the_key_of_the_query_is_kept_without_it():
    key = "canary.of-no-known.shape"

    async def scenario():
        kept = []
        answer = Script.json(b'{"error":"no such key: %b"}' % key.encode())
        async with ScriptedUpstream([answer]) as upstream, pool() as live:
            asked = HttpRequest("POST", f"{upstream.url}/v1?key={key}", (), b"{}")
            await read_all(await RecordTransport(live, kept.append).send(asked))
            assert kept[0].response.body == b'{"error":"no such key: [redacted]"}'

    asyncio.run(within(20, scenario()))


def test_no_encoded_body_is_asked_for():
    async def scenario():
        async with ScriptedUpstream([Script.json(b"{}")]) as upstream, pool() as live:
            asked = post(upstream.url, headers=(("accept-encoding", "gzip"), ("accept", "*/*")))
            await read_all(await RecordTransport(live, lambda _: None).send(asked))
            assert upstream.requests[0].header("accept-encoding") is None
            assert upstream.requests[0].header("accept") == "*/*"

    asyncio.run(within(20, scenario()))


@pytest.mark.parametrize(("status", "text"), [(429, "429 Too Many Requests"), (529, "529")])
def test_the_status_line_has_the_phrase_that_belongs_to_the_number(status, text):
    async def scenario():
        kept = []
        inner = replay(recording((0, b"{}"), status=status))
        await read_chunks(await RecordTransport(inner, kept.append).send(ask()))
        assert kept[0].response.status == text

    asyncio.run(scenario())


# ---------------------------------------------------------------- bounds, and beside the loop


def test_in_the_background_no_read_waits_for_the_recording():
    """The callback is held until all reads have returned; `aclose` waits for it."""

    async def scenario():
        held, threads = threading.Event(), []

        def keep(_interaction):
            assert held.wait(20)
            threads.append(threading.current_thread())

        transport = RecordTransport(replay(recording((0, b"a"))), keep, background=True)
        for _ in range(3):
            await read_chunks(await transport.send(ask()))
        assert threads == []
        held.set()
        await transport.aclose()
        assert len(threads) == 3
        assert threading.main_thread() not in threads

    asyncio.run(within(20, scenario()))


def test_bodies_share_a_bound_and_give_their_room_back():
    async def scenario():
        kept, problems = [], []
        inner = replay(recording((0, b"12345"), (0, b"678")))
        transport = RecordTransport(inner, kept.append, on_problem=problems.append, max_held=10)
        first, second = [await transport.send(ask()) for _ in range(2)]
        assert await first.read() == await second.read() == b"12345"
        await read_chunks(first)  # finds no room for the rest
        await read_chunks(second)  # finds what the first gave back
        await read_chunks(await transport.send(ask()))
        ends = [(item.wire.end, item.response.body) for item in kept]
        cut, whole = (End.CLIENT_CLOSED, b"12345"), (End.EOF, b"12345678")
        assert ends == [cut, whole, whole]
        assert ["request 0" in text for text in problems] == [True]

    asyncio.run(within(20, scenario()))


def test_a_defect_of_the_recording_is_told_and_does_not_reach_the_traffic():
    async def scenario():
        problems = []

        def fail(_interaction):
            raise ZeroDivisionError

        transport = RecordTransport(replay(recording((0, b"a"))), fail, on_problem=problems.append)
        assert await read_chunks(await transport.send(ask())) == [b"a"]
        assert problems == ["request 0: it could not be kept (ZeroDivisionError)"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("script", "length"),
    [
        (Script.json(b'{"a":1}'), 7),
        (Script.sse(b"data: 1\n\n"), -1),
        (Script([b"x"], framing=Framing.UNTIL_CLOSE, end=Close.CLOSE), -1),
    ],
)
def test_the_content_length_is_the_announced_one_as_in_go(script, length):
    async def scenario():
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            kept = []
            await read_all(await RecordTransport(live, kept.append).send(post(upstream.url)))
            assert kept[0].response.content_length == length

    asyncio.run(within(20, scenario()))


@pytest.mark.parametrize("end", [Close.KEEP, Close.CUT])
def test_an_encoded_body_is_kept_decoded_as_far_as_it_came(end):
    encoded = gzip.compress(b"".join(EVENTS))
    parts = [encoded[:12], encoded[12:-6], encoded[-6:]]

    async def scenario():
        script = Script(parts if end is Close.KEEP else parts[:2], end=end)
        script.headers = [("content-encoding", "gzip"), ("content-type", "text/event-stream")]
        live = LivePool(decode=False)
        async with ScriptedUpstream([script]) as upstream:
            kept = []
            response = await RecordTransport(live, kept.append).send(post(upstream.url))
            got, _fault = await read_to_fault(response)
            assert got == b"".join(script.body)
            await live.aclose()
        [item] = kept
        assert item.response.body == b"".join(EVENTS)
        assert (item.response.uncompressed, item.response.content_length) == (True, -1)
        assert item.response.headers == {"Content-Type": ["text/event-stream"]}
        assert item.wire.end is (End.EOF if end is Close.KEEP else End.RESET)
        assert sum(length for _, length in item.wire.chunks) == len(item.response.body)

    asyncio.run(within(20, scenario()))
