"""A gateway on a real socket inside the test process, and clients that hide nothing.

    app = gateway_app(ScriptedEngine(serve))     # or create_app(...) with the real engine
    with running_gateway(app) as url:            # "http://127.0.0.1:<free port>"
        reply = post(url, {"model": "a/b", ...}) # status, headers, body
        with connect(url) as client:             # a raw socket
            client.send(b"GET /healthz HTTP/1.1\r\n...")
            client.read_head()

`running_gateway` runs the product's own server (uvicorn with our protocol class) in a thread;
leaving the block drains it. Nothing waits for a fixed time: reads wait for bytes, with one generous
limit (`PATIENCE_S`) so that a broken test ends.
"""

import http.client
import io
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import msgspec

from arno.engine.call import Outcome
from arno.gateway.app import create_app
from arno.gateway.inflight import Inflight
from arno.gateway.log import RequestLog
from arno.gateway.server import Server
from arno.gateway.settings import GatewaySettings
from arno.ledger.ports import Health, StoreUnavailable
from arno.providers import load_catalogue
from arno.store.memory import MemorySink
from arno.wire import json

PATIENCE_S = 20
CHAT = "/api/v1/chat/completions"
ASK = {"model": "arno/harbour-1", "messages": [{"role": "user", "content": "Hello"}]}


class ScriptedEngine:
    """An engine whose generations are one coroutine function `script(call, down)`.

    What it returns is the outcome; None stands for a plain success. `calls` are those served.
    """

    def __init__(self, script):
        self.script = script
        self.calls = []

    async def serve(self, call, down):
        self.calls.append(call)
        return await self.script(call, down) or outcome(call)


def outcome(call, **changed):
    """A plain success, with changes."""
    plain = {
        "generation_id": call.generation_id,
        "state": "success",
        "status": 200,
        "model": call.envelope.model,
        "served_by": "Northpier",
        "attempts": 1,
        "cost_nano": 258_200,
        "input": 68,
        "output": 31,
        "first_output_ms": 5,
    }
    return Outcome(**{**plain, **changed})


async def hello(_call, down):
    """The smallest whole answer."""
    await down.head(200, (("content-type", "application/json"),))
    await down.body(b'{"ok":true}')
    await down.end()


class SickSink(MemorySink):
    """A sink whose database does not answer."""

    def generation(self, generation_id, key_id):
        raise StoreUnavailable("db.internal refused user arno")

    def totals(self, key_id, since_ms=0):
        raise StoreUnavailable("db.internal refused user arno")

    def health(self):
        return Health(ok=False, pending=3, problem="db.internal refused user arno")


def gateway_app(engine=None, *, settings=None, catalogue=None, sink=None, lines=None, **more):
    """An application with what a test does not care about filled in. lines: the log's sheet."""
    return create_app(
        settings or GatewaySettings(),
        engine or ScriptedEngine(hello),
        catalogue or load_catalogue().only(["replay"]),
        sink or MemorySink(),
        log=RequestLog(lines if lines is not None else io.StringIO()),
        **more,
    )


@contextmanager
def running_server(app, settings=None, inflight=None):
    """A server in a thread: (url, server). Leaving the block drains it and waits for its end."""
    gateway = getattr(app, "gateway", None)
    settings = settings or (gateway.settings if gateway else GatewaySettings())
    inflight = inflight if inflight is not None else (gateway.inflight if gateway else Inflight())
    listening, urls = threading.Event(), []

    def announce(url):
        urls.append(url)
        listening.set()

    server = Server(app, settings, inflight, announce)
    thread = threading.Thread(target=server.serve_until_stopped, name="gateway", daemon=True)
    thread.start()
    try:
        assert listening.wait(PATIENCE_S), "the gateway did not start"
        yield urls[0], server
    finally:
        server.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the gateway did not stop"


@contextmanager
def running_gateway(app, settings=None):
    """As `running_server`, the URL alone."""
    with running_server(app, settings) as (url, _server):
        yield url


class Reply(msgspec.Struct):
    """A whole answer; headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self):
        return json.loads(self.body)

    @property
    def reason(self):
        return self.document["error"]["metadata"]["reason"]


def request(url, method, path, body=None, headers=None):
    """One request over a connection of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, fields, answer.read())
    finally:
        connection.close()


def get(url, path, headers=None):
    """GET."""
    return request(url, "GET", path, None, headers)


def post(url, document, headers=None, path=CHAT):
    """POST of a JSON document (or of bytes as they are)."""
    body = document if isinstance(document, bytes) else json.dumps(document)
    return request(url, "POST", path, body, {"content-type": "application/json", **(headers or {})})


class Client:
    """A raw connection: what was sent and what came, byte for byte."""

    def __init__(self, url, receive_buffer=None):
        parts = urlsplit(url)
        self.host = f"{parts.hostname}:{parts.port}"
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect((parts.hostname, parts.port))
        self.waiting = b""

    def send(self, data):
        """Send bytes as they are."""
        self.socket.sendall(data)

    def post(self, document, path=CHAT, headers=()):
        """Send a whole POST."""
        body = json.dumps(document)
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\n{fields}Content-Length: {len(body)}"
        self.send(head.encode() + b"\r\n\r\n" + body)

    def read_until(self, mark):
        """Bytes up to and with `mark`; what came after it waits for the next call."""
        while mark not in self.waiting:
            data = self.socket.recv(65536)
            assert data, f"closed before {mark!r}: {self.waiting!r}"
            self.waiting += data
        found, _, self.waiting = self.waiting.partition(mark)
        return found + mark

    def read_chunk(self):
        """The next chunk of a chunked body, as the gateway has framed it; b"" for the last one."""
        size = int(self.read_until(b"\r\n"), 16)
        while len(self.waiting) < size + 2:
            data = self.socket.recv(65536)
            assert data, f"closed inside a chunk: {self.waiting!r}"
            self.waiting += data
        data, self.waiting = self.waiting[:size], self.waiting[size + 2 :]
        return data

    def read_head(self):
        """(status, headers in lower case) of the next response."""
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = (line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split(" ")[1]), {name.lower(): value for name, value in fields}

    def read_to_end(self):
        """All that is left until the gateway closes the connection."""
        data = [self.waiting]
        with suppress(ConnectionResetError):
            while piece := self.socket.recv(65536):
                data.append(piece)
        self.waiting = b""
        return b"".join(data)

    def close(self):
        """Close at once."""
        self.socket.close()

    def reset(self):
        """Close with a reset instead of an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@contextmanager
def connect(url, receive_buffer=None):
    """A raw client that is closed at the end."""
    client = Client(url, receive_buffer)
    try:
        yield client
    finally:
        client.close()


def raw_exchange(url, data):
    """What comes back for these bytes, until the gateway closes the connection."""
    with connect(url) as client:
        client.send(data)
        return client.read_to_end()
