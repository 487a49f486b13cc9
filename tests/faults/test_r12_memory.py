"""R12, fault rows 18, 23 and 26: bounded memory, seen from outside at `arno serve`.

The gateway is a process of its own, whose resident memory is read; upstream and clients are plain
sockets in the test. What is measured is printed.
"""

import gzip
import json
import socket
import threading
from contextlib import ExitStack, contextmanager

import pytest

from arno.transport.connection import Connection
from tests.cli.commands import server
from tests.faults.gateways import rows_of, serving, toml
from tests.faults.memory import MEGA, growth, needs_proc
from tests.gateway.harness import CHAT, PATIENCE_S, connect, get, post
from tests.gateway.test_live import WHOLE, chunks_of, delta
from tests.gateway.upstream import STREAM, Upstream

MOST_FOR_A_LINE = 16 * MEGA
MOST_FOR_A_STREAM = 4 * MEGA
SOCKETS = 32 * MEGA
"""More than the buffers of all sockets on the way hold."""
STREAMS = 6
HURRIED_S = 0.5
EVENT = delta("x" * 65_000)
FRAMED = b"%x\r\n" % len(EVENT) + EVENT + b"\r\n"
EVENTS = 1000
"""What a fast upstream wants to send: 65 MB."""
STUCK_S = 0.7
"""How long a socket takes nothing before it counts as stuck."""


def ask(model):
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": True}


class Upstreams:
    """Every upstream of this file, by the model that is asked for."""

    def __init__(self):
        self.line_closed = threading.Event()
        self.stuck = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.over = threading.Event()
        self.arrived = threading.Event()
        self.go = threading.Event()
        self.accepted = []

    def __call__(self, peer):
        getattr(self, json.loads(peer.body)["model"])(peer)

    def plain(self, peer):
        peer.answer(200, WHOLE)

    def line(self, peer):
        """200 MB without a newline."""
        peer.send(STREAM)
        peer.chunk(delta("one"))
        piece = b"x" * MEGA
        try:
            for _ in range(200):
                peer.chunk(piece)
        except OSError:
            self.line_closed.set()

    def fast(self, peer):
        """Events as fast as they are taken, until all are sent or the test is over.

        Told once: that nothing more is accepted, and how much was by then.
        """
        peer.send(STREAM)
        sent, told = 0, False
        while sent < EVENTS * len(FRAMED):
            peer.socket.settimeout(PATIENCE_S if told else STUCK_S)
            try:
                sent += peer.socket.send(memoryview(FRAMED)[sent % len(FRAMED) :])
            except TimeoutError:
                self.accepted.append(sent)
                self.stuck.release()
                told = True
                self.go_on.wait(PATIENCE_S)
            if self.over.is_set():
                return
        peer.chunk(delta("", "stop") + b"data: [DONE]\n\n")
        peer.end()

    def bomb(self, peer):
        """256 MB that are 256 KB on the wire."""
        body = gzip.compress(b" " * (256 * MEGA), 1)
        peer.answer(200, body, "Content-Encoding: gzip", "Content-Type: application/json")

    def bombed_stream(self, peer):
        """The same as a line of a stream."""
        body = gzip.compress(b"data: " + b" " * (256 * MEGA), 1)
        peer.answer(200, body, "Content-Encoding: gzip", "Content-Type: text/event-stream")


@contextmanager
def running(folder, more=""):
    """(upstreams, process, url) of `arno serve` that has answered once."""
    scripts = Upstreams()
    with Upstream(scripts) as upstream:
        path = folder / "arno.toml"
        path.write_text(toml(upstream, more=f"[limits]\nanswer = {MEGA}\n{more}"))
        with server("serve", "--config", path, "--data", folder / "data") as (process, url):
            assert post(url, {**ask("alpha/plain"), "stream": False}).status == 200
            try:
                yield scripts, process, url
            finally:
                scripts.over.set()
                scripts.go_on.set()
                scripts.go.set()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with running(tmp_path_factory.mktemp("r12")) as found:
        yield found


def line_without_end(scripts, process, url):
    """The check of memory: (what the client got, growth in bytes)."""
    with growth(process.pid) as found:
        reply = post(url, ask("alpha/line"))
    assert scripts.line_closed.wait(PATIENCE_S)
    print(f"a line without end: {found.bytes / MEGA:.1f} MB")
    return chunks_of(reply.body), found.bytes


@needs_proc
def test_r12_a_line_without_end_is_an_error_at_the_cap(gateway):
    chunks, grown = line_without_end(*gateway)
    assert chunks[0]["choices"][0]["delta"]["content"] == "one"
    assert chunks[-1]["error"]["code"] == 502
    assert "8388608" in chunks[-1]["error"]["message"]
    assert grown < MOST_FOR_A_LINE


@needs_proc
def test_r12_a_gateway_without_that_cap_is_found_out(tmp_path):
    with running(tmp_path, f"frame = {1024 * MEGA}\n") as (scripts, process, url):
        with growth(process.pid) as found:
            post(url, ask("alpha/line"))
        assert found.bytes > MOST_FOR_A_LINE
        assert not scripts.line_closed.is_set()


@needs_proc
@pytest.mark.parametrize("model", ["bomb", "bombed_stream"])
def test_r12_a_bomb_is_given_up_at_the_cap(model, gateway):
    """Fault row 23: what 256 KB decode to is bounded as if it had come plain."""
    _, process, url = gateway
    with growth(process.pid) as found:
        reply = post(url, {**ask(f"alpha/{model}"), "stream": model != "bomb"})
    print(f"a {model}: {found.bytes / MEGA:.1f} MB")
    assert reply.status == 502
    assert found.bytes < MOST_FOR_A_LINE


@contextmanager
def slow_clients(scripts, url, count, patience=PATIENCE_S):
    """The check: clients that read a little and stop; the upstream of each must wait.

    Leaves with all that a client gets who reads on (the others leave).
    """
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(url, receive_buffer=65536)) for _ in range(count)]
        for client in clients:
            client.post(ask("alpha/fast"), headers=[("Connection", "close")])
            client.read_until(b"xxx")
        try:
            for _ in clients:
                assert scripts.stuck.acquire(timeout=patience), "the upstream need not wait"
            assert max(scripts.accepted) < SOCKETS
            yield
            for client in clients[1:]:
                client.close()
            scripts.go_on.set()
            text = clients[0].read_to_end()
            assert text.count(b'"content":"xxx') >= EVENTS - 1
            assert text.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        finally:
            scripts.over.set()
            scripts.go_on.set()


@needs_proc
def test_r12_slow_clients_pause_their_upstreams(tmp_path):
    with running(tmp_path) as (scripts, process, url):
        with growth(process.pid) as found, slow_clients(scripts, url, STREAMS):
            pass
        accepted = max(scripts.accepted) / MEGA
        print(f"{STREAMS} slow clients: {found.bytes / STREAMS / MEGA:.2f} MB each;", end=" ")
        print(
            f"upstreams paused after at most {accepted:.1f} of {EVENTS * len(FRAMED) / MEGA:.0f} MB"
        )
        assert found.bytes < STREAMS * MOST_FOR_A_STREAM
        # Row 26: nothing is left of those who went.
        assert get(url, "/readyz").status == 200


def test_r12_one_slow_client_pauses_its_upstream(tmp_path):
    """The same without a look at memory, for the mutant."""
    scripts = Upstreams()
    with Upstream(scripts) as upstream, serving(tmp_path, toml(upstream)) as (url, sink):
        with slow_clients(scripts, url, 1):
            assert sink.recent(1) == ()
        assert rows_of(sink)[0].generation.state == "success"


def test_r12_a_gateway_that_reads_on_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(Connection, "_hold_back", lambda self: None)
    scripts = Upstreams()
    with (
        Upstream(scripts) as upstream,
        serving(tmp_path, toml(upstream)) as (url, _),
        pytest.raises(AssertionError, match="need not wait"),
        slow_clients(scripts, url, 1, HURRIED_S + STUCK_S),
    ):
        pass


class Sipping:
    """An upstream that takes the head, then nothing until `go`, then the rest."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        self.arrived, self.go = threading.Event(), threading.Event()
        self.body = b""

    def serve(self):
        with self.listener, self.listener.accept()[0] as sock:
            sock.settimeout(PATIENCE_S)
            data = b""
            while b"\r\n\r\n" not in data:
                data += sock.recv(1024)
            head, _, self.body = data.partition(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self.arrived.set()
            assert self.go.wait(PATIENCE_S)
            pieces = [self.body]
            while sum(map(len, pieces)) < size:
                pieces.append(sock.recv(MEGA))
            self.body = b"".join(pieces)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(WHOLE) + WHOLE)


def test_r12_a_large_request_under_way_holds_up_nobody(tmp_path):
    """Order, not time: a health call is answered while 20 MB come in, and while they go out."""
    image = "data:image/png;base64," + "A" * (20 * MEGA)
    parts = [{"type": "image_url", "image_url": {"url": image}}]
    body = json.dumps({"model": "a/b", "messages": [{"role": "user", "content": parts}]}).encode()
    upstream = Sipping()
    thread = threading.Thread(target=upstream.serve, daemon=True)
    thread.start()
    with serving(tmp_path, toml(upstream)) as (url, _), connect(url) as client:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: {client.host}\r\nContent-Length: {len(body)}\r\n\r\n"
        client.send(head.encode() + body[: len(body) // 2])
        assert get(url, "/healthz").status == 200
        client.send(body[len(body) // 2 :])
        assert upstream.arrived.wait(PATIENCE_S)
        # Most of it cannot have left yet.
        assert get(url, "/healthz").status == 200
        upstream.go.set()
        assert client.read_head()[0] == 200
    thread.join(PATIENCE_S)
    assert image.encode() in upstream.body
