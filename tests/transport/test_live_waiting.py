"""Bounded waiting: for a connection to become free, and for one to be made."""

import asyncio

import pytest

from arno.transport.base import ErrorKind, HttpRequest
from arno.transport.host_pool import HostPool
from arno.transport.live import LiveLimits, LivePool, connect_directly
from tests.transport.running import fault_of, get, on_both_loops, pool, post, read_all, within
from tests.transport.sockets import turns
from tests.transport.upstream import Script, ScriptedUpstream


def host_of(live: LivePool) -> HostPool:
    [host] = live._hosts.values()
    return host


def sending(live: LivePool, upstream: ScriptedUpstream, path: str = "/") -> asyncio.Task:
    return asyncio.ensure_future(live.send(get(upstream.url, path)))


async def one_too_many(max_waiting: int, queue: int):
    """(place, fault of one more request, paths served) with one slot taken and `queue` waiting."""
    gate = asyncio.Event()
    async with (
        ScriptedUpstream(lambda _: Script.sse(b"x", gate)) as upstream,
        pool(max_connections_per_host=1, max_waiting=max_waiting) as live,
    ):
        holder = await live.send(get(upstream.url, "/holder"))
        waiting = [sending(live, upstream, f"/{number}") for number in range(queue)]
        await turns()
        error = await fault_of(live.send(get(upstream.url, "/more")))
        gate.set()
        await read_all(holder)
        for task in waiting:
            await read_all(await task)
        assert upstream.connections == 1
        paths = [request.path for request in upstream.requests]
        return upstream.url.removeprefix("http://"), error, paths


@on_both_loops
@pytest.mark.parametrize("queue", [0, 3])
def test_too_many_waiting_requests_are_refused_at_once(run, queue):
    place, error, paths = run(within(20, one_too_many(queue, queue)))
    assert (error.kind, error.sent) == (ErrorKind.BUSY, False)
    assert error.message == (
        f"{place}: all 1 connections are in use, and {queue} requests wait already for one"
    )
    # Those that waited are served in their order.
    assert paths == ["/holder", *[f"/{number}" for number in range(queue)]]


def test_control_with_room_for_one_more_it_waits():
    with pytest.raises(TimeoutError):
        asyncio.run(within(0.5, one_too_many(4, 3)))


@on_both_loops
def test_waiting_ends_after_its_time_and_leaves_nothing(run):
    async def scenario():
        scripts = [Script.sse(b"x", asyncio.Event()), Script.json(b"ok")]
        async with (
            ScriptedUpstream(scripts) as upstream,
            pool(max_connections_per_host=1, slot_timeout=0.05) as live,
        ):
            holder = await live.send(post(upstream.url))
            errors = await asyncio.gather(*(fault_of(sending(live, upstream)) for _ in range(3)))
            assert not host_of(live)._waiters
            holder.abort()
            # The slot was not lost to one of those who had given up.
            assert await read_all(await live.send(post(upstream.url))) == b"ok"
            return upstream.url.removeprefix("http://"), errors

    place, errors = run(within(20, scenario()))
    for error in errors:
        assert (error.kind, error.sent) == (ErrorKind.BUSY, False)
        assert error.message == (
            f"{place}: all 1 connections are in use, and none became free within 0.05 s"
        )


@on_both_loops
def test_a_slot_that_comes_in_time_is_used(run):
    """Control: the timer of a waiter that was served is gone."""

    async def scenario():
        gate = asyncio.Event()
        async with (
            ScriptedUpstream([Script.sse(b"x", gate), Script.json(b"ok")]) as upstream,
            pool(max_connections_per_host=1, slot_timeout=15) as live,
        ):
            holder = await live.send(post(upstream.url))
            host = host_of(live)
            watching = host._loop = Watching(host._loop)
            waiting = sending(live, upstream)
            await turns()
            [handle] = watching.handles
            assert not handle.cancelled()
            gate.set()
            await read_all(holder)
            assert await read_all(await waiting) == b"ok"
            assert handle.cancelled()

    run(within(20, scenario()))


class Watching:
    """A loop that remembers its timers."""

    def __init__(self, loop) -> None:
        self._loop = loop
        self.handles: list[asyncio.TimerHandle] = []

    def call_later(self, *given):
        self.handles.append(self._loop.call_later(*given))
        return self.handles[-1]

    def __getattr__(self, name):
        return getattr(self._loop, name)


@on_both_loops
def test_cancelled_waiters_leave_nothing_and_count_no_more(run):
    async def scenario():
        gate = asyncio.Event()
        async with (
            ScriptedUpstream(lambda _: Script.sse(b"x", gate)) as upstream,
            pool(max_connections_per_host=1, max_waiting=5) as live,
        ):
            holder = await live.send(post(upstream.url))
            for _ in range(4):
                waiting = [sending(live, upstream) for _ in range(5)]
                await turns()
                assert len(host_of(live)._waiters) == 5
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
                assert not host_of(live)._waiters
            last = sending(live, upstream)
            gate.set()
            await read_all(holder)
            await read_all(await last)
            assert (len(upstream.requests), upstream.connections) == (2, 1)

    run(within(20, scenario()))


@on_both_loops
def test_limits_may_differ_by_host(run):
    async def scenario():
        gate = asyncio.Event()

        def endless(_):
            return Script.sse(b"x", gate)

        async with ScriptedUpstream(endless) as one, ScriptedUpstream(endless) as two:
            narrow = LiveLimits(max_connections_per_host=1, max_waiting=0)
            live = LivePool(per_host={one.url.removeprefix("http://"): narrow})
            by_name = LivePool(per_host={"127.0.0.1": narrow})
            for transport, upstream in ((live, one), (by_name, one), (by_name, two)):
                await transport.send(post(upstream.url))
                assert (await fault_of(transport.send(post(upstream.url)))).kind is ErrorKind.BUSY
            for _ in range(2):
                await live.send(post(two.url))
            await live.aclose()
            await by_name.aclose()

    run(within(20, scenario()))


@on_both_loops
def test_a_request_may_have_its_own_time_to_connect(run):
    async def scenario():
        stuck = asyncio.Event()

        async def connect(origin, factory, context):
            await stuck.wait()
            return await connect_directly(origin, factory, context)

        async with ScriptedUpstream([Script.json(b"ok")]) as upstream:
            live = LivePool(LiveLimits(connect_timeout=19), connect=connect)
            hasty = HttpRequest("GET", upstream.url + "/", connect_timeout=0.05)
            error = await fault_of(live.send(hasty))
            assert not live._hosts
            stuck.set()
            assert await read_all(await live.send(hasty)) == b"ok"
            # On a kept connection nothing is made, so nothing can take too long.
            stuck.clear()
            assert upstream.connections == 1
            await live.aclose()
            return error

    error = run(within(10, scenario()))
    assert (error.kind, error.sent) == (ErrorKind.CONNECT_TIMEOUT, False)
    assert "connecting took longer than 0.05 s" in error.message


@pytest.mark.parametrize("bounds", [{"slot_timeout": 0}, {"max_waiting": -1}])
def test_bounds_without_meaning_are_refused(bounds):
    with pytest.raises(ValueError, match="must be"):
        LiveLimits(**bounds)
