"""Bodies and heads beyond their bounds, byte for byte (behaviour, part D rows 1 to 17)."""

import gzip
import re
import threading

import pytest

from arno.gateway.settings import GatewaySettings
from arno.wire import json
from tests.gateway.harness import (
    ASK,
    CHAT,
    PATIENCE_S,
    ScriptedEngine,
    connect,
    gateway_app,
    get,
    hello,
    post,
    raw_exchange,
    request,
    running_gateway,
)

MAX = 100_000


@pytest.fixture(scope="module")
def small():
    engine = ScriptedEngine(hello)
    with running_gateway(gateway_app(engine, settings=GatewaySettings(max_body=MAX))) as url:
        yield url, engine


def padded(size):
    """A good request of exactly so many bytes."""
    body = json.dumps(ASK)
    return body + b" " * (size - len(body))


def error_of(answer):
    """(status, reason) of a raw answer that ends the connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    error = json.loads(body)["error"]
    assert error["code"] == int(head.split(b" ")[1])
    return error["code"], error["metadata"]["reason"]


def test_a_body_of_the_bound_is_served(small):
    url, engine = small
    assert post(url, padded(MAX)).status == 200
    assert len(engine.calls[-1].body) == MAX


def test_a_body_over_the_bound_is_refused_and_the_client_sees_it(small):
    url, engine = small
    before = len(engine.calls)
    reply = post(url, padded(3 * MAX))
    assert (reply.status, reply.reason) == (413, "body_too_large")
    assert reply.document["error"]["metadata"]["error_type"] == "payload_too_large"
    assert len(engine.calls) == before


def test_the_refusal_reaches_a_client_that_is_still_sending():
    """Closing at once would reset the connection and lose the answer."""
    settings = GatewaySettings(max_body=4_000_000)
    with running_gateway(gateway_app(settings=settings)) as url:
        reply = post(url, padded(15_000_000))
    assert (reply.status, reply.headers["connection"]) == (413, "close")


def test_reading_on_after_a_refusal_has_an_end():
    settings = GatewaySettings(max_body=MAX, linger_s=0.2)
    with running_gateway(gateway_app(settings=settings)) as url, connect(url) as client:
        client.send(f"POST {CHAT} HTTP/1.1\r\nHost: {client.host}\r\n".encode())
        client.send(b"Content-Length: 999999\r\n\r\n")
        assert error_of(client.read_to_end()) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("length", "refused"), [(str(1 << 30), 413), ("9" * 19, 413), ("9" * 5000, 400)]
)
def test_an_announced_body_over_the_bound_is_refused_before_it_comes(small, length, refused):
    url, _ = small
    with connect(url) as client:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: {client.host}\r\nContent-Length: {length}\r\n\r\n"
        client.send(head.encode())
        status, headers = client.read_head()
    assert (status, headers["connection"]) == (refused, "close")


def test_a_chunked_body_over_the_bound_is_refused_while_it_comes(small):
    url, engine = small
    before = len(engine.calls)
    with connect(url) as client:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: {client.host}\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head.encode())
        for _ in range(3):
            client.send(b"%x\r\n" % (MAX // 2) + b" " * (MAX // 2) + b"\r\n")
        status, _ = client.read_head()
    assert status == 413
    assert len(engine.calls) == before


def test_a_chunked_body_is_served(small):
    url, engine = small
    body = json.dumps(ASK)
    with connect(url) as client:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: {client.host}\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head.encode())
        for byte in body:
            client.send(b"1\r\n" + bytes([byte]) + b"\r\n")
        client.send(b"0\r\n\r\n")
        assert client.read_head()[0] == 200
    assert engine.calls[-1].body == body


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br", "deflate", "zstd", "x"])
def test_compressed_requests_are_refused(small, encoding):
    url, _ = small
    reply = post(url, gzip.compress(json.dumps(ASK)), {"Content-Encoding": encoding})
    assert (reply.status, reply.reason) == (415, "content_encoding")
    assert reply.headers["accept-encoding"] == "identity"


def test_identity_is_no_compression(small):
    url, _ = small
    assert post(url, ASK, {"Content-Encoding": "identity"}).status == 200


def test_a_body_that_does_not_come_is_refused_at_the_deadline():
    settings = GatewaySettings(body_deadline_s=0.3)
    with running_gateway(gateway_app(settings=settings)) as url:
        with connect(url) as client:
            client.send(f"POST {CHAT} HTTP/1.1\r\nHost: {client.host}\r\n".encode())
            client.send(b'Content-Length: 100\r\n\r\n{"model":')
            assert error_of(client.read_to_end()) == (408, "body_deadline")
        assert get(url, "/healthz").status == 200


def test_a_head_that_does_not_come_is_refused_at_the_deadline():
    settings = GatewaySettings(head_deadline_s=0.3)
    with running_gateway(gateway_app(settings=settings)) as url:
        assert error_of(raw_exchange(url, b"POST / HT")) == (408, "head_deadline")
        assert error_of(raw_exchange(url, b"")) == (408, "head_deadline")
        with connect(url) as client:
            client.post(ASK)
            assert client.read_until(b'{"ok":true}')
            client.read_until(b"0\r\n\r\n")
            # A second request on the same connection has a deadline of its own.
            client.send(b"GET /healthz HTTP/1.1\r\nHost:")
            assert error_of(client.read_to_end()) == (408, "head_deadline")


def test_the_deadline_for_a_head_does_not_end_an_idle_connection_or_a_stream():
    go = threading.Event()

    async def script(_call, down):
        await down.head(200, (("content-type", "text/event-stream"),))
        await down.body(b"data: 1\n\n")
        assert await asyncio_wait(go)
        await down.end()

    settings = GatewaySettings(head_deadline_s=0.2)
    app = gateway_app(ScriptedEngine(script), settings=settings)
    with running_gateway(app) as url, connect(url) as client, connect(url) as other:
        client.post(ASK)
        client.read_until(b"data: 1\n\n")
        # This connection's deadline passes before the stream goes on.
        assert b"head_deadline" in other.read_to_end()
        go.set()
        client.read_until(b"0\r\n\r\n")
        client.send(f"GET /healthz HTTP/1.1\r\nHost: {client.host}\r\n\r\n".encode())
        assert client.read_head()[0] == 200


async def asyncio_wait(event):
    """Wait for a thread's event without holding up the loop."""
    import asyncio

    return await asyncio.to_thread(event.wait, PATIENCE_S)


CANARY = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SMUGGLING = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Content-Length: +4",
    b"Content-Length: -1",
    b"Content-Length: 0x4",
    b"Content-Length: 1_0",
    "Content-Length: \u0664".encode(),
    b"Transfer-Encoding: chunked, identity",
    b"X-Null: a\x00b",
    b"X-Return: a\rb",
    b"X-Space : a",
    b": a",
    b"X Y: a",
]


@pytest.mark.parametrize("field", SMUGGLING)
def test_a_head_that_can_be_read_in_two_ways_is_refused_and_ends_the_connection(small, field):
    url, engine = small
    before = len(engine.calls)
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode() + field + b"\r\n\r\n"
    answer = raw_exchange(url, head + b"0\r\n\r\n" + CANARY)
    assert error_of(answer) == (400, "invalid_http")
    assert b'"status":"ok"' not in answer
    assert len(engine.calls) == before


@pytest.mark.parametrize("size", ["ffffffffffffffff1", "0x5", "1_0", "-1", ""])
def test_a_malformed_chunk_size_is_refused_and_ends_the_connection(small, size):
    url, engine = small
    before = len(engine.calls)
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n"
    )
    answer = raw_exchange(url, head.encode() + b"abcde\r\n0\r\n\r\n" + CANARY)
    assert error_of(answer) == (400, "invalid_http")
    assert b'"status":"ok"' not in answer
    assert len(engine.calls) == before


BIG_HEADS = [
    (b"X-Big: " + b"a" * (128 * 1024), b"/healthz", 431),
    (b"\r\n".join(b"X-%d: a" % n for n in range(5000)), b"/healthz", 431),
    (b"\r\n".join(b"X-%d: a" % n for n in range(250)), b"/healthz", 431),
    (b"X-Small: a", b"/healthz?" + b"a" * (128 * 1024), 414),
    (b"X-Small: a", b"/" + b"a" * (128 * 1024), 414),
]


@pytest.mark.parametrize(("fields", "target", "status"), BIG_HEADS)
def test_a_head_beyond_its_bounds_is_refused(small, fields, target, status):
    url, _ = small
    head = b"GET " + target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + fields
    answer = raw_exchange(url, head + b"\r\n\r\n")
    assert int(answer.split(b" ")[1]) == status


def test_a_target_that_comes_in_pieces_is_not_cut_to_its_first(small):
    url, _ = small
    with connect(url) as client:
        client.send(b"GET /healthz")
        get(url, "/healthz")
        client.send(b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert b" 414 " in client.read_to_end()[:20]


def test_a_head_that_never_ends_is_cut_off(small):
    url, _ = small
    with connect(url) as client:
        client.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        client.send(b"X-Line: " + b"a" * (512 * 1024))
        assert b" 431 " in client.read_to_end()


ODD_TARGETS = [
    "//api/v1/key",
    "/api/v1/../v1/nothing/../key",
    "/api/v1/%2e%2e/v1/key",
    "/api/v1/key;x",
    "/api/v1/key/",
    "/API/v1/key",
    "/api/v1//key",
    "/api/v1/models/a/../endpoints",
]


@pytest.mark.parametrize("target", ODD_TARGETS)
def test_a_path_that_only_resembles_a_route_is_not_one(small, target):
    url, _ = small
    with connect(url) as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: {client.host}\r\n\r\n".encode())
        status, _ = client.read_head()
    assert status == 404


def test_an_absolute_target_to_another_host_is_judged_by_its_host_field(small):
    url, _ = small
    for host, status in (("127.0.0.1", 200), ("evil.example", 421)):
        line = (
            f"GET http://evil.example/healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        assert int(raw_exchange(url, line.encode()).split(b" ")[1]) == status


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/", 404, None),
        ("GET", "/api/v1", 404, None),
        ("GET", CHAT, 405, "POST"),
        ("DELETE", "/v1/models", 405, "GET"),
        ("PUT", "/healthz", 405, "GET"),
        ("OPTIONS", "/v1/models", 405, "GET"),
    ],
)
def test_unknown_paths_and_methods_have_the_contracts_shape(small, method, path, status, allow):
    url, _ = small
    reply = request(url, method, path)
    assert (reply.status, reply.headers.get("allow")) == (status, allow)
    assert reply.document["error"]["code"] == status
    assert isinstance(reply.document["error"]["message"], str)
    assert re.fullmatch("[a-z_]+", reply.document["error"]["metadata"]["error_type"])


def test_head_is_get_without_the_body(small):
    url, _ = small
    reply = request(url, "HEAD", "/healthz")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 0
