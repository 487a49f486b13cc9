"""The live transport against a scripted upstream: exchanges that go well, and in what order."""

import asyncio

import pytest

from arno.transport.base import HttpRequest, Transport, header
from arno.transport.live import LivePool
from tests.transport.running import get, on_both_loops, pool, post, read_all, within
from tests.transport.upstream import End, Framing, Script, ScriptedUpstream, ThreadedUpstream


def as_transport(live: LivePool) -> Transport:
    """For the type checker: a LivePool is a Transport."""
    return live


@on_both_loops
def test_request_arrives_as_given(run):
    async def scenario():
        async with ScriptedUpstream([Script.json(b"{}")]) as upstream, pool() as live:
            transport = as_transport(live)
            headers = (("authorization", "Bearer k"), ("x-two", "a"), ("x-two", "b"))
            request = HttpRequest("POST", upstream.url + "/v1/x?y=1", headers, b'{"a":1}')
            await read_all(await transport.send(request))
            return upstream.url, upstream.requests[0]

    url, seen = run(within(20, scenario()))
    assert (seen.method, seen.path, seen.body) == ("POST", "/v1/x?y=1", b'{"a":1}')
    assert seen.headers == [
        ("host", url.removeprefix("http://")),
        ("authorization", "Bearer k"),
        ("x-two", "a"),
        ("x-two", "b"),
        ("content-length", "7"),
    ]


ANSWERS = {
    "length": (Script([b"ab", b"cd"], framing=Framing.LENGTH), b"abcd"),
    "chunked": (Script([b"ab", b"cd"], framing=Framing.CHUNKED), b"abcd"),
    "until close": (Script([b"ab", b"cd"], framing=Framing.UNTIL_CLOSE, end=End.CLOSE), b"abcd"),
    "empty": (Script([], framing=Framing.LENGTH), b""),
    "chunk extensions and trailers": (
        Script.raw(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
            b"2;a=b\r\nab\r\n2\r\ncd\r\n0\r\nx-sum: 1\r\n\r\n"
        ),
        b"abcd",
    ),
    "http/1.0": (Script.raw(b"HTTP/1.0 200 OK\r\n\r\nabcd", end=End.CLOSE), b"abcd"),
    "204 with a length": (
        Script.raw(b"HTTP/1.1 204 No Content\r\ncontent-length: 9\r\n\r\n"),
        b"",
    ),
    "304 with a length": (
        Script.raw(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n"),
        b"",
    ),
    "102, 103 and 100 first": (
        Script(
            [b"abcd"],
            before=[
                b"HTTP/1.1 102 Processing\r\n\r\n",
                b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
            ],
        ),
        b"abcd",
    ),
}


@on_both_loops
@pytest.mark.parametrize("name", ANSWERS)
def test_body_ends_as_announced(run, name):
    script, body = ANSWERS[name]

    async def scenario():
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            response = await live.send(post(upstream.url))
            assert await read_all(response) == body
            # The end repeats itself, and a late abort has nothing to do.
            assert await response.read() == b""
            response.abort()
            assert await response.read() == b""
            assert header(response.headers, "link") is None

    run(within(20, scenario()))


@on_both_loops
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_answers_and_never_followed(run, status):
    """A redirect could carry the key to another host."""

    async def scenario():
        async with ScriptedUpstream([Script.json(b"{}")]) as other:
            moved = Script([], status, [("location", other.url)], framing=Framing.LENGTH)
            async with ScriptedUpstream([moved, moved]) as upstream, pool() as live:
                for request in (get(upstream.url), post(upstream.url)):
                    response = await live.send(request)
                    assert response.status == status
                    assert header(response.headers, "location") == other.url
                    await read_all(response)
            return other.connections

    assert run(within(20, scenario())) == 0


@on_both_loops
def test_status_and_headers_are_kept_in_order(run):
    async def scenario():
        headers = [("Set-Cookie", "a=1"), ("X-Empty", ""), ("set-cookie", "b=2")]
        script = Script([], 429, headers, framing=Framing.LENGTH)
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            response = await live.send(get(upstream.url))
            assert await read_all(response) == b""
            return response

    response = run(within(20, scenario()))
    assert response.status == 429
    assert response.headers == (
        ("set-cookie", "a=1"),
        ("x-empty", ""),
        ("set-cookie", "b=2"),
        ("content-length", "0"),
    )


@on_both_loops
def test_each_event_is_read_before_the_next_is_released(run):
    """R8: order, not time. A transport that reads ahead or batches would hang here."""

    async def scenario():
        gates = [asyncio.Event() for _ in range(20)]
        steps = [step for n, gate in enumerate(gates) for step in (b"data: %d\n\n" % n, gate)]
        async with ScriptedUpstream([Script.sse(*steps)]) as upstream, pool() as live:
            response = await live.send(post(upstream.url))
            for number, gate in enumerate(gates):
                assert await response.read() == b"data: %d\n\n" % number
                gate.set()
            assert await response.read() == b""

    run(within(20, scenario()))


@on_both_loops
def test_head_is_given_before_the_first_body_byte(run):
    async def scenario():
        gate = asyncio.Event()
        async with ScriptedUpstream([Script.sse(gate, b"x")]) as upstream, pool() as live:
            response = await live.send(post(upstream.url))
            assert response.status == 200
            gate.set()
            assert await read_all(response) == b"x"

    run(within(20, scenario()))


@on_both_loops
def test_what_arrived_together_is_read_together(run):
    """One socket read gives one piece, however many chunks it holds."""

    async def scenario():
        chunks = b"".join(b"4\r\ndat%d\r\n" % n for n in range(8))
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        script = Script.raw(head + chunks + b"0\r\n\r\n")
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            response = await live.send(post(upstream.url))
            assert await response.read() == b"dat0dat1dat2dat3dat4dat5dat6dat7"
            assert await response.read() == b""

    run(within(20, scenario()))


@on_both_loops
def test_a_cancelled_read_loses_nothing(run):
    async def scenario():
        gate = asyncio.Event()
        async with ScriptedUpstream([Script.sse(b"a", gate, b"b")]) as upstream, pool() as live:
            response = await live.send(post(upstream.url))
            assert await response.read() == b"a"
            waiting = asyncio.ensure_future(response.read())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            gate.set()
            assert await read_all(response) == b"b"

    run(within(20, scenario()))


@on_both_loops
def test_a_read_cancelled_as_bytes_arrive_loses_nothing(run):
    """The bytes are here and the reader is due to run, but it is cancelled first."""

    async def scenario():
        gate = asyncio.Event()
        async with ScriptedUpstream([Script.sse(b"a", gate, b"b")]) as upstream, pool() as live:
            response = await live.send(post(upstream.url))
            assert await response.read() == b"a"
            waiting = asyncio.ensure_future(response.read())
            await asyncio.sleep(0)
            response.wake()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            gate.set()
            assert await read_all(response) == b"b"

    run(within(20, scenario()))


def test_two_readers_are_refused():
    async def scenario():
        gate = asyncio.Event()
        async with ScriptedUpstream([Script.sse(gate, b"a")]) as upstream, pool() as live:
            response = await live.send(post(upstream.url))
            first = asyncio.ensure_future(response.read())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="already being read"):
                await response.read()
            gate.set()
            assert await first == b"a"

    asyncio.run(within(20, scenario()))


@on_both_loops
def test_head_request_has_no_body_and_keeps_the_connection(run):
    async def scenario():
        head_answer = Script.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
        scripts = [head_answer, Script.json(b'{"a":1}')]
        async with ScriptedUpstream(scripts) as upstream, pool() as live:
            first = await live.send(HttpRequest("HEAD", upstream.url))
            assert (first.status, await read_all(first)) == (200, b"")
            assert await read_all(await live.send(get(upstream.url))) == b'{"a":1}'
            assert upstream.connections == 1

    run(within(20, scenario()))


def test_threaded_upstream_serves_code_without_a_loop_of_its_own():
    gate = asyncio.Event()

    async def scenario(upstream: ThreadedUpstream):
        live = LivePool()
        response = await live.send(get(upstream.url, "/x"))
        assert await response.read() == b"1"
        upstream.release(gate)
        assert await response.read() == b"2"
        await live.aclose()

    with ThreadedUpstream([Script.sse(b"1", gate, b"2")]) as upstream:
        asyncio.run(within(20, scenario(upstream)))
        upstream.wait(upstream.seen(1).closed)
        assert [request.path for request in upstream.requests] == ["/x"]
        assert upstream.connections == 1
