"""The fault transport: which request gets which fault and when, and real upstreams do the same."""

import asyncio
import socket

import pytest

from arno.cassette import fault_body
from arno.cassette.fault_body import FaultedBody, Stop, Wait, touches_body
from arno.cassette.faults import CloseBeforeHead, Refuse, Status, parse_faults
from arno.transport import fault
from arno.transport.base import ErrorKind, HttpRequest, TransportError, header
from arno.transport.fault import FaultTransport
from arno.transport.live import LivePool
from tests.transport.encoding import encoded
from tests.transport.replaying import BODY, URL, FakeTime, ask, read_chunks, recording, replay
from tests.transport.running import (
    fault_of,
    on_both_loops,
    pool,
    post,
    read_all,
    read_to_fault,
    within,
)
from tests.transport.upstream import End, Script, ScriptedUpstream

E1, E2, E3 = (b'data: {"n":%d}\n\n' % n for n in (1, 2, 3))
DONE = b"data: [DONE]\n\n"
EVENTS = (E1, E2, E3, DONE)
WHOLE = b"".join(EVENTS)


def spoiled(script, *recordings, time=None, **settings):
    """A fault transport over a replay (of the four events), on a clock that sleeping moves."""
    time = time or FakeTime()
    inner = replay(*(recordings or (stream(),)), sleep=time.sleep, monotonic=time.monotonic)
    return FaultTransport(
        inner, parse_faults(script), sleep=time.sleep, monotonic=time.monotonic, **settings
    )


def stream(*chunks, **how):
    return recording(*((0, chunk) for chunk in chunks or EVENTS), **how)


# ---------------------------------------------------------------- one script, two ways

SCRIPTS = {
    "": (WHOLE, None),
    "refuse": (ErrorKind.CONNECT, None),
    "close-before-head": (ErrorKind.CLOSED, None),
    "status=503": (b'"code":503', None),
    "status=429 retry-after=2": (b'"code":429', None),
    "status=500; cut at byte=5": (b'{"err', ErrorKind.CUT),
    "cut at event=1": (b"", ErrorKind.CUT),
    "cut at event=3 eof": (E1 + E2, ErrorKind.CUT),
    "cut at event=3 reset": (E1 + E2, ErrorKind.CUT),
    "cut at byte=0 reset": (b"", ErrorKind.CUT),
    "cut at byte=20": (WHOLE[:20], ErrorKind.CUT),
    "cut at ratio=0.5": (WHOLE[: len(WHOLE) // 2], ErrorKind.CUT),
    "cut at ratio=1": (WHOLE, ErrorKind.CUT),
    "end-early at event=3": (E1 + E2, None),
    "end-early at byte=20": (WHOLE[:20], None),
    "stall at event=2 for=5ms": (WHOLE, None),
    "stall at event=2 for=5ms; cut at event=2 reset": (E1, ErrorKind.CUT),
    "slow-first=5ms": (WHOLE, None),
    "bad-json at event=2": (E1 + b'data: {"n":2\n\n' + E3 + DONE, None),
    "dup-event at event=2": (E1 + E2 + E2 + E3 + DONE, None),
    "error-event at event=2": (b'"injected error event"', None),
    "drop-done": (E1 + E2 + E3, None),
    "split-utf8": (WHOLE, None),
    "rechunk=1": (WHOLE, None),
    "rechunk=random(5)": (WHOLE, None),
    "rechunk=coalesce": (WHOLE, None),
}


async def outcome(attempt):
    """(kind of a failed send) or (status, retry-after, body, kind of its end)."""
    try:
        response = await attempt
    except TransportError as error:
        return (error.kind,)
    body, kind = await read_to_fault(response)
    return response.status, header(response.headers, "retry-after"), body, kind


@on_both_loops
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_over_a_replay_ends_as_a_real_upstream_that_does_it(run, script):
    async def scenario():
        request = ask()
        injected = await outcome(spoiled(script).send(request))
        real = await outcome_of_a_real_upstream(script)
        assert injected == real
        first, kind = SCRIPTS[script]
        if isinstance(first, ErrorKind):
            assert injected == (first,)
        else:
            assert first in injected[2]
            assert injected[3] is kind

    run(within(20, scenario()))


async def outcome_of_a_real_upstream(script):
    """The same faults, done by a server on the other side of a socket."""
    faults = parse_faults(script)
    whats = [item.what for item in faults]
    if any(isinstance(what, Refuse) for what in whats):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        async with pool() as live:
            return await outcome(live.send(post(f"http://127.0.0.1:{port}")))
    answer = await _script(faults)
    if any(isinstance(what, CloseBeforeHead) for what in whats):
        answer = Script.raw(end=End.CUT)
    async with ScriptedUpstream([answer]) as upstream, pool() as live:
        return await outcome(live.send(post(upstream.url)))


async def _script(faults):
    """A real upstream's answer with these faults: its moves as bytes on a wire."""
    status, headers, body = 200, [("content-type", "text/event-stream")], list(EVENTS)
    for item in faults:
        if isinstance(item.what, Status):
            status = item.what.code
            made = fault.StatusResponse(item.what)
            headers = [field for field in made.headers if field[0] != "content-length"]
            body = [await read_all(made)]
    faulted = FaultedBody(
        filter(touches_body, faults), events=status == 200, length=None, fired=lambda _: None
    )
    moves = [move for chunk in body for move in faulted.feed(chunk)]
    moves += faulted.close()
    open_gate = asyncio.Event()
    open_gate.set()
    steps = [open_gate if isinstance(move, Wait) else move for move in moves[:-1]]
    ends = {Stop.END: End.KEEP, Stop.EOF: End.CUT, Stop.RESET: End.RESET}
    return Script(steps, status, headers, end=ends[moves[-1]])


def test_mutant_whose_cuts_are_ends_is_caught(monkeypatch):
    monkeypatch.setattr(fault_body, "_move", lambda what: Stop.END)

    async def scenario():
        _, _, body, kind = await outcome(spoiled("cut at event=3").send(ask()))
        assert (body, kind) == (E1 + E2, None) != (E1 + E2, SCRIPTS["cut at event=3 eof"][1])

    asyncio.run(scenario())


# ---------------------------------------------------------------- which request


def body_of(model, n=1):
    return b'{"model":"%b","n":%d}' % (model.encode(), n)


async def statuses(transport, *requests):
    return [(await transport.send(request)).status for request in requests]


def test_attempts_are_counted_for_equal_requests():
    async def scenario():
        other = body_of("a/b", 2)
        transport = spoiled(
            "status=503 only-attempt=1; status=429 attempt=3",
            stream(),
            stream(body=other, number=1),
        )
        elsewhere = HttpRequest("POST", URL.replace("api.", "other."), body=BODY)
        got = await statuses(
            transport, ask(), ask(other), ask(), ask(other), elsewhere, ask(), ask(other)
        )
        #       1st  1st of other  2nd  2nd  3rd on another host  4th  3rd
        assert got == [503, 503, 200, 200, 429, 200, 429]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "other",
    [
        ask(body=b"{}"),
        ask(method="PUT"),
        ask(url=URL + "?a=1"),
        ask(url=URL.replace("/v1/", "/v2/")),
    ],
)
def test_an_attempt_is_of_method_path_and_body(other):
    async def scenario():
        transport = spoiled("status=503 only-attempt=1; status=500 only-attempt=2")
        assert await statuses(transport, ask(), other, ask(), other) == [503, 503, 500, 500]

    asyncio.run(scenario())


def test_counted_requests_are_bounded(monkeypatch):
    monkeypatch.setattr(fault, "MAX_COUNTED", 2)

    async def scenario():
        transport = spoiled("status=503 only-attempt=1; status=500 attempt=2; status=502 attempt=3")
        one, two, three = (ask(body=b"%d" % n) for n in range(3))
        assert await statuses(transport, one, two, one, three, one, two) == [
            503,
            503,
            500,
            503,
            502,
            503,  # forgotten meanwhile
        ]

    asyncio.run(scenario())


def test_a_fault_for_a_model_is_for_that_model():
    async def scenario():
        bodies = [body_of("a/b"), body_of("a/c"), b"not json", b'{"model":7}', b"[1]"]
        transport = spoiled(
            "status=503 model=a/b; status=404 model=7",
            *(stream(body=body, number=n) for n, body in enumerate(bodies)),
        )
        assert await statuses(transport, *map(ask, bodies)) == [503, 200, 200, 200, 200]

    asyncio.run(scenario())


def test_a_request_without_faults_gets_the_inner_response_itself():
    async def scenario():
        async with ScriptedUpstream([Script.json(b"{}")]) as upstream, pool() as live:
            transport = FaultTransport(live, parse_faults("cut at byte=1 model=other"))
            response = await transport.send(post(upstream.url))
            assert type(response).__module__ == "arno.transport.live_response"

    asyncio.run(within(20, scenario()))


# ---------------------------------------------------------------- before the head


@pytest.mark.parametrize(
    ("script", "kind", "sent"),
    [("refuse", ErrorKind.CONNECT, False), ("close-before-head", ErrorKind.CLOSED, True)],
)
def test_faults_before_the_head_never_reach_the_inner_transport(script, kind, sent):
    async def scenario():
        async with ScriptedUpstream([]) as upstream, pool() as live:
            transport = FaultTransport(live, parse_faults(script))
            error = await fault_of(transport.send(post(upstream.url)))
            assert (error.kind, error.sent, upstream.connections) == (kind, sent, 0)
            assert error.message.startswith("injected fault: ")

    asyncio.run(within(20, scenario()))


def test_the_first_of_several_answers_counts():
    async def scenario():
        assert await statuses(spoiled("status=503; refuse; status=500"), ask()) == [503]
        assert (await fault_of(spoiled("refuse; status=500").send(ask()))).kind is ErrorKind.CONNECT

    asyncio.run(scenario())


def test_a_status_answers_with_an_error_and_the_header_as_it_was_given():
    async def scenario():
        date = "Wed, 21 Oct 2026 07:28:00 GMT"
        response = await spoiled(f'status=429 retry-after="{date}"').send(ask())
        assert header(response.headers, "retry-after") == date
        assert header(response.headers, "content-type") == "application/json"
        expected = b'{"error":{"message":"injected fault: status 429","code":429}}'
        assert await read_chunks(response) == [expected]
        response.abort()
        assert await response.read() == b""
        dropped = await spoiled("status=429").send(ask())
        dropped.abort()
        assert (await fault_of(dropped.read())).kind is ErrorKind.CUT

    asyncio.run(scenario())


def test_slow_first_delays_the_head_by_the_clock_that_was_handed_in():
    async def scenario():
        time = FakeTime()
        transport = spoiled("slow-first=5s; slow-first=2s", time=time)
        response = await transport.send(ask())
        assert [seconds for seconds in time.slept if seconds] == pytest.approx([5, 2])
        assert await read_all(response) == WHOLE

    asyncio.run(scenario())


async def waiting(task, time):
    """Until the task sleeps on a clock that stands still."""
    slept = len(time.slept)
    while len(time.slept) == slept:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()


def test_closing_ends_a_request_that_is_slow():
    async def scenario():
        time = FakeTime()
        time.stopped = True
        transport = spoiled("slow-first=5s", time=time)
        sending = asyncio.create_task(transport.send(ask()))
        await waiting(sending, time)
        await transport.aclose()
        assert (await fault_of(sending)).kind is ErrorKind.CONNECT

    asyncio.run(within(20, scenario()))


def test_cancelling_a_request_that_is_slow():
    async def scenario():
        time = FakeTime()
        time.stopped = True
        transport = spoiled("slow-first=5s", time=time)
        sending = asyncio.create_task(transport.send(ask()))
        await waiting(sending, time)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        time.stopped = False
        assert await read_all(await transport.send(ask())) == WHOLE

    asyncio.run(within(20, scenario()))


# ---------------------------------------------------------------- in the body


def test_a_stall_comes_between_the_events():
    async def scenario():
        time = FakeTime()
        response = await spoiled("stall at event=3 for=30s", time=time).send(ask())
        assert [await response.read(), await response.read()] == [E1, E2]
        assert max(time.slept) == 0
        assert await response.read() == E3
        assert max(time.slept) == 30
        assert await read_all(response) == DONE

    asyncio.run(scenario())


def hung(script):
    """A transport whose sleeps never end, and its clock."""
    time = FakeTime()

    async def sleep(seconds):
        time.slept.append(seconds)
        await asyncio.Event().wait()

    inner = replay(stream())
    faults = parse_faults(script)
    return FaultTransport(inner, faults, sleep=sleep, monotonic=time.monotonic), time


@pytest.mark.parametrize("how", ["abort", "aclose"])
def test_a_stalled_read_can_be_ended(how):
    async def scenario():
        transport, time = hung("stall at event=1 for=30s")
        response = await transport.send(ask())
        reading = asyncio.create_task(response.read())
        await waiting(reading, time)
        if how == "abort":
            response.abort()
        else:
            await transport.aclose()
        assert (await fault_of(reading)).kind is ErrorKind.CUT
        assert (await fault_of(response.read())).kind is ErrorKind.CUT

    asyncio.run(within(20, scenario()))


def test_a_cancelled_stall_goes_on_where_it_was():
    async def scenario():
        transport, time = hung("stall at event=1 for=30s")
        response = await transport.send(ask())
        for seconds in (30, 18, 6):
            reading = asyncio.create_task(response.read())
            await waiting(reading, time)
            assert time.slept[-1] == pytest.approx(seconds)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            time.ns += 12_000_000_000

    asyncio.run(within(20, scenario()))


def test_one_reader_at_a_time():
    async def scenario():
        transport, time = hung("stall at event=1 for=30s")
        response = await transport.send(ask())
        reading = asyncio.create_task(response.read())
        await waiting(reading, time)
        with pytest.raises(RuntimeError, match="already being read"):
            await response.read()
        reading.cancel()

    asyncio.run(within(20, scenario()))


@on_both_loops
def test_events_before_the_fault_are_read_before_the_next_one_leaves_the_upstream(run):
    async def scenario():
        gates = [asyncio.Event() for _ in EVENTS]
        steps = [step for pair in zip(gates, EVENTS, strict=True) for step in pair]
        script = Script.sse(*steps, asyncio.Event())
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            transport = FaultTransport(live, parse_faults("cut at event=4"))
            response = await transport.send(post(upstream.url))
            for gate, event in zip(gates[:3], EVENTS, strict=False):
                gate.set()
                assert await response.read() == event
            gates[3].set()
            assert await read_to_fault(response) == (b"", ErrorKind.CUT)
            await upstream.requests[0].closed.wait()  # the fault let the upstream go

    run(within(20, scenario()))


@on_both_loops
@pytest.mark.parametrize(
    "script", ["end-early at event=2", "cut at event=2", "error-event at event=2"]
)
def test_a_body_that_ends_early_lets_the_upstream_go(run, script):
    async def scenario():
        async with ScriptedUpstream([Script.sse(E1, E2, asyncio.Event())]) as upstream:
            live = LivePool()
            transport = FaultTransport(live, parse_faults(script))
            body, _ = await read_to_fault(await transport.send(post(upstream.url)))
            assert body.startswith(E1)
            await upstream.requests[0].closed.wait()
            await transport.aclose()

    run(within(20, scenario()))


@pytest.mark.parametrize("script", ["drop-done", "rechunk=coalesce", "cut at ratio=0.9"])
def test_the_inner_fault_comes_after_what_was_held(script):
    async def scenario():
        async with ScriptedUpstream([Script.sse(E1, E2[:9], end=End.CUT)]) as upstream:
            live = LivePool()
            transport = FaultTransport(live, parse_faults(script))
            body, kind = await read_to_fault(await transport.send(post(upstream.url)))
            expected = E1 + E2[:9]
            if "ratio" in script:
                expected = expected[: int(0.9 * len(expected))]
            assert (body, kind) == (expected, ErrorKind.CUT)
            await transport.aclose()

    asyncio.run(within(20, scenario()))


@on_both_loops
def test_events_of_an_encoded_body_are_counted_in_what_it_means(run):
    async def scenario():
        headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")]
        async with ScriptedUpstream(
            lambda _: Script([encoded("gzip", WHOLE)], headers=headers)
        ) as up:
            for decode in (True, False):
                live = LivePool(decode=decode)
                transport = FaultTransport(live, parse_faults("cut at event=3"))
                response = await transport.send(post(up.url))
                assert header(response.headers, "content-encoding") is None
                assert await read_to_fault(response) == (E1 + E2, ErrorKind.CUT)
                await transport.aclose()

    run(within(20, scenario()))


def test_a_length_that_no_longer_holds_is_not_told():
    async def scenario():
        async with ScriptedUpstream(lambda _: Script.json(b'{"a":1}')) as upstream, pool() as live:
            transport = FaultTransport(live, parse_faults("end-early at ratio=0.5"))
            response = await transport.send(post(upstream.url))
            assert header(response.headers, "content-length") is None
            assert await read_all(response) == b'{"a'
            plain = await live.send(post(upstream.url))
            assert header(plain.headers, "content-length") == "7"
            await read_all(plain)

    asyncio.run(within(20, scenario()))


def test_an_event_beyond_all_bounds_is_a_fault(monkeypatch):
    monkeypatch.setattr(fault_body, "MAX_HELD", 100)

    async def scenario():
        long = b"data: " + b"x" * 200
        for script in ("drop-done", "cut at ratio=0.5"):
            response = await spoiled(script, stream(long)).send(ask())
            error = await fault_of(response.read())
            assert error.kind is ErrorKind.PROTOCOL
            assert "100 bytes" in error.message
        response = await spoiled("drop-done", stream(E1)).send(ask())
        assert await read_all(response) == E1

    asyncio.run(scenario())


# ---------------------------------------------------------------- what happened


def test_fired_counts_what_happened_and_nothing_else():
    async def scenario():
        script = "dup-event at event=2; cut at event=9; status=503 only-attempt=3; slow-first=1s"
        transport = spoiled(script)
        for _ in range(3):
            await read_all(await transport.send(ask()))
        counts = {item.text: count for item, count in transport.fired.items()}
        assert counts == {
            "dup-event at event=2": 2,
            "status=503 only-attempt=3": 1,
            "slow-first=1s": 3,
        }

    asyncio.run(scenario())


def test_the_same_seed_gives_the_same_reads():
    async def scenario():
        first, second, other = [
            await read_chunks(await spoiled(f"rechunk=random({seed})").send(ask()))
            for seed in (3, 3, 4)
        ]
        assert first == second != other
        assert b"".join(first) == b"".join(other) == WHOLE

    asyncio.run(scenario())
