"""Connecting: order and pace of the address race (fault row 37), phases, and no socket left."""

import asyncio
import errno
import os
import socket

import pytest

from arno.transport import connecting
from arno.transport.connecting import (
    ATTEMPT_DELAY,
    DirectConnect,
    interleave,
    open_tcp,
    phase,
    phase_of,
    race,
    resolve,
)
from arno.transport.live import LivePool
from arno.transport.url import Origin
from tests.transport.running import get, on_both_loops, read_all, within
from tests.transport.sockets import closed_port, deaf_port, open_sockets, turns
from tests.transport.upstream import End, Script, ScriptedUpstream

V4, V6 = socket.AF_INET, socket.AF_INET6


def four(last: int, port: int = 1) -> connecting.Address:
    return V4, (f"127.0.0.{last}", port)


def six(last: int, port: int = 1) -> connecting.Address:
    return V6, (f"fd00::{last}", port, 0, 0)


ORDERS = {
    "one family": ([four(1), four(2)], [four(1), four(2)]),
    "IPv6 preferred": (
        [six(1), six(2), six(3), four(1), four(2)],
        [six(1), four(1), six(2), four(2), six(3)],
    ),
    "IPv4 preferred": ([four(1), six(1), six(2)], [four(1), six(1), six(2)]),
    "told twice": ([six(1), six(1), four(1), six(1)], [six(1), four(1)]),
}


@pytest.mark.parametrize("name", ORDERS)
def test_families_take_turns(name):
    given, order = ORDERS[name]
    assert interleave(given) == order


class Field:
    """Attempts that end when the test says so, and a clock that moves when the test says so."""

    def __init__(self) -> None:
        self.started: list[connecting.Address] = []
        self.ends: dict[connecting.Address, asyncio.Future] = {}
        self.sockets: dict[connecting.Address, socket.socket] = {}
        self.pauses: list[tuple[float, asyncio.Event]] = []
        self.cancelled: list[connecting.Address] = []

    async def open_socket(self, address: connecting.Address) -> socket.socket:
        self.started.append(address)
        self.ends[address] = asyncio.get_running_loop().create_future()
        try:
            await self.ends[address]
        except asyncio.CancelledError:
            self.cancelled.append(address)
            raise
        self.sockets[address] = socket.socket()
        return self.sockets[address]

    async def pause(self, seconds: float) -> None:
        over = asyncio.Event()
        self.pauses.append((seconds, over))
        await over.wait()

    def connects(self, address: connecting.Address) -> None:
        self.ends[address].set_result(None)

    def fails(self, address: connecting.Address, why: str = "no") -> None:
        self.ends[address].set_exception(OSError(errno.ECONNREFUSED, why))

    async def time_passes(self) -> None:
        self.pauses[-1][1].set()
        await turns()

    def is_open(self, address: connecting.Address) -> bool:
        return self.sockets[address].fileno() >= 0

    def close(self) -> None:
        for sock in self.sockets.values():
            sock.close()


ADDRESSES = [six(1), four(1), six(2)]


def on_a_field(scenario) -> None:
    """`scenario(field, running)`: `running` is a race over `ADDRESSES`."""

    async def main():
        field, before = Field(), asyncio.all_tasks()
        running = asyncio.ensure_future(race(ADDRESSES, field.open_socket, field.pause))
        await turns()
        try:
            await scenario(field, running)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await turns()
            field.close()
        assert asyncio.all_tasks() == before

    asyncio.run(within(20, main()))


def test_the_next_address_is_tried_beside_a_silent_one_after_the_delay():
    async def scenario(field, running):
        assert (field.started, field.pauses[0][0]) == (ADDRESSES[:1], ATTEMPT_DELAY)
        await field.time_passes()
        assert field.started == ADDRESSES[:2]
        await field.time_passes()
        assert field.started == ADDRESSES
        # All are under way: there is nothing to wait for but an answer.
        assert len(field.pauses) == 2
        field.connects(six(1))
        assert await running is field.sockets[six(1)]
        await turns()
        assert field.cancelled == [four(1), six(2)]
        assert field.is_open(six(1))

    on_a_field(scenario)


def test_the_next_address_is_tried_at_once_when_one_fails():
    async def scenario(field, running):
        field.fails(six(1))
        await turns()
        assert field.started == ADDRESSES[:2]
        field.connects(four(1))
        assert await running is field.sockets[four(1)]
        assert field.started == ADDRESSES[:2]

    on_a_field(scenario)


def test_an_earlier_attempt_may_still_win():
    async def scenario(field, running):
        await field.time_passes()
        field.fails(four(1))
        await turns()
        assert field.started == ADDRESSES
        field.connects(six(1))
        assert await running is field.sockets[six(1)]

    on_a_field(scenario)


def test_of_two_winners_one_is_closed():
    async def scenario(field, running):
        await field.time_passes()
        field.connects(four(1))
        field.connects(six(1))
        assert await running is field.sockets[six(1)]
        await turns()
        assert (field.is_open(six(1)), field.is_open(four(1))) == (True, False)

    on_a_field(scenario)


def test_all_reasons_are_told_when_every_address_fails():
    async def scenario(field, running):
        for address in ADDRESSES:
            field.fails(address, f"no {address[1][0]}")
            await turns()
        with pytest.raises(OSError, match=r"no fd00::1, no 127.0.0.1, no fd00::2"):
            await running

    on_a_field(scenario)


def test_a_bug_in_an_attempt_is_no_refusal():
    async def scenario(field, running):
        field.ends[six(1)].set_exception(KeyError("bug"))
        with pytest.raises(KeyError):
            await running

    on_a_field(scenario)


@pytest.mark.parametrize("connected", [False, True])
def test_a_cancelled_race_closes_everything(connected):
    async def scenario(field, running):
        await field.time_passes()
        if connected:
            # The socket is there and the race is due to run, but it is cancelled first.
            field.connects(four(1))
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await turns()
        assert set(field.cancelled) == ({six(1)} if connected else {six(1), four(1)})
        assert not any(field.is_open(address) for address in field.sockets)

    on_a_field(scenario)


class WaitsForTheDelay(connecting._Runners):
    """Lets the delay pass though the last attempt has failed."""

    async def next(self, *, bounded):
        if bounded:
            await self._pause(ATTEMPT_DELAY)
            return self._harvest()
        return await super().next(bounded=False)


class WaitsForAnEnd(connecting._Runners):
    """Waits for an answer however long it takes."""

    async def next(self, *, bounded):
        return await super().next(bounded=False)


class LeavesTheOthers(connecting._Runners):
    """Forgets the attempts that have not won."""

    def call_off(self):
        pass


MUTANTS = [
    (WaitsForTheDelay, test_the_next_address_is_tried_at_once_when_one_fails),
    (WaitsForAnEnd, test_the_next_address_is_tried_beside_a_silent_one_after_the_delay),
    (LeavesTheOthers, test_of_two_winners_one_is_closed),
    (LeavesTheOthers, lambda: test_a_cancelled_race_closes_everything(True)),
]


@pytest.mark.parametrize(("mutant", "check"), MUTANTS)
def test_mutants_of_the_race_are_caught(mutant, check, monkeypatch):
    check()
    monkeypatch.setattr(connecting, "_Runners", mutant)
    with pytest.raises((AssertionError, IndexError)):
        check()


class Lookup:
    """A resolver that knows these addresses, and what it was asked."""

    def __init__(self, *addresses: connecting.Address) -> None:
        self.addresses = addresses
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int):
        self.asked.append((host, port))
        return self.addresses


async def one_peer(host: str = "127.0.0.1") -> tuple[asyncio.Server, int]:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, 0)
    return server, server.sockets[0].getsockname()[1]


def at_once(_seconds):
    return asyncio.sleep(0)


def never(_seconds):
    return asyncio.Event().wait()


async def connected_to(connect: DirectConnect) -> object:
    origin = Origin(False, "upstream.test", 7)
    transport, protocol = await connect(origin, asyncio.Protocol, None)
    assert isinstance(protocol, asyncio.Protocol)
    peer = transport.get_extra_info("peername")
    sock = transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    transport.abort()
    return peer[:2]


@on_both_loops
def test_an_address_that_refuses_does_not_end_the_connecting(run):
    async def scenario():
        server, port = await one_peer()
        dead = closed_port()
        addresses = Lookup(
            (V6, ("::1", dead, 0, 0)), (V4, ("127.0.0.1", dead)), (V4, ("127.0.0.1", port))
        )
        peer = await connected_to(DirectConnect(addresses, pause=never))
        server.close()
        assert peer == ("127.0.0.1", port)
        assert addresses.asked == [("upstream.test", 7)]

    run(within(20, scenario()))


async def past_a_silent_address(pause) -> object:
    before = open_sockets()
    server, port = await one_peer()
    with deaf_port() as deaf:
        addresses = Lookup((V4, ("127.0.0.1", deaf)), (V4, ("127.0.0.1", port)))
        try:
            async with asyncio.timeout(1):
                peer = await connected_to(DirectConnect(addresses, pause=pause))
        finally:
            server.close()
    await turns()
    assert open_sockets() <= before
    return peer == ("127.0.0.1", port)


@on_both_loops
def test_a_silent_first_address_is_overtaken(run):
    """Row 37: IPv6 first, and dead."""
    assert run(within(20, past_a_silent_address(at_once)))


@on_both_loops
def test_control_without_the_next_attempt_the_silent_address_holds_everything(run):
    with pytest.raises(TimeoutError):
        run(within(20, past_a_silent_address(never)))


@on_both_loops
@pytest.mark.parametrize("silent", [1, 2])
def test_cancelled_while_addresses_are_silent_no_socket_is_left(run, silent):
    async def scenario():
        with deaf_port() as deaf:
            before = open_sockets()
            addresses = Lookup(*[(V4, (f"127.0.0.{last + 1}", deaf)) for last in range(silent)])
            connect = DirectConnect(addresses, pause=at_once)
            connecting = asyncio.ensure_future(connected_to(connect))
            while len(open_sockets() - before) < silent:
                await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await turns()
            assert open_sockets() <= before

    run(within(20, scenario()))


@on_both_loops
def test_every_refusal_is_told(run):
    async def scenario():
        dead = closed_port()
        addresses = Lookup((V6, ("::1", dead, 0, 0)), (V4, ("127.0.0.1", dead)))
        with pytest.raises(OSError, match="refused") as caught:
            await connected_to(DirectConnect(addresses))
        return caught.value

    error = run(within(20, scenario()))
    refused = os.strerror(errno.ECONNREFUSED)
    assert error.strerror == f"{refused} (::1), {refused} (127.0.0.1)"
    assert phase_of(error, "?") == "connecting"


@on_both_loops
def test_a_name_without_addresses_is_a_fault(run):
    async def scenario():
        with pytest.raises(OSError, match="no address") as caught:
            await connected_to(DirectConnect(Lookup()))
        return phase_of(caught.value, "?")

    assert run(within(20, scenario())) == "name look-up"


@on_both_loops
def test_a_failed_look_up_names_itself(run):
    async def scenario():
        async def fails(host, port):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        with pytest.raises(OSError, match="Name or service") as caught:
            await connected_to(DirectConnect(fails))
        return phase_of(caught.value, "?")

    assert run(within(20, scenario())) == "name look-up"


@on_both_loops
def test_the_system_resolver_knows_this_machine(run):
    places = run(resolve("localhost", 80))
    assert {place[0] for _, place in places} <= {"127.0.0.1", "::1"}
    assert {place[1] for _, place in places} == {80}


def test_a_literal_address_is_not_looked_up(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", None)
    assert asyncio.run(resolve("127.0.0.1", 80)) == [(V4, ("127.0.0.1", 80))]
    assert asyncio.run(resolve("::1", 80)) == [(V6, ("::1", 80, 0, 0))]


@on_both_loops
def test_ipv6_is_spoken(run):
    async def scenario():
        try:
            server, port = await one_peer("::1")
        except OSError:
            pytest.skip("this machine has no IPv6")
        sock = await open_tcp((V6, ("::1", port, 0, 0)))
        assert sock.getpeername()[:2] == ("::1", port)
        sock.close()
        server.close()

    run(within(20, scenario()))


def test_a_time_limit_knows_the_phase_it_ended():
    async def scenario():
        async def stuck():
            async with asyncio.timeout(0):
                with phase("outer"), phase("inner"):
                    await asyncio.Event().wait()

        with pytest.raises(TimeoutError) as caught:
            await stuck()
        return phase_of(caught.value, "?")

    assert asyncio.run(within(20, scenario())) == "inner outer"
    assert phase_of(OSError(), "default") == "default"


async def followed(look_up_of) -> list[int]:
    """Requests that two upstreams saw: the name points to the first, then to the second one."""
    ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    async with (
        ScriptedUpstream(lambda _: Script.raw(ok, end=End.CUT)) as old,
        ScriptedUpstream(lambda _: Script.json(b"{}")) as new,
    ):
        places = Lookup()
        live = LivePool(connect=DirectConnect(look_up_of(places)))
        for upstream in (old, new, new):
            places.addresses = ((V4, ("127.0.0.1", int(upstream.url.rpartition(":")[2]))),)
            await read_all(await live.send(get("http://up.test")))
            if upstream is old:
                await old.requests[0].closed.wait()
        await live.aclose()
        # A kept connection needs no look-up.
        assert places.asked == [("up.test", 80)] * len(places.asked)
        return [len(old.requests), len(new.requests), len(places.asked)]


@on_both_loops
def test_a_name_that_moves_is_followed_by_the_next_connection(run):
    """Row 37: a new connection looks the name up anew."""
    assert run(within(20, followed(lambda places: places))) == [1, 2, 2]


def test_mutant_that_remembers_addresses_is_caught():
    def remembering(places):
        known = {}

        async def look_up(host, port):
            if host not in known:
                known[host] = await places(host, port)
            return known[host]

        return look_up

    assert asyncio.run(within(20, followed(remembering))) == [3, 0, 1]
