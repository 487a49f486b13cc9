"""A scripted upstream on a plain socket, and a gateway in front of it with the live transport.

    with Upstream(script) as upstream, live(tmp_path, upstream) as url: ...

`script(peer)` runs in a thread for each request; `peer` has the request's head and body and writes
what the script says. What is left when the script returns is closed.
"""

import socket
import struct
import threading
from contextlib import contextmanager, suppress

from arno.engine import Engine
from arno.engine.engine import DEFAULTS
from arno.engine.prices import price_table
from arno.providers import Tables, load_catalogue
from arno.store.memory import MemorySink
from arno.transport.live import LivePool
from tests.gateway.harness import PATIENCE_S, gateway_app, running_gateway

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
SECRET = "upstream-secret-key"


class Peer:
    """One request as the upstream sees it, and its connection."""

    def __init__(self, connection):
        self.socket = connection
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        self.head, _, self.body = data.partition(b"\r\n\r\n")
        lines = self.head.decode("latin-1").split("\r\n")
        self.target = lines[0].split(" ")[1]
        self.headers = dict((line.lower().split(": ", 1)) for line in lines[1:])
        while len(self.body) < int(self.headers.get("content-length", "0")):
            self.body += self._more()

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed inside a request")
        return data

    def send(self, data):
        """Write bytes as they are."""
        self.socket.sendall(data)

    def chunk(self, data):
        """Write one chunk of a body."""
        self.send(b"%x\r\n" % len(data) + data + b"\r\n")

    def end(self):
        """Write the last chunk."""
        self.send(b"0\r\n\r\n")

    def answer(self, status, body, *fields):
        """Write a whole answer."""
        lines = [f"HTTP/1.1 {status} X", *fields, f"Content-Length: {len(body)}"]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reset(self):
        """End the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_closed(self):
        """Wait until the gateway closes the connection."""
        with suppress(ConnectionResetError):
            assert self.socket.recv(1) == b""


class Upstream:
    """Listens on loopback; `requests` are those that came, in order."""

    def __init__(self, script):
        self.script = script
        self.requests = []
        self.problems = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, *_exc):
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a script does not end"
        assert self.problems == []

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._start(self._serve, connection)

    def _serve(self, connection):
        connection.settimeout(PATIENCE_S)
        with connection, suppress(ConnectionError):
            peer = Peer(connection)
            self.requests.append(peer)
            try:
                self.script(peer)
            except AssertionError as error:
                self.problems.append(error)


ENDPOINT = """
[[endpoint]]
slug = "{slug}"
name = "{name}"
dialect = "chat"
base_url = "{url}"
key_env = "KEY"
contract = {contract}
"""
MODEL = """
[[model]]
id = "a/b"
canonical_slug = "a/b"
name = "B"
created = 1
served = { alpha = "b-upstream", beta = "b-upstream" }
"""
PRICES = """
[[price]]
endpoint = "alpha"
model = "a/b"
valid_from = "2026-01-01"
source = "test"
input = "1"
output = "2"
"""


def tables(alpha, beta, contract):
    """A catalogue of two endpoints that serve one model."""
    rows = (("alpha", "Alpha", alpha), ("beta", "Beta", beta))
    text = "".join(
        ENDPOINT.format(slug=slug, name=name, url=url, contract=str(contract).lower())
        for slug, name, url in rows
    )
    return Tables(endpoints=text, models=MODEL, prices=PRICES, names="")


@contextmanager
def live(
    alpha, beta=None, *, contract=False, sink=None, settings=DEFAULTS, gateway_settings=None, **more
):
    """The URL of a gateway before one upstream, or before two that are tried in order.

    settings: of the engine.
    """
    beta_url = beta.url if beta else "http://127.0.0.1:9/v1"
    catalogue = load_catalogue(tables(alpha.url, beta_url, contract))
    catalogue = catalogue if beta else catalogue.only(["alpha"])
    sink = sink or MemorySink()
    pool = LivePool()
    engine = Engine(
        catalogue=catalogue,
        prices=price_table(catalogue),
        transports={"live": pool},
        sink=sink,
        upstream_key=lambda slug: SECRET,
        settings=settings,
    )
    more = {"settings": gateway_settings, "closers": [pool.aclose], **more}
    app = gateway_app(engine, catalogue=catalogue, sink=sink, **more)
    with running_gateway(app) as url:
        yield url
