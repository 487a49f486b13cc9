"""Through a proxy: absolute form for http, CONNECT and TLS end to end for https; and its faults."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from arno.transport import tunnel
from arno.transport.base import ErrorKind
from arno.transport.live import LiveLimits, LivePool
from arno.transport.proxy import NoProxy, Proxies, Proxy
from arno.transport.tls import client_context
from tests.transport.certificates import needs_openssl
from tests.transport.proxying import ScriptedProxy
from tests.transport.running import fault_of, on_both_loops, post, read_all, within
from tests.transport.sockets import closed_port, open_sockets, turns
from tests.transport.upstream import End, Framing, Script, ScriptedUpstream

SECRET = "sk-canary"
BASIC = "Basic dTpzay1jYW5hcnk="


def proxies(place: str, scheme: str = "http", no_proxy: str = "") -> Proxies:
    proxy = Proxy.parse(f"{scheme}://u:{SECRET}@{place}")
    return Proxies(http=proxy, https=proxy, direct=NoProxy(no_proxy))


@asynccontextmanager
async def pool_through(table: Proxies, context=None, **limits):
    live = LivePool(LiveLimits(**limits), context, proxies=table)
    try:
        yield live
    finally:
        await live.aclose()


def port_of(upstream: ScriptedUpstream) -> int:
    return int(upstream.url.rpartition(":")[2])


# http origins.


@on_both_loops
def test_http_requests_are_handed_to_the_proxy_in_absolute_form(run):
    async def scenario():
        async with ScriptedUpstream(lambda _: Script.json(b"{}")) as proxy:
            async with pool_through(proxies(proxy.url.removeprefix("http://"))) as live:
                for _ in range(20):
                    url = "http://up.test:81/v1?q=1"
                    response = await live.send(post(url.removesuffix("/v1?q=1")))
                    assert await read_all(response) == b"{}"
            return proxy.requests, proxy.connections

    requests, connections = run(within(20, scenario()))
    assert connections == 1
    assert [request.path for request in requests] == ["http://up.test:81/v1/chat/completions"] * 20
    assert requests[0].headers == [
        ("host", "up.test:81"),
        ("content-length", "2"),
        ("proxy-authorization", BASIC),
    ]
    assert requests[0].body == b"{}"


@on_both_loops
def test_origins_do_not_share_connections_to_a_proxy(run):
    """Reuse is per origin: a proxy may bind a connection to the first one."""

    async def scenario():
        async with ScriptedUpstream(lambda _: Script.json(b"{}")) as proxy:
            async with pool_through(proxies(proxy.url.removeprefix("http://"))) as live:
                for host in ("a.test", "b.test", "a.test"):
                    await read_all(await live.send(post(f"http://{host}")))
            return [request.connection for request in proxy.requests]

    assert run(within(20, scenario())) == [1, 2, 1]


@on_both_loops
def test_what_no_proxy_names_and_this_machine_go_direct_without_credentials(run):
    async def scenario():
        scripts = [Script.json(b"{}")]
        async with ScriptedUpstream(scripts) as upstream, pool_through(proxies("p.test:1")) as live:
            await read_all(await live.send(post(upstream.url)))
            return upstream.requests[0]

    request = run(within(20, scenario()))
    assert request.path == "/v1/chat/completions"
    assert request.header("proxy-authorization") is None


@on_both_loops
def test_407_of_a_proxy_is_no_answer_of_the_upstream(run):
    async def scenario():
        # Its body never ends: the connection is not kept, its slot is.
        scripts = [Script([b"who?", asyncio.Event()], 407), Script.json(b"{}")]
        async with ScriptedUpstream(scripts) as proxy:
            place = proxy.url.removeprefix("http://")
            async with pool_through(proxies(place), max_connections_per_host=1) as live:
                error = await fault_of(live.send(post("http://up.test")))
                assert await read_all(await live.send(post("http://up.test"))) == b"{}"
        return place, error

    place, error = run(within(20, scenario()))
    assert (error.kind, error.sent) == (ErrorKind.CONNECT, False)
    assert error.message == f"up.test:80: connecting failed: the proxy {place} answered 407"


@on_both_loops
def test_control_407_without_a_proxy_is_the_upstreams(run):
    async def scenario():
        answer = Script.json(b"{}", 407)
        async with (
            ScriptedUpstream([answer]) as upstream,
            pool_through(proxies("p.test:1")) as live,
        ):
            return (await live.send(post(upstream.url))).status

    assert run(within(20, scenario())) == 407


@on_both_loops
def test_a_stale_connection_to_the_proxy_is_replaced(run):
    async def scenario():
        scripts = [Script.json(b"1"), Script.raw(end=End.CUT), Script.json(b"2")]
        async with ScriptedUpstream(scripts) as proxy:
            async with pool_through(proxies(proxy.url.removeprefix("http://"))) as live:
                for expected in (b"1", b"2"):
                    assert await read_all(await live.send(post("http://up.test"))) == expected
            assert [request.path[:14] for request in proxy.requests] == ["http://up.test"] * 3

    run(within(20, scenario()))


@on_both_loops
def test_a_proxy_that_refuses_connections_is_named(run):
    port = closed_port()

    async def scenario():
        async with pool_through(proxies(f"127.0.0.1:{port}")) as live:
            return [await fault_of(live.send(post(f"{s}://up.test"))) for s in ("http", "https")]

    for error, at in zip(run(within(20, scenario())), (80, 443), strict=True):
        assert error.kind is ErrorKind.CONNECT
        assert error.message.startswith(
            f"up.test:{at}: connecting via proxy 127.0.0.1:{port} failed: "
        )


# https origins.


@asynccontextmanager
async def tunnelled(authority, script, scheme="http", names=("up.test",), **limits):
    """(upstream, proxy, pool): `https://up.test` through a proxy, of an http or https URL."""
    own = authority.server("IP:127.0.0.1") if scheme == "https" else None
    async with ScriptedUpstream(script, authority.server(*names)) as upstream:
        ports = {"up.test:443": port_of(upstream)}
        async with ScriptedProxy(ports, ssl_context=own) as proxy:
            context = client_context(authority.ca_file)
            async with pool_through(proxies(proxy.place, scheme), context, **limits) as live:
                yield upstream, proxy, live


@needs_openssl
@on_both_loops
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_sequential_requests_share_one_tunnel(run, authority, scheme):
    async def scenario():
        def script(_):
            return Script.sse(b"a", b"b")

        async with tunnelled(authority, script, scheme) as (upstream, proxy, live):
            for _ in range(20):
                assert await read_all(await live.send(post("https://up.test"))) == b"ab"
            assert (upstream.connections, proxy.connections, len(upstream.requests)) == (1, 1, 20)
            return upstream.requests[0], proxy.asked[0]

    request, asked = run(within(20, scenario()))
    assert (asked.method, asked.path) == ("CONNECT", "up.test:443")
    assert asked.headers == [("host", "up.test:443"), ("proxy-authorization", BASIC)]
    # What is for the proxy never reaches the upstream, and its target has the usual form.
    assert request.path == "/v1/chat/completions"
    assert request.headers == [("host", "up.test"), ("content-length", "2")]


@needs_openssl
@on_both_loops
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_events_arrive_one_by_one_through_a_tunnel(run, authority, scheme):
    async def scenario():
        gates = [asyncio.Event() for _ in range(10)]
        steps = [step for n, gate in enumerate(gates) for step in (b"%d" % n, gate)]
        async with tunnelled(authority, [Script.sse(*steps)], scheme) as (_, _, live):
            response = await live.send(post("https://up.test"))
            for number, gate in enumerate(gates):
                assert await response.read() == b"%d" % number
                gate.set()
            assert await response.read() == b""

    run(within(20, scenario()))


@needs_openssl
@on_both_loops
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_large_bodies_go_both_ways_through_a_tunnel(run, authority, scheme):
    body = bytes(range(256)) * 8192

    async def scenario():
        scripts = [Script([body], framing=Framing.LENGTH), Script.json(b"{}")]
        async with tunnelled(authority, scripts, scheme, read_high_water=16_384) as parts:
            upstream, _, live = parts
            response = await live.send(post("https://up.test", body))
            assert await read_all(response) == body
            assert upstream.requests[0].body == body
            await read_all(await live.send(post("https://up.test")))
            assert upstream.connections == 1

    run(within(30, scenario()))


@needs_openssl
@on_both_loops
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_upstream_is_verified_by_its_own_name(run, authority, scheme):
    """A proxy that answers itself is found out; nothing is sent to it."""

    async def scenario():
        async with tunnelled(authority, [], scheme, names=("other.test",)) as parts:
            upstream, _, live = parts
            error = await fault_of(live.send(post("https://up.test")))
            return error, upstream.requests

    error, requests = run(within(20, scenario()))
    assert (error.kind, error.sent, requests) == (ErrorKind.CONNECT, False, [])
    assert error.message.startswith("up.test:443: TLS handshake failed: certificate not accepted")


@needs_openssl
@on_both_loops
def test_a_proxy_that_is_not_verified_is_told_nothing(run, authority):
    async def scenario():
        own = authority.server("proxy.test")
        async with ScriptedProxy(ssl_context=own) as proxy:
            context = client_context(authority.ca_file)
            async with pool_through(proxies(proxy.place, "https"), context) as live:
                errors = [
                    await fault_of(live.send(post(f"{s}://up.test"))) for s in ("http", "https")
                ]
            return proxy.place, proxy.asked, errors

    place, asked, errors = run(within(20, scenario()))
    assert asked == []
    for error in errors:
        assert f"TLS handshake via proxy {place} failed: certificate not accepted" in error.message


REFUSALS = {
    "403": (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno!", "answered 403 Forbidden"),
    "407": (
        b"HTTP/1.1 407 Who\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n",
        "answered 407 Proxy Authentication Required",
    ),
    "500 without length": (b"HTTP/1.1 500 Oops\r\n\r\n" + b"x" * 99, "answered 500"),
    "odd status": (b"HTTP/1.1 599 Odd\r\n\r\n", "answered 599"),
    "redirect": (b"HTTP/1.1 302 Found\r\nlocation: http://x/\r\n\r\n", "answered 302 Found"),
    "1xx first": (b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 403 No\r\n\r\n", "answered 403 Forbidden"),
    "no http": (b"SSH-2.0-x\r\n\r\n", "answer is not valid"),
    "endless head": (
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"a" * tunnel.MAX_HEAD + b"\r\n\r\n",
        "answer is not valid",
    ),
    "more than an answer": (b"HTTP/1.1 200 OK\r\n\r\nmore", "sent more than its answer"),
}


def refused(run, answer, **limits):
    """(place of the proxy, fault) of a request to whose CONNECT the proxy says `answer`."""

    async def scenario():
        before = open_sockets()
        async with ScriptedProxy(answer=answer) as proxy:
            async with pool_through(proxies(proxy.place), **limits) as live:
                error = await fault_of(live.send(post("https://up.test")))
            await proxy.closed.wait()
        await turns()
        assert open_sockets() <= before
        return proxy.place, error

    return run(within(20, scenario()))


@on_both_loops
@pytest.mark.parametrize("name", REFUSALS)
def test_a_proxy_that_opens_no_tunnel(run, name):
    answer, why = REFUSALS[name]
    place, error = refused(run, answer)
    assert (error.kind, error.sent) == (ErrorKind.CONNECT, False)
    assert error.message.startswith(f"up.test:443: CONNECT via proxy {place} failed: the proxy")
    assert why in error.message
    chain = f"{error!r} {error.__cause__!r}"
    assert SECRET not in chain
    assert BASIC not in chain


@on_both_loops
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nx: "])
def test_a_proxy_that_hangs_up(run, answer):
    async def scenario():
        async with (
            ScriptedProxy(answer=answer, hang_up=True) as proxy,
            pool_through(proxies(proxy.place)) as live,
        ):
            return await fault_of(live.send(post("https://up.test")))

    error = run(within(20, scenario()))
    assert error.kind is ErrorKind.CONNECT
    assert error.message.endswith("failed: the proxy closed the connection")


@needs_openssl
@on_both_loops
@pytest.mark.parametrize("answer", [b"HTTP/1.1 200\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n"])
def test_any_2xx_opens_the_tunnel(run, authority, answer):
    async def scenario():
        upstream = ScriptedUpstream([Script.json(b"{}")], authority.server("up.test"))
        async with upstream:
            ports = {"up.test:443": port_of(upstream)}
            async with ScriptedProxy(ports, answer=answer) as proxy:
                context = client_context(authority.ca_file)
                async with pool_through(proxies(proxy.place), context) as live:
                    return await read_all(await live.send(post("https://up.test")))

    assert run(within(20, scenario())) == b"{}"


@on_both_loops
def test_a_silent_proxy_ends_with_the_connect_timeout(run):
    async def scenario():
        async with ScriptedProxy(answer=None) as proxy:
            async with pool_through(proxies(proxy.place), connect_timeout=0.2) as live:
                error = await fault_of(live.send(post("https://up.test")))
            await proxy.closed.wait()
        return proxy.place, error

    place, error = run(within(20, scenario()))
    assert error.kind is ErrorKind.CONNECT_TIMEOUT
    assert error.message == (
        f"up.test:443: connecting took longer than 0.2 s (CONNECT via proxy {place})"
    )


# Mutants.


def test_a_mutant_that_takes_any_answer_for_a_tunnel_is_caught(monkeypatch):
    class Deaf(tunnel.Tunnel):
        async def open(self, transport, origin, authorization):
            transport.write(tunnel.connect_head(origin, authorization))
            await self._answered

    monkeypatch.setattr(tunnel, "Tunnel", Deaf)
    _, error = refused(asyncio.run, REFUSALS["403"][0], connect_timeout=0.2)
    assert error.message.endswith("(TLS handshake)")


@needs_openssl
def test_a_mutant_that_does_not_check_the_upstreams_name_is_caught(monkeypatch, authority):
    monkeypatch.setattr(tunnel, "server_name", lambda origin: "other.test")
    with pytest.raises(pytest.fail.Exception):
        test_the_upstream_is_verified_by_its_own_name(asyncio.run, authority, "http")
