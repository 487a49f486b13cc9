"""Rows of the fault matrix that lie in connections and codings: 9, 23, 37 to 40, by the gateway.

Real sockets on both sides; names are looked up by a resolver of the test's own.
"""

import asyncio
import socket
import ssl
import threading

import pytest

from arno.transport import connecting, live
from arno.transport.connecting import DirectConnect, open_tcp
from arno.transport.connection import WRITE_SLICE, Connection
from arno.transport.live import LivePool
from tests.faults.gateways import HeldClock, row_of, serving, states, toml
from tests.faults.test_r11_clocks import BytesCount, events_of
from tests.faults.world import good
from tests.gateway.harness import PATIENCE_S, connect, post
from tests.gateway.test_live import ASK, WHOLE, delta
from tests.gateway.upstream import STREAM, Peer, Upstream
from tests.transport.certificates import needs_openssl
from tests.transport.encoding import ENCODERS, encoded_pieces
from tests.transport.sockets import closed_port
from tests.transport.upstream import Script, ThreadedUpstream

HURRIED_S = 0.5
WHOLE_ASK = {**ASK, "stream": False}


# row 9: a byte now and then


class Drop:
    """One event, then a byte of the next one for each `go`."""

    def __init__(self):
        self.go, self.fell = threading.Semaphore(0), threading.Semaphore(0)
        self.over = False

    def __call__(self, peer):
        peer.send(STREAM)
        peer.chunk(delta("one"))
        while self.go.acquire(timeout=PATIENCE_S) and not self.over:
            peer.chunk(b"d")
            self.fell.release()


def slow_loris(folder, patience=PATIENCE_S):
    """The check: a byte a second is no event, so the idle deadline of 30 s passes."""
    clock, drop = HeldClock(), Drop()
    with (
        Upstream(drop) as alpha,
        serving(folder, toml(alpha, more="[deadlines]\nidle = 30\n"), clock=clock) as (url, sink),
        connect(url) as client,
    ):
        client.socket.settimeout(patience)
        client.post(ASK)
        try:
            client.read_until(b'"one"')
            for second in range(30):
                assert (second, sink.recent(1)) == (second, ())
                drop.go.release()
                assert drop.fell.acquire(timeout=PATIENCE_S)
                clock.pass_by(1.0)
            rest = client.read_until(b"0\r\n\r\n")
        finally:
            drop.over = True
            drop.go.release()
        assert events_of(rest)[1]["metadata"]["provider_code"] == "idle_deadline"
        assert states(row_of(sink)) == ("truncated", [("alpha", "truncated")])


def test_row_9_bytes_are_no_events(tmp_path):
    slow_loris(tmp_path)


# row 23: codings


def in_coding(name, folder, patience=PATIENCE_S):
    """The check: an encoded stream is read event by event, in step with the upstream."""
    events = [delta(f"<{number}>") for number in range(5)]
    *pieces, rest, end = encoded_pieces(name, [*events, delta("", "stop") + b"data: [DONE]\n\n"])
    gates = [threading.Event() for _ in pieces]

    def script(peer):
        coding = f"Content-Encoding: {ENCODERS[name][0]}\r\n\r\n".encode()
        peer.send(STREAM[:-2] + coding)
        for piece, gate in zip(pieces, gates, strict=True):
            peer.chunk(piece)
            assert gate.wait(PATIENCE_S)
        peer.chunk(rest + end)
        peer.end()

    with (
        Upstream(script) as alpha,
        serving(folder, toml(alpha)) as (url, sink),
        connect(url) as client,
    ):
        client.socket.settimeout(patience)
        client.post(ASK)
        try:
            for number, gate in enumerate(gates):
                client.read_until(f"<{number}>".encode())
                gate.set()
            assert b"[DONE]" in client.read_until(b"0\r\n\r\n")
        finally:
            for gate in gates:
                gate.set()
        assert row_of(sink).generation.state == "success"


@pytest.mark.parametrize("name", ENCODERS)
def test_row_23_an_encoded_stream_is_read_event_by_event(name, tmp_path):
    in_coding(name, tmp_path)


LIES = {
    "gzip that is none": (b"gzip", delta("Hi")),
    "br that is none": (b"br", delta("Hi")),
    "half a gzip": (b"gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
    "a coding nobody knows": (b"rot13", delta("Hi")),
}


@pytest.mark.parametrize("how", LIES)
def test_row_23_a_lie_about_the_coding_is_the_upstreams_fault(how, world):
    coding, body = LIES[how]

    def script(peer):
        peer.send(STREAM[:-2] + b"Content-Encoding: " + coding + b"\r\n\r\n")
        peer.chunk(body)
        peer.end()

    reply, record = world.ask(script)
    assert (reply.status, reply.headers["x-provider-name"]) == (200, "beta")
    assert [e.error_kind for e in record.exchanges] == [
        "upstream_truncated" if how == "half a gzip" else "invalid_answer",
        None,
    ]
    assert world.ask(script, model="alpha/x")[0].status == 502


# row 37: names and addresses


class Names:
    """A resolver and sockets of the test's own: IPv6 never answers."""

    def __init__(self, *addresses):
        self.addresses = addresses
        self.asked = 0

    async def resolve(self, host, port):
        self.asked += 1
        assert host == "upstream.test"
        return [(family, (place, at)) for family, place, at in self.addresses]

    async def open(self, address):
        if address[0] == socket.AF_INET6:
            await asyncio.Event().wait()
        return await open_tcp(address)

    async def soon(self, _seconds):
        """The delay before the next address is tried; its length is tested elsewhere."""

    def pool(self):
        return LivePool(connect=DirectConnect(self.resolve, self.open, self.soon))


def port_of(upstream):
    return int(upstream.url.split(":")[2].split("/")[0])


def dead_first_address(folder):
    """The check: IPv6 is silent, IPv4 serves."""
    with Upstream(good) as alpha:
        names = Names(
            (socket.AF_INET6, "::1", 9),
            (socket.AF_INET, "127.0.0.1", closed_port()),
            (socket.AF_INET, "127.0.0.1", port_of(alpha)),
        )
        text = toml("http://upstream.test/v1", more="[deadlines]\nconnect = 0.5\n")
        with serving(folder, text, pool=names.pool()) as (url, sink):
            assert post(url, WHOLE_ASK).status == 200
            assert states(row_of(sink)) == ("success", [("alpha", "success")])


def test_row_37_a_dead_address_does_not_matter(tmp_path):
    dead_first_address(tmp_path)


def test_row_37_a_name_that_moves_is_followed(tmp_path):
    """It is asked anew for every connection."""
    with Upstream(good) as first, Upstream(good) as second:
        names = Names((socket.AF_INET, "127.0.0.1", port_of(first)))
        with serving(tmp_path, toml("http://upstream.test/v1"), pool=names.pool()) as (url, _):
            assert post(url, WHOLE_ASK).status == 200
            names.addresses = ((socket.AF_INET, "127.0.0.1", port_of(second)),)
            assert post(url, WHOLE_ASK).status == 200
        assert (len(first.requests), len(second.requests), names.asked) == (1, 1, 2)


# row 38: a connection that was kept and is gone


class Forgetful:
    """Keeps the connection, and closes it without a word when the next request is there."""

    def __init__(self):
        self.connections = 0

    def __call__(self, peer):
        self.connections += 1
        peer.answer(200, WHOLE)
        if self.connections == 1:
            Peer(peer.socket)


def stale_connection(folder):
    """The check: what a kept connection loses is sent once more, and nobody is told."""
    script = Forgetful()
    with (
        Upstream(script) as alpha,
        Upstream(good) as beta,
        serving(folder, toml(alpha, beta)) as (url, sink),
    ):
        for _ in range(2):
            reply = post(url, WHOLE_ASK)
            assert (reply.status, reply.headers["x-provider-name"]) == (200, "alpha")
            assert "x-failed-attempts" not in reply.headers
            assert states(row_of(sink)) == ("success", [("alpha", "success")])
        assert (script.connections, beta.requests) == (2, [])


def test_row_38_a_stale_connection_is_replaced_once(tmp_path):
    stale_connection(tmp_path)


# row 39: words before the answer, and answers before the end


def test_row_39_what_comes_before_the_answer_is_passed_over(world):
    def script(peer):
        for line in ("100 Continue", "102 Processing", "103 Early Hints\r\nLink: </a>"):
            peer.send(f"HTTP/1.1 {line}\r\n\r\n".encode())
        peer.answer(200, WHOLE)

    reply, record = world.ask(script, streamed=False)
    assert (reply.status, reply.document["provider"]) == (200, "alpha")
    assert [(e.state, e.http_status) for e in record.exchanges] == [("success", 200)]


def early_answer(folder, patience=PATIENCE_S):
    """The check: a 413 while most of the body is still here is used, and the rest is not sent."""
    text = "A" * (24 * 1024 * 1024)
    ask = {**WHOLE_ASK, "messages": [{"role": "user", "content": text}]}
    gone, taken = threading.Event(), []

    def serve(listener):
        with listener.accept()[0] as sock:
            sock.settimeout(PATIENCE_S)
            taken.append(len(sock.recv(4096)))
            body = b'{"error":{"message":"too large"}}'
            sock.sendall(b"HTTP/1.1 413 X\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            assert gone.wait(PATIENCE_S)

    with socket.create_server(("127.0.0.1", 0)) as listener, Upstream(good) as beta:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with serving(folder, toml(address, beta)) as (url, sink), connect(url) as client:
            client.socket.settimeout(patience)
            try:
                client.post(ask)
                assert client.read_head()[0] == 413
            finally:
                gone.set()
                thread.join(PATIENCE_S)
            assert b"too large" in client.read_until(b"}}")
            assert states(row_of(sink)) == ("error", [("alpha", "error")])
        assert beta.requests == []


def test_row_39_an_answer_before_the_end_of_the_request_is_used(tmp_path):
    early_answer(tmp_path)


# row 40: TLS


def host_of(how, folder, authority):
    """What comes of a TLS host: (reply, the requests that it was sent, ledger row)."""
    names = {"another host's": "elsewhere.test"}
    context = authority.server(names.get(how, "IP:127.0.0.1"), days=-1 if how == "expired" else 2)
    trusted = "" if how == "unknown authority" else f'[tls]\nca_file = "{authority.ca_file}"\n'
    with (
        ThreadedUpstream([Script.json(WHOLE)], ssl_context=context) as alpha,
        Upstream(good) as beta,
        serving(folder, toml(f"{alpha.url}/v1", beta, more=trusted)) as (url, sink),
    ):
        return post(url, WHOLE_ASK), list(alpha.requests), row_of(sink)


def not_trusted(how, folder, authority):
    """The check: such a host gets no byte of a request, and the next candidate serves."""
    reply, asked, record = host_of(how, folder, authority)
    assert (reply.status, reply.headers["x-provider-name"]) == (200, "beta")
    assert reply.headers["x-failed-attempts"] == "alpha: provider_unavailable"
    assert asked == []
    assert states(record) == ("success", [("alpha", "error"), ("beta", "success")])


@needs_openssl
@pytest.mark.parametrize("how", ["expired", "another host's", "unknown authority"])
def test_row_40_a_certificate_that_is_not_right_is_not_accepted(how, tmp_path, authority):
    not_trusted(how, tmp_path, authority)


@needs_openssl
def test_row_40_a_right_certificate_is(tmp_path, authority):
    """The control."""
    reply, asked, record = host_of("right", tmp_path, authority)
    assert (reply.headers["x-provider-name"], len(asked)) == ("alpha", 1)
    assert states(record) == ("success", [("alpha", "success")])


@pytest.mark.parametrize("says", [b"HTTP/1.1 200 OK\r\n\r\n", b""], ids=["plain", "a close"])
def test_row_40_a_host_without_tls_gets_no_request(says, tmp_path):
    """Never downgrade: it is not tried again in plain."""
    heard = []

    def serve(listener):
        with listener.accept()[0] as sock:
            heard.append(sock.recv(4096))
            sock.sendall(says)

    with socket.create_server(("127.0.0.1", 0)) as listener, Upstream(good) as beta:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        address = f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
        with serving(tmp_path, toml(address, beta)) as (url, _):
            assert post(url, WHOLE_ASK).headers["x-provider-name"] == "beta"
        thread.join(PATIENCE_S)
    [hello] = heard
    assert hello[:1] == b"\x16"  # a TLS handshake record
    assert b"POST" not in hello


# mutants


async def deaf_to_answers(self, response, head, body):
    """Sends all of a request before it listens."""
    self._write(head)
    for start in range(0, len(body), WRITE_SLICE):
        self._write(body[start : start + WRITE_SLICE])
        while self._writing_paused:
            await asyncio.sleep(0.01)


def as_it_comes(response, **_):
    """Decodes nothing."""
    return response


def no_second_try(self, how):
    """Takes a stale connection for a failed attempt."""
    self._served = 0
    LOSE(self, how)


LOSE = Connection._lose

MUTANTS = {
    "9: bytes are events": (
        "arno.exchange.driver.Watch",
        BytesCount,
        lambda folder: slow_loris(folder, HURRIED_S),
    ),
    "23: decodes nothing": (
        live,
        "decoded",
        as_it_comes,
        lambda folder: in_coding("gzip", folder, HURRIED_S),
    ),
    "37: one address": (connecting, "interleave", lambda all: all[:1], dead_first_address),
    "39: deaf to answers": (
        Connection,
        "_write_slices",
        deaf_to_answers,
        lambda folder: early_answer(folder, HURRIED_S),
    ),
    "38: no second try": (Connection, "_lose", no_second_try, stale_connection),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_found_out(mutant, tmp_path, monkeypatch):
    *target, changed, check = MUTANTS[mutant]
    monkeypatch.setattr(*target, changed)
    with pytest.raises((AssertionError, TimeoutError, KeyError)):
        check(tmp_path)


@needs_openssl
@pytest.mark.parametrize("how", ["another host's", "unknown authority"])
def test_row_40_a_gateway_that_trusts_everybody_is_found_out(how, tmp_path, authority, monkeypatch):
    def anybody(*_files):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    monkeypatch.setattr(live, "verifies", lambda context: True)
    monkeypatch.setattr(live, "client_context", anybody)
    monkeypatch.setattr("arno.gateway.config.resolve.client_context", anybody)
    with pytest.raises(AssertionError):
        not_trusted(how, tmp_path, authority)
