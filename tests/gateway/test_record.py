"""The recording server: what passes, live and unchanged, and what is kept of it."""

import asyncio
import gzip
import io
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from arno.cassette.model import End
from arno.cassette.timing import chunks_of
from arno.gateway.clock import Clock
from arno.gateway.errors import SettingsError
from arno.gateway.log import RequestLog
from arno.gateway.record import RecordApp, Route
from arno.gateway.settings import GatewaySettings
from arno.wire import json
from tests.gateway.harness import CHAT, connect, get, post, raw_exchange, request
from tests.gateway.recording import recording
from tests.transport.upstream import End as Close
from tests.transport.upstream import Framing, Script

EVENTS = (b"data: 1\n\n", b"data: 2\n\n", b"data: [DONE]\n\n")
ASKED = {"model": "a/b"}


# ---------------------------------------------------------------- what passes


def test_a_request_arrives_as_it_came(tmp_path):
    fields = {
        "authorization": "Bearer key",
        "x-api-key": "key",
        "x-custom": "1",
        "content-type": "application/octet-stream",
        "accept-encoding": "gzip, br",
        "connection": "x-hop, keep-alive",
        "x-hop": "1",
        "te": "trailers",
        "proxy-authorization": "Basic secret",
    }
    body = bytes(range(256))
    with recording(tmp_path, [Script.json(b"{}")]) as tape:
        request(tape.url, "PUT", "/v1beta/a%2Fb:do?alt=sse&x=%20&y", body, fields)
        seen = tape.upstream.requests[0]
    assert (seen.method, seen.path) == ("PUT", "/v1beta/a%2Fb:do?alt=sse&x=%20&y")
    assert seen.body == body
    assert dict(seen.headers) == {
        "authorization": "Bearer key",
        "x-api-key": "key",
        "x-custom": "1",
        "content-type": "application/octet-stream",
        "content-length": "256",
        "host": tape.upstream.url.removeprefix("http://"),
    }


def test_an_answer_comes_back_as_it_was(tmp_path):
    headers = [
        ("content-type", "text/plain"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-request-id", "7"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
    ]
    script = Script([b"\x00\xff"], 418, headers, framing=Framing.LENGTH)
    with recording(tmp_path, [script]) as tape, connect(tape.url) as client:
        client.post(ASKED)
        head = client.read_until(b"\r\n\r\n").decode()
        assert head.startswith("HTTP/1.1 418 ")
        got = sorted(line.partition(": ")[::2] for line in head.split("\r\n")[1:] if line)
        assert [field for field in got if field[0] != "date"] == [
            ("content-length", "2"),
            ("content-type", "text/plain"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("x-request-id", "7"),
        ]
        client.read_until(b"\x00\xff")
    [item] = tape.interactions
    assert (item.response.code, item.response.body) == (418, b"\x00\xff")
    assert item.response.content_length == 2
    assert item.response.headers == {"Content-Type": ["text/plain"]}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_any_method_passes(tmp_path, method):
    with recording(tmp_path, [Script.json(b'{"n":1}')]) as tape:
        assert request(tape.url, method, "/v1/x").body == b'{"n":1}'
    assert [item.request.method for item in tape.interactions] == [method]


@pytest.mark.parametrize(
    ("method", "raw", "status"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 512\r\n\r\n", 200),
        ("POST", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304),
        ("POST", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
    ],
)
def test_an_answer_without_a_body_passes_and_the_connection_goes_on(tmp_path, method, raw, status):
    script = Script.raw(raw)
    with recording(tmp_path, [script, Script.json(b"{}")]) as tape, connect(tape.url) as client:
        client.send(f"{method} /v1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert client.read_head()[0] == status
        client.post(ASKED)
        assert client.read_head()[0] == 200
        client.read_until(b"{}")
    assert [(item.response.code, item.response.body) for item in tape.interactions] == [
        (status, b""),
        (200, b"{}"),
    ]


def test_interim_answers_are_skipped(tmp_path):
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    script = Script([b"{}"], before=[early], framing=Framing.LENGTH)
    with recording(tmp_path, [script]) as tape:
        assert post(tape.url, ASKED).status == 200
    assert [item.response.code for item in tape.interactions] == [200]


def test_an_encoded_answer_passes_encoded_and_is_kept_decoded_chunk_by_chunk(tmp_path):
    """As Go keeps it: `uncompressed`, no length; the rhythm is the upstream's."""
    parts, packer = [], zlib.compressobj(wbits=31)
    for event in EVENTS:
        parts.append(packer.compress(event) + packer.flush(2))
    parts[-1] += packer.flush()
    gates = [asyncio.Event() for _ in parts]
    steps = [step for pair in zip(gates, parts, strict=True) for step in pair]
    script = Script(steps, headers=[("content-encoding", "gzip"), ("content-type", "text/x")])
    with recording(tmp_path, [script]) as tape, connect(tape.url) as client:
        client.post(ASKED)
        for gate, part in zip(gates, parts, strict=True):
            tape.upstream.release(gate)
            if gate is gates[0]:
                assert client.read_head()[1]["content-encoding"] == "gzip"
            client.read_until(b"%x\r\n%b\r\n" % (len(part), part))
        client.read_until(b"0\r\n\r\n")
    assert gzip.decompress(b"".join(parts)) == b"".join(EVENTS)
    [item] = tape.interactions
    assert item.response.body == b"".join(EVENTS)
    assert (item.response.uncompressed, item.response.content_length) == (True, -1)
    assert item.response.headers == {"Content-Type": ["text/x"]}
    assert [chunk.data for chunk in chunks_of(item)] == list(EVENTS)


@pytest.mark.parametrize("encoding", ["gzip", "x-unknown"])
def test_what_cannot_be_decoded_passes_and_is_told(tmp_path, encoding):
    script = Script([b"no such thing"], headers=[("content-encoding", encoding)])
    with recording(tmp_path, [script]) as tape:
        assert post(tape.url, ASKED).body == b"no such thing"
    assert tape.recorder.count == 0
    assert [f"encoded ({encoding})" in problem for problem in tape.recorder.problems] == [True]


def test_an_encoded_request_passes_and_is_not_kept(tmp_path):
    """Nobody has looked for keys in it."""
    body = gzip.compress(b'{"api_key":"x"}')
    with recording(tmp_path, [Script.json(b"{}")]) as tape:
        assert post(tape.url, body, {"content-encoding": "gzip"}).status == 200
        assert tape.upstream.requests[0].body == body
        assert tape.upstream.requests[0].header("content-encoding") == "gzip"
    assert tape.recorder.count == 0
    assert ["body is encoded (gzip)" in problem for problem in tape.recorder.problems] == [True]


# ---------------------------------------------------------------- live


class Hoarder:
    """The mutant: a transport that has the whole body before it gives any of it."""

    def __init__(self, inner):
        self._inner = inner
        self.aclose = inner.aclose

    async def send(self, asked):
        response = await self._inner.send(asked)
        read, body = response.read, []

        async def read_all():
            while piece := await read():
                body.append(piece)
            whole, body[:] = b"".join(body), []
            return whole

        response.read = read_all
        return response


def read_event_by_event(tape, gates, patience_s=20):
    """Let the upstream release an event only when the client has read the one before."""
    with connect(tape.url) as client:
        client.socket.settimeout(patience_s)
        client.post(ASKED)
        for gate, event in zip(gates, EVENTS, strict=True):
            tape.upstream.release(gate)
            client.read_until(b"%x\r\n%b\r\n" % (len(event), event))
        client.read_until(b"0\r\n\r\n")


def gated():
    gates = [asyncio.Event() for _ in EVENTS]
    steps = [step for pair in zip(gates, EVENTS, strict=True) for step in pair]
    return gates, Script.sse(*steps)


def test_each_event_reaches_the_client_before_the_next_one_leaves_the_upstream(tmp_path):
    gates, script = gated()
    with recording(tmp_path, [script]) as tape:
        read_event_by_event(tape, gates)
    [item] = tape.interactions
    assert [chunk.data for chunk in chunks_of(item)] == list(EVENTS)


def test_a_server_that_gathers_events_is_noticed(tmp_path):
    gates, script = gated()
    with recording(tmp_path, [script], wrap=Hoarder) as tape, pytest.raises(TimeoutError):
        read_event_by_event(tape, gates, patience_s=0.3)


def test_a_read_of_the_upstream_is_one_write_to_the_client(tmp_path):
    """Also of events that came together, or in pieces."""
    pieces = [b"data: 1\n\nda", b"ta: 2\n", b"\ndata: 3\n\n"]
    gates = [asyncio.Event() for _ in pieces]
    steps = [step for pair in zip(gates, pieces, strict=True) for step in pair]
    with recording(tmp_path, [Script.sse(*steps)]) as tape, connect(tape.url) as client:
        client.post(ASKED)
        for gate, piece in zip(gates, pieces, strict=True):
            tape.upstream.release(gate)
            client.read_until(b"%x\r\n%b\r\n" % (len(piece), piece))
    assert [chunk.data for chunk in chunks_of(tape.interactions[0])] == pieces


def test_many_at_once_are_all_kept_in_the_order_of_their_requests(tmp_path):
    count = 40
    held = asyncio.Event()

    def answer(seen):
        number = json.loads(seen.body)["n"]
        return Script.sse(*([held] if number == 0 else []), b"data: %d\n\n" % number)

    with recording(tmp_path, answer) as tape, ThreadPoolExecutor(16) as clients:
        first = clients.submit(post, tape.url, {"n": 0})
        tape.upstream.seen(1)
        bodies = list(clients.map(lambda n: post(tape.url, {"n": n}).body, range(1, count)))
        tape.upstream.release(held)
        bodies.insert(0, first.result().body)
    assert bodies == [b"data: %d\n\n" % n for n in range(count)]
    items = tape.interactions
    assert items[0].response.body == b"data: 0\n\n"
    assert {item.response.body for item in items} == set(bodies)
    for item in items:
        assert item.response.body == b"data: %d\n\n" % json.loads(item.request.body)["n"]


def test_a_big_body_passes_whole_and_what_is_kept_of_it_is_bounded(tmp_path):
    size, piece = 12 * 1024 * 1024, b"x" * 65536
    script = Script([piece] * (size // len(piece)))
    with recording(tmp_path, [script]) as tape:
        transport = tape.app._transport
        transport._max_body = 1024 * 1024
        assert len(post(tape.url, ASKED).body) == size
    [item] = tape.interactions
    assert len(item.response.body) <= 1024 * 1024
    assert item.wire.end is End.CLIENT_CLOSED
    assert ["too long" in problem for problem in tape.recorder.problems] == [True]


# ---------------------------------------------------------------- ends


@pytest.mark.parametrize("close", [Close.CUT, Close.RESET])
def test_a_cut_answer_is_cut_for_the_client_and_kept_as_cut(tmp_path, close):
    gate = asyncio.Event()
    script = Script.sse(EVENTS[0], gate, end=close)
    with recording(tmp_path, [script]) as tape, connect(tape.url) as client:
        client.post(ASKED)
        client.read_until(EVENTS[0] + b"\r\n")
        tape.upstream.release(gate)
        assert client.read_to_end() == b""
    [item] = tape.interactions
    assert (item.wire.end, item.response.body) == (End.RESET, EVENTS[0])
    assert tape.recorder.cut == 1


def test_a_client_that_leaves_closes_the_upstream_and_is_kept_as_left(tmp_path):
    script = Script.sse(EVENTS[0], asyncio.Event())
    with recording(tmp_path, [script]) as tape:
        with connect(tape.url) as client:
            client.post(ASKED)
            client.read_until(EVENTS[0] + b"\r\n")
        tape.upstream.wait(tape.upstream.requests[0].closed)
    [item] = tape.interactions
    assert (item.wire.end, item.response.body) == (End.CLIENT_CLOSED, EVENTS[0])


def test_a_client_that_leaves_before_the_head_closes_the_upstream(tmp_path):
    with recording(tmp_path, [Script([b"{}"], before=[asyncio.Event()])]) as tape:
        with connect(tape.url) as client:
            client.post(ASKED)
            tape.upstream.seen(1)
        tape.upstream.wait(tape.upstream.requests[0].closed)
    assert (tape.recorder.count, tape.recorder.problems) == (0, ())


@pytest.mark.parametrize(("linger_s", "end"), [(30.0, End.EOF), (0.0, End.CLIENT_CLOSED)])
def test_a_client_that_leaves_after_the_last_event_leaves_a_whole_answer(tmp_path, linger_s, end):
    """R39. The upstream ends the body a moment later; control: without that moment it is cut."""
    gate, gone = asyncio.Event(), threading.Event()

    class Watched(RecordApp):
        async def _linger(self, response):
            gone.set()
            await super()._linger(response)

    with recording(tmp_path, [Script.sse(*EVENTS, gate)], linger_s=linger_s) as tape:
        tape.app.__class__ = Watched
        with connect(tape.url) as client:
            client.post(ASKED)
            client.read_until(EVENTS[-1] + b"\r\n")
        assert gone.wait(20)
        if linger_s:
            tape.upstream.release(gate)
        tape.upstream.wait(
            tape.upstream.requests[0].answered if linger_s else tape.upstream.requests[0].closed
        )
    [item] = tape.interactions
    assert (item.wire.end, item.response.body) == (end, b"".join(EVENTS))


def test_an_upstream_that_is_not_there_is_a_502_and_is_told(tmp_path):
    with recording(tmp_path, [], routes=lambda _: [Route("", "http://127.0.0.1:9")]) as tape:
        reply = post(tape.url, ASKED)
    assert (reply.status, reply.reason) == (502, "upstream_connect")
    assert reply.headers["content-type"] == "application/json"
    assert "127.0.0.1:9" in reply.document["error"]["message"]
    assert tape.recorder.count == 0
    assert ["127.0.0.1:9" in text for text in tape.app.unanswered] == [True]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "upstream_closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-", "upstream_closed"),
        (b"220 smtp.example ESMTP\r\n", "upstream_protocol"),
    ],
)
def test_an_upstream_that_does_not_answer_is_a_502(tmp_path, raw, reason):
    with recording(tmp_path, [Script.raw(raw, end=Close.CUT)] * 2) as tape:
        reply = post(tape.url, ASKED)
    assert (reply.status, reply.reason) == (502, reason)
    assert tape.recorder.count == 0


def test_a_shutdown_cuts_what_still_runs_and_keeps_it(tmp_path):
    script = Script.sse(EVENTS[0], asyncio.Event())
    with recording(tmp_path, [script]) as tape:
        tape.app.settings = GatewaySettings(grace_s=0.01)
        client = connect(tape.url)
        raw = client.__enter__()
        raw.post(ASKED)
        raw.read_until(EVENTS[0] + b"\r\n")
        tape.app.inflight.cut()
        assert raw.read_to_end() == b""
        raw.close()
    assert [item.wire.end for item in tape.interactions] == [End.CLIENT_CLOSED]


# ---------------------------------------------------------------- where it goes: R35


@pytest.mark.parametrize(
    ("base", "target", "url"),
    [
        ("https://a.example", "/v1/chat", "https://a.example/v1/chat"),
        ("https://a.example/", "/v1/chat?x=/v1", "https://a.example/v1/chat?x=/v1"),
        ("https://a.example/api/v1", "/chat", "https://a.example/api/v1/chat"),
        ("https://a.example/api/v1", "/v1/messages", "https://a.example/api/v1/messages"),
        ("https://a.example/api/v1", "/api/v1/chat?y", "https://a.example/api/v1/chat?y"),
        ("https://a.example/api/v1", "/v1beta/x", "https://a.example/api/v1/v1beta/x"),
        ("https://a.example/api/v1", "/api/v1", "https://a.example/api/v1"),
        ("https://a.example/openai/v1", "/openai/v1/chat", "https://a.example/openai/v1/chat"),
        ("https://a.example/v1", "//evil.example/v1", "https://a.example/v1//evil.example/v1"),
        ("https://a.example", "/../x", "https://a.example/../x"),
    ],
)
def test_a_target_stands_below_its_base_and_shared_segments_are_not_doubled(base, target, url):
    assert Route("", base).url(target) == url


@pytest.mark.parametrize(
    ("prefix", "path", "takes"),
    [
        ("/a", "/a/v1", True),
        ("/a", "/a", True),
        ("/a", "/a?x", True),
        ("/a", "/ab/v1", False),
        ("/a", "/b/a/v1", False),
        ("", "/anything", True),
    ],
)
def test_a_prefix_is_whole_segments(prefix, path, takes):
    assert Route(prefix, "https://a.example").takes(path) is takes


@pytest.mark.parametrize(
    "url", ["a.example", "ftp://a.example", "https://u@a.example", "", "http://a/?k=v"]
)
def test_what_is_no_base_url_is_refused(url):
    with pytest.raises(SettingsError, match="base URL"):
        Route("", url)


def test_the_first_segment_names_the_upstream(tmp_path):
    def routes(url):
        return [Route("/one", f"{url}/uno"), Route("/one/more", f"{url}/due")]

    scripts = [Script.json(b"{}")] * 2
    with recording(tmp_path, scripts, routes=routes) as tape:
        get(tape.url, "/one/v1/models")
        get(tape.url, "/one/more/v1/models")
        lost = get(tape.url, "/two/v1/models")
    assert [seen.path for seen in tape.upstream.requests] == ["/uno/v1/models", "/due/v1/models"]
    assert (lost.status, lost.reason) == (404, "no_upstream")
    assert "/one, /one/more" in lost.document["error"]["message"]


@pytest.mark.parametrize(
    "head",
    [
        "POST http://{other}/v1 HTTP/1.1\r\nHost: 127.0.0.1",
        "POST /v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Host: {other}",
        "POST /v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nForwarded: host={other}",
        "POST //{other}/v1 HTTP/1.1\r\nHost: 127.0.0.1",
        "POST /v1?base_url=http://{other} HTTP/1.1\r\nHost: 127.0.0.1",
        "POST /v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Base-Url: http://{other}",
        "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1",
        "POST @{other}/ HTTP/1.1\r\nHost: 127.0.0.1",
    ],
)
def test_nothing_that_a_client_says_moves_the_upstream(tmp_path, head):
    with (
        recording(tmp_path, [Script.json(b"{}")]) as other,
        recording(tmp_path, [Script.json(b"{}")]) as tape,
    ):
        place = other.upstream.url.removeprefix("http://")
        body = b'{"base_url":"%b"}' % other.upstream.url.encode()
        text = head.format(other=place) + f"\r\nContent-Length: {len(body)}"
        raw_exchange(tape.url, f"{text}\r\nConnection: close\r\n\r\n".encode() + body)
        assert other.upstream.requests == []


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("Host: attacker.example", 421),
        ("Host: 127.0.0.1\r\nOrigin: https://attacker.example", 403),
        ("Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site", 403),
        ("X: no host", 400),
    ],
)
def test_web_pages_and_foreign_names_do_not_reach_the_upstream(tmp_path, fields, status):
    with recording(tmp_path, [Script.json(b"{}")]) as tape:
        head = f"POST {CHAT} HTTP/1.1\r\n{fields}\r\nConnection: close\r\n\r\n"
        assert raw_exchange(tape.url, head.encode()).startswith(b"HTTP/1.1 %d " % status)
        assert tape.upstream.requests == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "recorder.internal"])
def test_it_listens_on_loopback_only(host):
    log = RequestLog(io.StringIO())
    with pytest.raises(SettingsError, match=r"127\.0\.0\.1"):
        RecordApp(None, [], GatewaySettings(host=host), log, Clock())
    log.close()


def test_own_words_are_few(tmp_path):
    with recording(tmp_path, []) as tape:
        assert get(tape.url, "/healthz").document == {"status": "ok"}
        assert tape.upstream.requests == []
