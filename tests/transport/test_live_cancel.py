"""R10 and fault row 25: a cancelled request closes its connection and gives back its slot at once.

Every case runs with one slot: the request after the cancelled one can only succeed if the slot
came back.
"""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from arno.transport.base import ErrorKind
from arno.transport.connecting import DirectConnect
from arno.transport.live import LiveLimits, LivePool, connect_directly
from arno.transport.proxy import Proxies, Proxy
from tests.transport.proxying import ScriptedProxy
from tests.transport.running import on_both_loops, pool, post, read_all, read_to_fault, within
from tests.transport.sockets import deaf_port, open_sockets, turns
from tests.transport.upstream import Framing, Script, ScriptedUpstream


@on_both_loops
@pytest.mark.parametrize("slot_comes_first", [True, False])
def test_cancel_while_waiting_for_a_slot(run, slot_comes_first):
    async def scenario():
        scripts = [Script.sse(b"x", asyncio.Event()), Script.json(b"ok")]
        async with (
            ScriptedUpstream(scripts) as upstream,
            pool(max_connections_per_host=1) as live,
        ):
            holder = await live.send(post(upstream.url))
            waiting = asyncio.ensure_future(live.send(post(upstream.url)))
            await asyncio.sleep(0)
            waiting.cancel()
            if slot_comes_first:
                # The waiter is cancelled, but its task has not run when the slot is given away.
                holder.abort()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            [host] = live._hosts.values() or [None]
            assert not (host and host._waiters)
            holder.abort()
            assert await read_all(await live.send(post(upstream.url))) == b"ok"
            assert len(upstream.requests) == 2

    run(within(20, scenario()))


@on_both_loops
@pytest.mark.parametrize("kept", [True, False])
def test_cancel_just_after_the_slot_was_handed_over(run, kept):
    """The slot (with or without a live connection) is passed on, not lost."""

    async def scenario():
        gate = asyncio.Event()
        scripts = [Script.sse(b"x", gate), Script.json(b"ok")]
        async with (
            ScriptedUpstream(scripts) as upstream,
            pool(max_connections_per_host=1) as live,
        ):
            holder = await live.send(post(upstream.url))
            await holder.read()
            waiting = asyncio.ensure_future(live.send(post(upstream.url)))
            await asyncio.sleep(0)
            if kept:
                gate.set()
                await holder.read()
            else:
                holder.abort()
            # The hand-over has happened, the waiting task has not run yet.
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await read_all(await live.send(post(upstream.url))) == b"ok"

    run(within(20, scenario()))


@on_both_loops
def test_cancel_while_connecting(run):
    async def scenario():
        stuck = asyncio.Event()
        attempts = []

        async def connect(origin, factory, context):
            attempts.append(origin)
            if len(attempts) == 1:
                await stuck.wait()
            return await connect_directly(origin, factory, context)

        limits = LiveLimits(max_connections_per_host=1)
        async with ScriptedUpstream([Script.json(b"ok")]) as upstream:
            live = LivePool(limits, connect=connect)
            sending = asyncio.ensure_future(live.send(post(upstream.url)))
            while not attempts:
                await asyncio.sleep(0)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert await read_all(await live.send(post(upstream.url))) == b"ok"
            assert upstream.connections == 1
            await live.aclose()

    run(within(20, scenario()))


class Silent(asyncio.Protocol):
    """An upstream, or a proxy, that listens and never says a word."""

    def __init__(self, arrived: asyncio.Event, closed: asyncio.Event) -> None:
        self._arrived = arrived
        self._closed = closed

    def data_received(self, data):
        self._arrived.set()

    def connection_lost(self, exc):
        self._closed.set()


@asynccontextmanager
async def silent_port():
    """(port, event: bytes have come, event: the peer has closed)."""
    arrived, closed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Silent(arrived, closed), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], arrived, closed
    server.close()


@asynccontextmanager
async def in_look_up():
    started = asyncio.Event()

    async def look_up(host, port):
        started.set()
        await asyncio.Event().wait()

    yield LivePool(ONE, connect=DirectConnect(look_up)), "http://up.test", started.wait, None


@asynccontextmanager
async def in_tcp():
    before = open_sockets()
    with deaf_port() as port:
        own = open_sockets() - before

        async def one_more():
            while open_sockets() - before <= own:
                await asyncio.sleep(0)

        yield LivePool(ONE), f"http://127.0.0.1:{port}", one_more, None


@asynccontextmanager
async def in_tls():
    async with silent_port() as (port, arrived, closed):
        yield LivePool(ONE), f"https://127.0.0.1:{port}", arrived.wait, closed


@asynccontextmanager
async def in_proxy_tls():
    async with silent_port() as (port, arrived, closed):
        table = Proxies(https=Proxy.parse(f"https://127.0.0.1:{port}"))
        yield LivePool(ONE, proxies=table), "https://up.test", arrived.wait, closed


@asynccontextmanager
async def in_connect():
    async with ScriptedProxy(answer=None) as proxy:
        table = Proxies(https=Proxy.parse(proxy.place))
        yield LivePool(ONE, proxies=table), "https://up.test", proxy.arrived.wait, proxy.closed


@asynccontextmanager
async def in_tls_through_a_tunnel():
    async with (
        silent_port() as (port, arrived, closed),
        ScriptedProxy({"up.test:443": port}) as proxy,
    ):
        table = Proxies(https=Proxy.parse(proxy.place))
        yield LivePool(ONE, proxies=table), "https://up.test", arrived.wait, closed


ONE = LiveLimits(max_connections_per_host=1)
PHASES = {
    phase.__name__: phase
    for phase in (in_look_up, in_tcp, in_tls, in_proxy_tls, in_connect, in_tls_through_a_tunnel)
}
"""Each: a pool, a URL, what to await until the phase is reached, what the peer then sees."""


async def left_by_a_cancelled_connect(name: str) -> set[tuple[int, int]]:
    """Sockets that are open after a request was cancelled in a phase of connecting."""
    before = open_sockets()
    async with PHASES[name]() as (live, url, reached, closed):
        within_phase = open_sockets()
        sending = asyncio.ensure_future(live.send(post(url)))
        await reached()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        # The slot is back at once, and with the last one the origin is forgotten.
        assert not live._hosts
        if closed is not None:
            await closed.wait()
        await turns()
        if name in ("in_look_up", "in_tcp"):
            assert open_sockets() <= within_phase
        await live.aclose()
    await turns(20)
    return open_sockets() - before


@on_both_loops
@pytest.mark.parametrize("name", PHASES)
def test_cancel_in_every_phase_of_connecting(run, name):
    assert run(within(20, left_by_a_cancelled_connect(name))) == set()


def test_mutant_that_keeps_the_socket_of_a_cancelled_attempt_is_caught(monkeypatch):
    async def careless(address):
        sock = socket.socket(address[0], socket.SOCK_STREAM)
        kept.append(sock)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address[1])
        return sock

    kept = []
    monkeypatch.setattr(connect_directly, "_open_socket", careless)
    with pytest.raises(AssertionError):
        asyncio.run(within(20, left_by_a_cancelled_connect("in_tcp")))
    for sock in kept:
        sock.close()


@on_both_loops
def test_cancel_while_sending(run):
    async def scenario():
        gate = asyncio.Event()
        scripts = [Script(before=[gate], framing=Framing.LENGTH), Script.json(b"ok")]
        async with (
            ScriptedUpstream(scripts, read_bodies=False) as upstream,
            pool(max_connections_per_host=1) as live,
        ):
            sending = asyncio.ensure_future(live.send(post(upstream.url, b"x" * 40_000_000)))
            seen = await upstream.seen(1)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert await read_all(await live.send(post(upstream.url))) == b"ok"
            # A deaf upstream notices the close only when it reads on.
            gate.set()
            await seen.closed.wait()
            assert len(seen.body) < 40_000_000

    run(within(20, scenario()))


@on_both_loops
def test_cancel_while_waiting_for_the_head(run):
    async def scenario():
        silent = Script(before=[asyncio.Event()])
        async with (
            ScriptedUpstream([silent, Script.json(b"ok")]) as upstream,
            pool(max_connections_per_host=1) as live,
        ):
            sending = asyncio.ensure_future(live.send(post(upstream.url)))
            seen = await upstream.seen(1)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await seen.closed.wait()
            assert await read_all(await live.send(post(upstream.url))) == b"ok"

    run(within(20, scenario()))


@on_both_loops
def test_abort_in_the_body_closes_and_frees_the_slot(run):
    async def scenario():
        endless = Script.sse(b"x", asyncio.Event())
        async with (
            ScriptedUpstream([endless, Script.json(b"ok")]) as upstream,
            pool(max_connections_per_host=1) as live,
        ):
            response = await live.send(post(upstream.url))
            reading = asyncio.ensure_future(read_to_fault(response))
            await asyncio.sleep(0)
            response.abort()
            response.abort()
            assert (await reading)[1] is ErrorKind.CUT
            assert await read_to_fault(response) == (b"", ErrorKind.CUT)
            await upstream.requests[0].closed.wait()
            assert await read_all(await live.send(post(upstream.url))) == b"ok"

    run(within(20, scenario()))


@on_both_loops
def test_abort_drops_what_was_not_read(run):
    async def scenario():
        endless = Script.sse(b"x", asyncio.Event())
        async with ScriptedUpstream([endless]) as upstream, pool() as live:
            response = await live.send(post(upstream.url))
            while not response._pieces:
                await asyncio.sleep(0)
            response.abort()
            assert await read_to_fault(response) == (b"", ErrorKind.CUT)

    run(within(20, scenario()))


@on_both_loops
def test_many_random_cancellations_lose_no_slot(run):
    """R32's shape: whatever is cancelled, all slots are there afterwards."""

    async def scenario():
        async with (
            ScriptedUpstream(lambda _: Script.sse(b"a", b"b")) as upstream,
            pool(max_connections_per_host=3) as live,
        ):

            async def one():
                await read_all(await live.send(post(upstream.url)))

            for round_number in range(40):
                tasks = [asyncio.ensure_future(one()) for _ in range(8)]
                for _ in range(round_number % 12):
                    await asyncio.sleep(0)
                for task in tasks[round_number % 3 :: 2]:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            responses = [await live.send(post(upstream.url)) for _ in range(3)]
            assert [await read_all(response) for response in responses] == [b"ab"] * 3
            [host] = live._hosts.values()
            assert host._open == len(host._idle) == len(host._connections) <= 3

    run(within(60, scenario()))
