"""The live transport over TLS: verification is never off, keep-alive and cuts as over plain TCP."""

import asyncio
import ssl

import pytest

from arno.transport.base import ErrorKind
from arno.transport.connecting import DirectConnect
from arno.transport.live import LiveLimits, LivePool
from arno.transport.tls import client_context
from tests.transport.certificates import needs_openssl
from tests.transport.running import fault_of, on_both_loops, post, read_all, read_to_fault, within
from tests.transport.sockets import open_sockets, turns
from tests.transport.upstream import End, Framing, Script, ScriptedUpstream

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def server_context(authority):
    return authority.server("IP:127.0.0.1")


@pytest.fixture(scope="module")
def trusting(authority):
    return client_context(authority.ca_file)


@on_both_loops
def test_sequential_requests_share_one_connection(run, server_context, trusting):
    async def scenario():
        def script(_):
            return Script.sse(b"a", b"b")

        async with ScriptedUpstream(script, server_context) as upstream:
            live = LivePool(ssl_context=trusting)
            for _ in range(30):
                assert await read_all(await live.send(post(upstream.url))) == b"ab"
            await live.aclose()
            return upstream.url[:8], upstream.connections

    assert run(within(20, scenario())) == ("https://", 1)


@on_both_loops
def test_events_arrive_one_by_one(run, server_context, trusting):
    async def scenario():
        gates = [asyncio.Event() for _ in range(10)]
        steps = [step for n, gate in enumerate(gates) for step in (b"%d" % n, gate)]
        async with ScriptedUpstream([Script.sse(*steps)], server_context) as upstream:
            live = LivePool(ssl_context=trusting)
            response = await live.send(post(upstream.url))
            for number, gate in enumerate(gates):
                assert await response.read() == b"%d" % number
                gate.set()
            assert await response.read() == b""
            await live.aclose()

    run(within(20, scenario()))


BODIES = {
    "length cut": (Script([b"one"], framing=Framing.LENGTH, end=End.CUT), ErrorKind.CUT),
    "chunked cut": (Script([b"one"], end=End.CUT), ErrorKind.CUT),
    "chunked reset": (Script([b"one"], end=End.RESET), ErrorKind.CUT),
    "chunked": (Script([b"one"], end=End.CLOSE), None),
    # Without close_notify anybody on the way may have cut the body.
    "until close, no close_notify": (
        Script([b"one"], framing=Framing.UNTIL_CLOSE, end=End.CUT),
        ErrorKind.CUT,
    ),
    "until close": (Script([b"one"], framing=Framing.UNTIL_CLOSE, end=End.CLOSE), None),
}


@on_both_loops
@pytest.mark.parametrize("name", BODIES)
def test_ends_of_bodies(run, name, server_context, trusting):
    script, fault = BODIES[name]

    async def scenario():
        async with ScriptedUpstream([script], server_context) as upstream:
            live = LivePool(ssl_context=trusting)
            response = await live.send(post(upstream.url))
            assert await read_to_fault(response) == (b"one", fault)
            await live.aclose()

    run(within(20, scenario()))


@on_both_loops
def test_large_bodies_both_ways_and_a_paused_reader(run, server_context, trusting):
    body = bytes(range(256)) * 16_384

    async def scenario():
        scripts = [Script([body], framing=Framing.LENGTH), Script.json(b"{}")]
        async with ScriptedUpstream(scripts, server_context) as upstream:
            live = LivePool(LiveLimits(read_high_water=16_384), trusting)
            response = await live.send(post(upstream.url, body))
            assert await read_all(response) == body
            assert upstream.requests[0].body == body
            await read_all(await live.send(post(upstream.url)))
            assert upstream.connections == 1
            await live.aclose()

    run(within(30, scenario()))


@on_both_loops
def test_abort_closes_the_connection(run, server_context, trusting):
    async def scenario():
        async with ScriptedUpstream(
            [Script.sse(b"x", asyncio.Event())], server_context
        ) as upstream:
            live = LivePool(ssl_context=trusting)
            response = await live.send(post(upstream.url))
            assert await response.read() == b"x"
            response.abort()
            await upstream.requests[0].closed.wait()
            await live.aclose()

    run(within(20, scenario()))


CERTIFICATES = {
    # name in the certificate, days it is valid, does the client know the authority: what is told
    "good": ("up.test", 2, True, None),
    "expired": ("up.test", -1, True, "certificate has expired"),
    "wrong host": ("other.test", 2, True, "Hostname mismatch"),
    "a wildcard too high": ("*.test.up.test", 2, True, "Hostname mismatch"),
    "unknown authority": ("up.test", 2, False, "unable to get local issuer certificate"),
}


def exchanged(run, authority, name, *, verified=True):
    """(fault or None, requests the upstream saw) of one request to https://up.test."""
    host, days, known, _ = CERTIFICATES[name]
    server = authority.server(host, days=days)
    context = client_context(authority.ca_file if known else None)

    async def scenario():
        before = open_sockets()
        async with ScriptedUpstream([Script.json(b"{}")], server) as upstream:
            port = int(upstream.url.rpartition(":")[2])

            async def look_up(host, port):
                return [(2, ("127.0.0.1", port))]

            live = LivePool(ssl_context=context, connect=DirectConnect(look_up))
            if not verified:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            fault = None
            if CERTIFICATES[name][3] is None or not verified:
                await read_all(await live.send(post(f"https://up.test:{port}")))
            else:
                fault = await fault_of(live.send(post(f"https://up.test:{port}")))
            await live.aclose()
            requests = upstream.requests
        await turns()
        assert open_sockets() <= before
        return fault, requests

    return run(within(20, scenario()))


@on_both_loops
@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_is_accepted_or_refused_before_a_byte_is_sent(run, name, authority):
    """Row 40: the fault says which, the upstream saw nothing, there is no second try without."""
    fault, requests = exchanged(run, authority, name)
    why = CERTIFICATES[name][3]
    if why is None:
        assert (fault, len(requests)) == (None, 1)
        return
    assert (fault.kind, fault.sent, requests) == (ErrorKind.CONNECT, False, [])
    assert "TLS handshake failed: certificate not accepted (" in fault.message
    assert why in fault.message


@pytest.mark.parametrize("name", ["expired", "wrong host", "unknown authority"])
def test_mutant_that_does_not_verify_would_send(name, authority):
    """The same upstream answers a client that looks away: the refusals above are ours."""
    fault, requests = exchanged(asyncio.run, authority, name, verified=False)
    assert (fault, len(requests)) == (None, 1)


@on_both_loops
def test_the_name_is_sent_and_http_1_1_is_offered(run, authority):
    """SNI without the dot of an absolute name; ALPN leaves the upstream no other protocol."""

    async def scenario():
        server, seen = authority.server("up.test"), []
        server.set_alpn_protocols(["h2", "http/1.1"])
        server.sni_callback = lambda _, name, __: seen.append(name)
        async with ScriptedUpstream(lambda _: Script.json(b"{}"), server) as upstream:
            port = int(upstream.url.rpartition(":")[2])

            async def look_up(host, port):
                return [(2, ("127.0.0.1", port))]

            context = client_context(authority.ca_file)
            live = LivePool(ssl_context=context, connect=DirectConnect(look_up))
            for host in ("up.test", "up.test."):
                await read_all(await live.send(post(f"https://{host}:{port}")))
            [first, _] = live._hosts.values()
            [connection] = first._connections
            agreed = connection._transport.get_extra_info("ssl_object").selected_alpn_protocol()
            await live.aclose()
            return seen, agreed

    assert run(within(20, scenario())) == (["up.test", "up.test"], "http/1.1")


@on_both_loops
def test_a_plain_upstream_is_no_tls_upstream(run, trusting):
    """Never downgraded: an upstream that answers a handshake in plain text is a fault."""

    async def scenario():
        def in_plain_words(_, writer):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(in_plain_words, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        live = LivePool(ssl_context=trusting)
        error = await fault_of(live.send(post(f"https://127.0.0.1:{port}")))
        await live.aclose()
        server.close()
        return error

    error = run(within(20, scenario()))
    assert (error.kind, error.sent) == (ErrorKind.CONNECT, False)
    assert "TLS handshake failed: " in error.message


@on_both_loops
def test_an_upstream_that_hangs_up_in_the_handshake(run, trusting):
    async def scenario():
        server = await asyncio.start_server(
            lambda _, writer: writer.transport.abort(), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        live = LivePool(ssl_context=trusting)
        error = await fault_of(live.send(post(f"https://127.0.0.1:{port}")))
        await live.aclose()
        server.close()
        return error

    error = run(within(20, scenario()))
    assert error.kind is ErrorKind.CONNECT
    assert "TLS handshake failed: " in error.message


@on_both_loops
def test_handshake_stall_ends_with_the_connect_timeout(run, trusting):
    async def scenario():
        async with ScriptedUpstream([]) as plain:
            live = LivePool(LiveLimits(connect_timeout=0.2), trusting)
            error = await fault_of(live.send(post(plain.url.replace("http:", "https:"))))
            await live.aclose()
            return error

    error = run(within(20, scenario()))
    assert (error.kind, error.sent) == (ErrorKind.CONNECT_TIMEOUT, False)
    assert error.message.endswith("connecting took longer than 0.2 s (TLS handshake)")


def test_verification_cannot_be_switched_off():
    careless = ssl.create_default_context()
    careless.check_hostname = False
    with pytest.raises(ValueError, match="must verify"):
        LivePool(ssl_context=careless)
    careless.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="must verify"):
        LivePool(ssl_context=careless)
