"""Fault rows 1 to 7 and 38: what a broken exchange looks like, and that it is never a success."""

import asyncio
import errno
import os
import select
import socket

import pytest

from arno.transport import connection
from arno.transport.base import ErrorKind
from arno.transport.connection import Connection
from arno.transport.live import LivePool, connect_directly
from arno.transport.response_parser import MAX_INTERIM
from tests.transport.running import (
    fault_of,
    get,
    on_both_loops,
    pool,
    post,
    read_all,
    read_to_fault,
    within,
)
from tests.transport.upstream import End, Framing, Script, ScriptedUpstream, ThreadedUpstream

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
EVIL = OK + b"content-length: 4\r\n\r\nevil"


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@on_both_loops
def test_connect_refused(run):
    port = closed_port()

    async def scenario():
        async with pool() as live:
            return await fault_of(live.send(get(f"http://127.0.0.1:{port}")))

    error = run(within(20, scenario()))
    assert (error.kind, error.sent) == (ErrorKind.CONNECT, False)
    refused = f"{os.strerror(errno.ECONNREFUSED)} (127.0.0.1)"
    assert error.message == f"127.0.0.1:{port}: connecting failed: {refused}"


@on_both_loops
def test_connect_timeout_names_itself(run):
    """Row 2: a listener whose backlog is full answers no SYN."""

    async def scenario():
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            address = listener.getsockname()
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            try:
                async with pool(connect_timeout=0.2) as live:
                    return await fault_of(live.send(get(f"http://127.0.0.1:{address[1]}")))
            finally:
                for filler in fillers:
                    filler.close()

    error = run(within(20, scenario()))
    assert (error.kind, error.sent) == (ErrorKind.CONNECT_TIMEOUT, False)
    assert error.message.endswith(": connecting took longer than 0.2 s (connecting)")


BEFORE_THE_HEAD = {
    "closed at once": Script.raw(end=End.CUT),
    "reset at once": Script.raw(end=End.RESET),
    "closed inside the head": Script.raw(OK + b"x-a: b\r\n", end=End.CUT),
    "reset inside the head": Script.raw(OK + b"x-a: b\r\n", end=End.RESET),
    "closed after 1xx": Script.raw(b"HTTP/1.1 103 Early Hints\r\n\r\n", end=End.CUT),
}


@on_both_loops
@pytest.mark.parametrize("name", BEFORE_THE_HEAD)
def test_end_before_the_head(run, name):
    """Row 3: the failover's to retry, not ours; a fresh connection is not retried."""

    async def scenario():
        scripts = [BEFORE_THE_HEAD[name], Script.json(b"{}")]
        limits = {"max_connections_per_host": 1}
        async with ScriptedUpstream(scripts) as upstream, pool(**limits) as live:
            error = await fault_of(live.send(post(upstream.url)))
            assert len(upstream.requests) == 1
            # The slot is free again.
            assert await read_all(await live.send(post(upstream.url))) == b"{}"
            return error

    error = run(within(20, scenario()))
    assert (error.kind, error.sent) == (ErrorKind.CLOSED, True)
    assert error.message.endswith("before the response head")


def bodies(end: End) -> dict[str, tuple[Script, bytes]]:
    """The same bodies with any end: announced (KEEP, CLOSE) or not (CUT, RESET)."""
    return {
        "length": (Script([b"one", b"two"], framing=Framing.LENGTH, end=end), b"onetwo"),
        "chunked": (Script([b"one", b"two"], end=end), b"onetwo"),
        "no event yet": (Script([], end=end), b""),
    }


@on_both_loops
@pytest.mark.parametrize("end", [End.CUT, End.RESET])
@pytest.mark.parametrize("name", bodies(End.CUT))
def test_cut_delivers_what_came_and_then_fails(run, name, end):
    """Rows 4 to 7 and R5: all that arrived first, then a fault that repeats itself."""
    script, arrived = bodies(end)[name]

    async def scenario():
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            response = await live.send(post(upstream.url))
            assert await read_to_fault(response) == (arrived, ErrorKind.CUT)
            assert await read_to_fault(response) == (b"", ErrorKind.CUT)
            # The next request is not harmed.
            assert upstream.connections == 1

    run(within(20, scenario()))


@on_both_loops
@pytest.mark.parametrize("end", [End.KEEP, End.CLOSE])
@pytest.mark.parametrize("name", bodies(End.KEEP))
def test_control_the_same_bodies_with_their_end_succeed(run, name, end):
    script, arrived = bodies(end)[name]

    async def scenario():
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            assert await read_to_fault(await live.send(post(upstream.url))) == (arrived, None)

    run(within(20, scenario()))


@pytest.mark.parametrize("end", [End.CUT, End.RESET])
@pytest.mark.parametrize("name", bodies(End.CUT))
def test_mutant_that_ignores_the_cut_is_caught(monkeypatch, name, end):
    """A connection that takes every end for the announced one fails the check above."""
    script, arrived = bodies(end)[name]
    monkeypatch.setattr(Connection, "_lose", lambda self, how: self._finish(reusable=False))

    async def scenario():
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            return await read_to_fault(await live.send(post(upstream.url)))

    assert asyncio.run(within(20, scenario())) == (arrived, None) != (arrived, ErrorKind.CUT)


@on_both_loops
@pytest.mark.parametrize(("end", "fault"), [(End.CUT, None), (End.RESET, ErrorKind.CUT)])
def test_body_until_close_ends_with_fin_only(run, end, fault):
    script = Script([b"one", b"two"], framing=Framing.UNTIL_CLOSE, end=end)

    async def scenario():
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            response = await live.send(post(upstream.url))
            assert await read_to_fault(response) == (b"onetwo", fault)

    run(within(20, scenario()))


@on_both_loops
@pytest.mark.parametrize("end", [End.CUT, End.RESET])
def test_fin_inside_a_chunk(run, end):
    """Row 6: the chunk is shorter than it declared."""
    script = Script.raw(CHUNKED + b"5\r\nhello\r\n20\r\nwor", end=end)

    async def scenario():
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            response = await live.send(post(upstream.url))
            assert await read_to_fault(response) == (b"hellowor", ErrorKind.CUT)

    run(within(20, scenario()))


@on_both_loops
@pytest.mark.parametrize("hangs_up", [False, True])
def test_bytes_before_the_request_are_not_its_answer(run, hangs_up):
    """A fresh connection on which the upstream speaks first is given up, nothing was sent."""

    async def scenario():
        greeted = asyncio.Event()

        class Greeter(asyncio.Protocol):
            def connection_made(self, transport):
                transport.write(EVIL)
                if hangs_up:
                    transport.close()
                greeted.set()

        async def connect(origin, factory, context):
            made = await connect_directly(origin, factory, context)
            await greeted.wait()
            await asyncio.sleep(0.05)
            return made

        server = await asyncio.get_running_loop().create_server(Greeter, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        live = LivePool(connect=connect)
        error = await fault_of(live.send(get(f"http://127.0.0.1:{port}")))
        await live.aclose()
        server.close()
        return error

    error = run(within(20, scenario()))
    assert (error.kind, error.sent) == (ErrorKind.CLOSED, False)


MALFORMED = {
    "no http": b"SSH-2.0-x\r\n\r\n",
    "http/2": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "upgrade": b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    "status 999": b"HTTP/1.1 999 No\r\ncontent-length: 0\r\n\r\n",
    "two lengths": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "length and chunked": OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": OK + b"content-length: -1\r\n\r\n",
    "unknown coding": OK + b"transfer-encoding: gzip\r\n\r\nab",
    "bare line feeds": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "folded header": OK + b"x: a\r\n b\r\ncontent-length: 0\r\n\r\n",
    "nul in a header": OK + b"x: a\0b\r\ncontent-length: 0\r\n\r\n",
    "head too large": OK + b"x: " + b"a" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n",
    "endless head": OK + b"x: y\r\n" * 50_000,
    "1xx for ever": b"HTTP/1.1 102 Processing\r\n\r\n" * (MAX_INTERIM + 1),
}


@on_both_loops
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_head_is_a_protocol_error(run, name):
    async def scenario():
        async with ScriptedUpstream([Script.raw(MALFORMED[name])]) as upstream, pool() as live:
            error = await fault_of(live.send(post(upstream.url)))
            await upstream.requests[0].closed.wait()
            return error

    assert run(within(20, scenario())).kind is ErrorKind.PROTOCOL


@on_both_loops
def test_malformed_chunk_comes_after_what_was_good(run):
    script = Script.raw(CHUNKED + b"5\r\nhello\r\nzz\r\n")

    async def scenario():
        async with ScriptedUpstream([script]) as upstream, pool() as live:
            response = await live.send(post(upstream.url))
            assert await read_to_fault(response) == (b"hello", ErrorKind.PROTOCOL)
            await upstream.requests[0].closed.wait()

    run(within(20, scenario()))


STALE = {"closed": End.CUT, "reset": End.RESET}


@on_both_loops
@pytest.mark.parametrize("how", STALE)
def test_stale_connection_is_replaced_once_and_silently(run, how):
    """Row 38: a kept connection ends before the first response byte."""

    async def scenario():
        stale = Script.raw(end=STALE[how])
        scripts = [Script.json(b"1"), stale, Script.json(b"2")]
        async with ScriptedUpstream(scripts) as upstream, pool() as live:
            assert await read_all(await live.send(post(upstream.url))) == b"1"
            assert await read_all(await live.send(post(upstream.url, b"again"))) == b"2"
            assert [request.connection for request in upstream.requests] == [1, 1, 2]
            assert upstream.requests[2].body == b"again"

    run(within(20, scenario()))


@on_both_loops
@pytest.mark.parametrize("how", STALE)
def test_only_one_replacement(run, how):
    async def scenario():
        stale = Script.raw(end=STALE[how])
        scripts = [Script.json(b"1"), stale, stale]
        async with ScriptedUpstream(scripts) as upstream, pool() as live:
            await read_all(await live.send(post(upstream.url)))
            error = await fault_of(live.send(post(upstream.url)))
            assert (error.kind, len(upstream.requests)) == (ErrorKind.CLOSED, 3)

    run(within(20, scenario()))


@on_both_loops
def test_no_replacement_for_an_upstream_that_has_had_time_to_work(run, monkeypatch):
    """The end crossed nothing on its way: the request may have been carried out already."""
    monkeypatch.setattr(connection, "STALE_S", 0.0)

    async def scenario():
        stale = Script.raw(end=End.CUT)
        async with ScriptedUpstream([Script.json(b"1"), stale]) as upstream, pool() as live:
            await read_all(await live.send(post(upstream.url)))
            error = await fault_of(live.send(post(upstream.url)))
            assert (error.kind, error.sent, len(upstream.requests)) == (ErrorKind.CLOSED, True, 2)

    run(within(20, scenario()))


@on_both_loops
def test_no_replacement_once_a_response_byte_came(run):
    async def scenario():
        scripts = [Script.json(b"1"), Script.raw(b"H", end=End.CUT), Script.json(b"2")]
        async with ScriptedUpstream(scripts) as upstream, pool() as live:
            await read_all(await live.send(post(upstream.url)))
            error = await fault_of(live.send(post(upstream.url)))
            assert (error.kind, len(upstream.requests)) == (ErrorKind.CLOSED, 2)

    run(within(20, scenario()))


EXCESS = {
    "a whole response": EVIL,
    "one byte": b"H",
    "garbage": b"\0\1\2",
}


@on_both_loops
@pytest.mark.parametrize("name", EXCESS)
def test_bytes_after_the_end_never_open_the_next_response(run, name):
    async def scenario():
        excess = Script.raw(OK + b"content-length: 4\r\n\r\ngood" + EXCESS[name])
        async with ScriptedUpstream([excess, Script.json(b"next")]) as upstream, pool() as live:
            assert await read_all(await live.send(post(upstream.url))) == b"good"
            await upstream.requests[0].closed.wait()
            assert await read_all(await live.send(post(upstream.url))) == b"next"
            assert upstream.connections == 2

    run(within(20, scenario()))


@on_both_loops
def test_bytes_on_an_idle_connection_close_it(run):
    async def scenario():
        gate = asyncio.Event()
        late = Script.raw(OK + b"content-length: 4\r\n\r\ngood", gate, EVIL)
        async with ScriptedUpstream([late, Script.json(b"next")]) as upstream, pool() as live:
            assert await read_all(await live.send(post(upstream.url))) == b"good"
            gate.set()
            await upstream.requests[0].closed.wait()
            assert await read_all(await live.send(post(upstream.url))) == b"next"

    run(within(20, scenario()))


def reuse_with_unseen_bytes(run, queued: bool = False) -> bytes:
    """The second body, when stray bytes reached our kernel but not yet our event loop.

    `queued`: the second request already waits for the connection when the first one ends.
    """
    start, gate = asyncio.Event(), asyncio.Event()
    scripts = [
        Script.raw(OK + b"content-length: 4\r\n\r\n", start, b"good", gate, EVIL),
        Script.json(b"next"),
    ]

    async def scenario(upstream: ThreadedUpstream):
        async with pool(max_connections_per_host=1) as live:
            first = await live.send(post(upstream.url))
            [host] = live._hosts.values()
            [connection] = host._connections
            descriptor = connection._transport.get_extra_info("socket").fileno()
            second = asyncio.ensure_future(live.send(post(upstream.url))) if queued else None
            while queued and not host._waiters:
                await asyncio.sleep(0)
            upstream.release(start)
            assert await read_all(first) == b"good"
            upstream.release(gate)
            # Blocks this event loop on purpose: it must not see the stray bytes by itself.
            upstream.wait(upstream.requests[0].answered)
            # Sent is not arrived, on a busy machine not even here.
            assert select.select([descriptor], [], [], 10)[0]
            return await read_all(await (second or live.send(post(upstream.url))))

    with ThreadedUpstream(scripts) as upstream:
        return run(within(20, scenario(upstream)))


@on_both_loops
@pytest.mark.parametrize("queued", [False, True])
def test_unseen_bytes_are_found_before_a_connection_is_used_again(run, queued):
    assert reuse_with_unseen_bytes(run, queued) == b"next"


def test_mutant_that_does_not_ask_the_kernel_is_caught(monkeypatch):
    monkeypatch.setattr(Connection, "usable", lambda self: not self._closed)
    assert reuse_with_unseen_bytes(asyncio.run) == b"evil"


def test_messages_name_host_and_phase_but_no_header_value():
    secret = (("authorization", "Bearer sk-canary"),)

    async def scenario():
        scripts = [Script.raw(end=End.CUT), Script.sse(b"x", end=End.CUT)]
        async with ScriptedUpstream(scripts) as upstream, pool() as live:
            first = await fault_of(live.send(post(upstream.url, headers=secret)))
            second = await fault_of(read_all(await live.send(post(upstream.url, headers=secret))))
            return upstream.url.removeprefix("http://"), first.message, second.message

    place, before, inside = asyncio.run(within(20, scenario()))
    assert before == f"{place}: connection closed before the response head"
    assert inside == f"{place}: connection closed before the end of the body"
