"""Slots and keep-alive of the live transport: reuse, fairness, idle connections, closing."""

import asyncio

import pytest

from arno.transport.base import ErrorKind
from arno.transport.host_pool import HostPool
from arno.transport.live import LiveLimits, LivePool, connect_directly
from arno.transport.response_parser import ResponseParser
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
from tests.transport.upstream import End, Framing, Script, ScriptedUpstream


async def connections_used(script: Script, requests: int) -> int:
    """Connections that the upstream counted for `requests` requests, one after another."""
    async with ScriptedUpstream(lambda _: script) as upstream, pool() as live:
        for _ in range(requests):
            await read_all(await live.send(post(upstream.url)))
        assert len(upstream.requests) == requests
        return upstream.connections


KEPT = {
    "length": Script.json(b"{}"),
    "chunked": Script.sse(b"a", b"b"),
    "empty": Script([], 204, framing=Framing.LENGTH),
    "error status": Script.json(b"{}", 500),
}


@on_both_loops
@pytest.mark.parametrize("name", KEPT)
def test_sequential_requests_share_one_connection(run, name):
    assert run(within(20, connections_used(KEPT[name], 50))) == 1


@on_both_loops
def test_connection_close_is_obeyed(run):
    assert run(within(20, connections_used(Script.json(b"{}", end=End.CLOSE), 5))) == 5


def test_mutant_that_asks_for_keep_alive_too_late_is_caught(monkeypatch):
    """Trap 1 of the performance notes: asked after the callback, llhttp always says no."""
    feed = ResponseParser.feed

    def feed_and_ask(self, data):
        feed(self, data)
        self.keep_alive = self._parser.should_keep_alive()

    monkeypatch.setattr(ResponseParser, "feed", feed_and_ask)
    assert asyncio.run(within(20, connections_used(KEPT["length"], 5))) == 5


@on_both_loops
def test_connection_is_free_as_soon_as_the_body_has_ended(run):
    """The reader still holds unread bytes, and a second request already uses the connection."""

    async def scenario():
        scripts = [Script.json(b"first"), Script.json(b"second")]
        limits = {"max_connections_per_host": 1}
        async with ScriptedUpstream(scripts) as upstream, pool(**limits) as live:
            unread = await live.send(post(upstream.url))
            assert await read_all(await live.send(post(upstream.url))) == b"second"
            assert await read_all(unread) == b"first"
            assert upstream.connections == 1

    run(within(20, scenario()))


@on_both_loops
def test_slots_are_given_first_come_first_served(run):
    async def scenario():
        gates = [asyncio.Event() for _ in range(6)]
        scripts = [Script.sse(b"x", gate) for gate in gates]
        async with (
            ScriptedUpstream(scripts) as upstream,
            pool(max_connections_per_host=2) as live,
        ):

            async def one(number: int):
                await read_all(await live.send(get(upstream.url, f"/{number}")))

            tasks = []
            for number in range(6):
                tasks.append(asyncio.ensure_future(one(number)))
                await asyncio.sleep(0)
                # Two connections that are made at once may arrive in any order.
                await upstream.seen(min(number + 1, 2))
            for number, gate in enumerate(gates):
                await upstream.seen(min(number + 2, 6))
                assert len(upstream.requests) == min(number + 2, 6)
                gate.set()
            await asyncio.gather(*tasks)
            assert [request.path for request in upstream.requests] == [f"/{n}" for n in range(6)]
            assert upstream.connections == 2

    run(within(20, scenario()))


@on_both_loops
@pytest.mark.parametrize("end", [End.CLOSE, End.CUT, End.RESET])
def test_a_slot_without_a_connection_goes_to_the_next_waiter(run, end):
    async def scenario():
        scripts = [Script.sse(b"x", end=end) for _ in range(5)]
        async with (
            ScriptedUpstream(scripts) as upstream,
            pool(max_connections_per_host=1) as live,
        ):

            async def one():
                return await read_to_fault(await live.send(post(upstream.url)))

            results = await asyncio.gather(*(one() for _ in range(5)))
            fault = None if end is End.CLOSE else ErrorKind.CUT
            assert results == [(b"x", fault)] * 5
            assert upstream.connections == 5

    run(within(20, scenario()))


@on_both_loops
def test_idle_connection_closed_by_the_upstream_frees_its_slot(run):
    async def scenario():
        ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        async with (
            ScriptedUpstream(lambda _: Script.raw(ok, end=End.CLOSE)) as upstream,
            pool(max_connections_per_host=1) as live,
        ):
            for number in range(3):
                assert await read_all(await live.send(post(upstream.url))) == b"ok"
                await upstream.requests[number].closed.wait()
            assert upstream.connections == 3
            while live._hosts:
                await asyncio.sleep(0.001)

    run(within(20, scenario()))


@on_both_loops
def test_idle_connection_is_closed_in_time(run):
    async def scenario():
        async with (
            ScriptedUpstream(lambda _: Script.json(b"{}")) as upstream,
            pool(idle_timeout=0.05) as live,
        ):
            await read_all(await live.send(post(upstream.url)))
            await upstream.requests[0].closed.wait()
            # With its last slot free the origin itself is forgotten.
            assert not live._hosts
            await read_all(await live.send(post(upstream.url)))
            assert upstream.connections == 2

    run(within(20, scenario()))


@on_both_loops
def test_only_connections_idle_for_too_long_are_closed(run):
    async def scenario():
        gate = asyncio.Event()
        async with (
            ScriptedUpstream(lambda _: Script.sse(b"x", gate)) as upstream,
            pool(idle_timeout=50) as live,
        ):
            responses = [await live.send(post(upstream.url)) for _ in range(2)]
            gate.set()
            for response in responses:
                await read_all(response)
            [host] = live._hosts.values()
            first, second = host._idle
            host._idle[first] -= 60
            host._sweep()
            assert list(host._idle) == [second]
            assert not second._closed
            await first.wait_closed()
            # The second one's turn is planned.
            assert host._sweeper.when() == pytest.approx(host._idle[second] + 50)

    run(within(20, scenario()))


@on_both_loops
def test_surplus_idle_connections_are_closed(run):
    async def scenario():
        gate = asyncio.Event()
        async with (
            ScriptedUpstream(lambda _: Script.sse(b"x", gate)) as upstream,
            pool(max_idle_per_host=2) as live,
        ):
            responses = [await live.send(post(upstream.url)) for _ in range(5)]
            gate.set()
            for response in responses:
                await read_all(response)
            surplus = [request.closed.wait() for request in upstream.requests[2:]]
            await asyncio.gather(*surplus)
            [host] = live._hosts.values()
            assert host._open == len(host._idle) == 2
            assert [request.closed.is_set() for request in upstream.requests[:2]] == [False] * 2

    run(within(20, scenario()))


@on_both_loops
def test_aclose_ends_everything(run):
    async def scenario():
        scripts = [Script.json(b"idle"), Script.sse(b"x", asyncio.Event())]
        async with ScriptedUpstream(scripts) as upstream:
            live = LivePool(LiveLimits(max_connections_per_host=1))
            await read_all(await live.send(post(upstream.url)))
            running = await live.send(post(upstream.url))
            waiting = asyncio.ensure_future(live.send(post(upstream.url)))
            await asyncio.sleep(0)
            [host] = live._hosts.values()
            connections = list(host._connections)
            await live.aclose()
            assert [connection._lost.done() for connection in connections] == [True]
            await live.aclose()
            assert (await fault_of(waiting)).kind is ErrorKind.CONNECT
            assert (await read_to_fault(running))[1] is ErrorKind.CUT
            with pytest.raises(RuntimeError, match="closed"):
                await live.send(post(upstream.url))
            await upstream.requests[1].closed.wait()

    run(within(20, scenario()))


@on_both_loops
def test_aclose_while_connecting(run):
    async def scenario():
        go_on = asyncio.Event()
        connecting = asyncio.Event()

        async def connect(origin, factory, context):
            connecting.set()
            await go_on.wait()
            return await connect_directly(origin, factory, context)

        async with ScriptedUpstream([]) as upstream:
            live = LivePool(connect=connect)
            sending = asyncio.ensure_future(live.send(post(upstream.url)))
            await connecting.wait()
            await live.aclose()
            go_on.set()
            assert (await fault_of(sending)).kind is ErrorKind.CONNECT
            assert upstream.requests == []

    run(within(20, scenario()))


def test_origins_do_not_share_slots():
    async def scenario():
        script = Script.sse(b"x", asyncio.Event())
        async with (
            ScriptedUpstream([script]) as one,
            ScriptedUpstream([script]) as two,
            pool(max_connections_per_host=1) as live,
        ):
            for upstream in (one, two):
                assert await (await live.send(post(upstream.url))).read() == b"x"
            hosts = list(live._hosts.values())
            assert len(hosts) == 2
            assert all(isinstance(host, HostPool) for host in hosts)

    asyncio.run(within(20, scenario()))


@pytest.mark.parametrize(
    "bounds",
    [
        {"max_connections_per_host": 0},
        {"max_idle_per_host": -1},
        {"idle_timeout": 0},
        {"connect_timeout": 0},
        {"max_header_bytes": 0},
        {"read_high_water": 0},
    ],
)
def test_bounds_that_allow_nothing_are_refused(bounds):
    with pytest.raises(ValueError, match="must be"):
        LiveLimits(**bounds)
