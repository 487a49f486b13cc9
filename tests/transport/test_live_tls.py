"""The live transport over TLS: verification is never off, keep-alive and cuts as over plain TCP."""

import asyncio
import shutil
import ssl
import subprocess

import pytest

from arno.transport.base import ErrorKind
from arno.transport.live import LiveLimits, LivePool
from tests.transport.running import fault_of, on_both_loops, post, read_all, read_to_fault, within
from tests.transport.upstream import End, Framing, Script, ScriptedUpstream

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1 (not for localhost) and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        " -subj /CN=upstream -addext subjectAltName=IP:127.0.0.1"
    )
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return cert, key


@pytest.fixture
def server_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trusting(certificate):
    return ssl.create_default_context(cafile=str(certificate[0]))


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


@on_both_loops
def test_unknown_authority_is_refused_before_a_byte_is_sent(run, server_context):
    async def scenario():
        async with ScriptedUpstream([], server_context) as upstream:
            live = LivePool()
            error = await fault_of(live.send(post(upstream.url)))
            await live.aclose()
            return error, upstream.requests

    error, requests = run(within(20, scenario()))
    assert (error.kind, error.sent, requests) == (ErrorKind.CONNECT, False, [])
    assert "certificate not accepted" in error.message


@on_both_loops
def test_wrong_host_is_refused(run, server_context, trusting):
    async def scenario():
        async with ScriptedUpstream([], server_context) as upstream:
            live = LivePool(ssl_context=trusting)
            url = upstream.url.replace("127.0.0.1", "localhost")
            error = await fault_of(live.send(post(url)))
            await live.aclose()
            return error

    error = run(within(20, scenario()))
    assert error.kind is ErrorKind.CONNECT
    assert "certificate not accepted" in error.message


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
