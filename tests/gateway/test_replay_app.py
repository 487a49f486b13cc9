"""The replay server over a real socket: bytes, chunks and ends as recorded, and loud misses."""

import asyncio
import io
from contextlib import contextmanager

import pytest

from arno.cassette.model import End
from arno.gateway.errors import SettingsError
from arno.gateway.log import RequestLog
from arno.gateway.replay import replay_app
from arno.gateway.settings import GatewaySettings
from arno.transport.base import HttpRequest
from arno.transport.replay import ReplayTransport
from arno.wire import json
from tests.gateway.harness import connect, get, post, raw_exchange, request
from tests.gateway.wire import read_chunked, running_replay
from tests.transport.replaying import cassette, recording

PATH = "/api/v1/chat/completions"
URL = f"https://recorded.example{PATH}"
ASKED = {"model": "a/b", "n": 1}
BODY = json.dumps(ASKED)
CHUNKS = [b"data: 1\n\nda", b"ta: 2\n\n", b"data: \xc3", b"\xa9\n\n"]


def stream(**changed):
    pairs = [(place, data) for place, data in enumerate(CHUNKS)]
    return recording(*pairs, **{"url": URL, "body": BODY, **changed})


@contextmanager
def serving(*recordings, settings=None, lines=None, public=False, **more):
    """A replay server's URL."""
    transport = ReplayTransport([cassette(*recordings, name="a.yaml")], **{"scale": 0, **more})
    log = RequestLog(lines if lines is not None else io.StringIO())
    app = replay_app(transport, settings, log=log, public=public)
    with running_replay(app) as (url, _server):
        yield url


# ---------------------------------------------------------------- what is given back


def test_a_recorded_chunk_is_a_chunk_on_the_wire():
    with serving(stream()) as url, connect(url) as client:
        client.post(ASKED)
        status, headers = client.read_head()
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert read_chunked(client) == CHUNKS
        client.post(ASKED)
        assert client.read_head()[0] == 200
        assert read_chunked(client) == CHUNKS


def test_headers_are_the_recorded_ones_and_none_is_invented():
    fields = {"X-Request-Id": ["7"], "Content-Type": ["application/json"], "Content-Length": ["99"]}
    with serving(recording((0, b"{}"), url=URL, body=BODY, headers=fields)) as url:
        reply = post(url, ASKED)
    assert reply.headers.keys() - {"date"} == {"x-request-id", "content-type", "transfer-encoding"}
    assert (reply.headers["x-request-id"], reply.body) == ("7", b"{}")


def test_a_header_that_no_response_can_carry_is_left_out():
    fields = {"X-Good": ["1"], "X-Bad": ["1\r\nX-Injected: 2"], "X Bad": ["3"], "X-Euro": ["€"]}
    with serving(recording((0, b"{}"), url=URL, body=BODY, headers=fields)) as url:
        reply = post(url, ASKED)
    assert reply.status == 200
    assert reply.headers.keys() - {"date", "transfer-encoding"} == {"x-good"}


@pytest.mark.parametrize("status", [201, 429, 500, 529])
def test_any_recorded_status_is_given_back(status):
    with serving(recording((0, b"{}"), url=URL, body=BODY, status=status)) as url:
        assert post(url, ASKED).status == status


def test_an_answer_without_a_body_ends_at_once():
    item = recording((0, b"noise"), url=URL, body=BODY, status=204)
    with serving(item) as url, connect(url) as client:
        client.post(ASKED)
        assert client.read_head()[0] == 204
        client.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.read_head()[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("DELETE", "/files/a%2Fb?x=1&y=%20"),
        ("PUT", "/anything/at/all"),
    ],
)
def test_any_method_and_path_is_answered(method, path):
    item = recording(
        (0, b'{"ok":true}'), method=method, url=f"https://recorded.example{path}", body=b""
    )
    with serving(item) as url:
        assert request(url, method, path).body == b'{"ok":true}'
        assert request(url, method, "/other").status == 424


def test_a_chunk_leaves_before_the_next_one_is_due():
    loops, gates = [], [asyncio.Event() for _ in CHUNKS]
    due = iter(gates)

    async def sleep(_seconds):
        if loops:  # the first one is the wait for the head
            await next(due).wait()
        loops.append(asyncio.get_running_loop())

    with serving(stream(), scale=1, sleep=sleep) as url, connect(url) as client:
        client.post(ASKED)
        assert client.read_head()[0] == 200
        for gate, data in zip(gates, CHUNKS, strict=True):
            assert client.waiting == b""
            loops[0].call_soon_threadsafe(gate.set)
            assert client.read_until(data + b"\r\n") == b"%x\r\n%b\r\n" % (len(data), data)
        client.read_until(b"0\r\n\r\n")


@pytest.mark.parametrize("end", [End.RESET, End.CLIENT_CLOSED])
def test_a_recorded_cut_is_a_cut(end):
    with serving(stream(end=end)) as url, connect(url) as client:
        client.post(ASKED)
        client.read_head()
        framed = b"".join(b"%x\r\n%b\r\n" % (len(data), data) for data in CHUNKS)
        assert client.read_to_end() == framed


# ---------------------------------------------------------------- misses


def test_an_unmatched_request_is_a_loud_error_with_the_nearest_recording():
    lines = io.StringIO()
    with serving(stream(), lines=lines) as url:
        reply = post(url, {"model": "a/c", "n": 1})
    assert reply.status == 424
    error = reply.document["error"]
    assert error["code"] == 424
    assert "nearest is #0 of a.yaml" in error["message"]
    assert error["metadata"] == {
        "error_type": "not_found",
        "reason": "unmatched_request",
        "nearest": [
            {
                "source": "a.yaml",
                "id": 0,
                "used": False,
                "differences": ['/model: recorded "a/b", got "a/c"'],
            }
        ],
    }
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert "no recording matches; nearest #0 of a.yaml: /model" in [
        line.get("text") for line in logged
    ]
    assert ("unmatched_request", 424) in [
        (line.get("reason"), line.get("status")) for line in logged
    ]


RECORDED_WORDS, ASKED_WORDS = "canary-of-the-recording", "canary-of-the-request"
MISSES = {
    "a text": ({"p": RECORDED_WORDS}, {"p": ASKED_WORDS}, "/p"),
    "a text that looks like a report": (
        {"p": f"{RECORDED_WORDS}: recorded 1"},
        {"p": f"{ASKED_WORDS}: not recorded"},
        "/p",
    ),
    "a member more": ({}, {"p": ASKED_WORDS}, "/p"),
    "a member less": ({"p": {"q": RECORDED_WORDS}}, {}, "/p"),
    "in a list": ({"p": [0, RECORDED_WORDS]}, {"p": [0, ASKED_WORDS]}, "/p/1"),
    "another kind": ({"p": [RECORDED_WORDS]}, {"p": ASKED_WORDS}, "/p"),
    "no JSON": (RECORDED_WORDS.encode(), ASKED_WORDS.encode(), "body"),
    "a whole value": (json.dumps(RECORDED_WORDS), json.dumps(ASKED_WORDS), "the body"),
}


@pytest.mark.parametrize("case", MISSES)
def test_the_log_of_a_miss_says_where_and_never_what(case):
    recorded, asked, place = MISSES[case]
    body = recorded if isinstance(recorded, bytes) else json.dumps(recorded)
    lines = io.StringIO()
    with serving(recording((0, b"{}"), url=URL, body=body), lines=lines) as url:
        reply = post(url, asked)
    assert reply.status == 424
    # The client has sent the one and may read the other: it is told, except of what is no JSON.
    told = "canary" in reply.document["error"]["message"]
    assert told == (case != "no JSON")
    assert "canary" not in lines.getvalue()
    texts = [json.loads(line).get("text") for line in lines.getvalue().splitlines()]
    assert f"no recording matches; nearest #0 of a.yaml: {place}" in texts


def test_what_was_not_recorded_does_not_exist():
    with serving(stream()) as url:
        assert get(url, "/v1/models").status == 424
        assert get(url, "/").status == 424
        assert get(url, "/healthz").document == {"status": "ok"}


def test_a_recording_that_cannot_be_answered_with_is_an_error_of_the_server():
    with serving(recording((0, b"{}"), url=URL, body=BODY, status=0)) as url:
        reply = post(url, ASKED)
    assert (reply.status, reply.reason) == (500, "recording")
    assert "status 0" in reply.document["error"]["message"]


# ---------------------------------------------------------------- guard and bounds


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("Host: attacker.example", 421),
        ("Host: attacker.example:80", 421),
        ("Host: 127.0.0.1\r\nOrigin: https://attacker.example", 403),
        ("Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site", 403),
        ("X: no host", 400),
    ],
)
def test_on_loopback_web_pages_and_foreign_names_are_refused(fields, status):
    with serving(stream()) as url:
        head = f"GET {PATH} HTTP/1.1\r\n{fields}\r\nConnection: close\r\n\r\n".encode()
        assert raw_exchange(url, head).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_who_says_public_serves_other_names_and_pages_too(host):
    settings = GatewaySettings(host=host)
    with serving(stream(), settings=settings, public=True) as url:
        for fields in ({"Host": "replay.internal"}, {"Origin": "https://page.example"}):
            assert post(url, ASKED, fields).body == b"".join(CHUNKS)
        assert post(url, ASKED, {"Host": "bad host"}).status == 400


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "replay.internal"])
def test_recordings_are_not_served_off_loopback_unless_said_so(host):
    transport, log = ReplayTransport([], scale=0), RequestLog(io.StringIO())
    settings = GatewaySettings(host=host)
    with pytest.raises(SettingsError, match="--public"):
        replay_app(transport, settings, log=log)
    assert replay_app(transport, settings, log=log, public=True).settings.host == host
    log.close()


def test_a_body_beyond_the_bound_is_refused():
    with serving(stream(), settings=GatewaySettings(max_body=100)) as url:
        assert post(url, b"x" * 101).status == 413


# ---------------------------------------------------------------- ends


def test_a_client_that_leaves_ends_its_answer():
    lines = io.StringIO()
    with serving(stream(), scale=1e9, lines=lines) as url, connect(url) as client:
        client.post(ASKED)
        client.read_until(CHUNKS[0])
        client.close()
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["reason"] for line in logged if line["event"] == "request"] == ["client gone"]


def test_a_shutdown_cuts_what_still_plays():
    settings = GatewaySettings(grace_s=0.05)
    app = replay_app(
        ReplayTransport([cassette(stream())], scale=1e9),
        settings,
        log=RequestLog(io.StringIO()),
    )
    with running_replay(app) as (url, server), connect(url) as client:
        client.post(ASKED)
        client.read_until(CHUNKS[0] + b"\r\n")
        server.stop()
        assert client.read_to_end() == b""


def test_while_draining_nothing_new_begins():
    app = replay_app(ReplayTransport([cassette(stream())], scale=0), log=RequestLog(io.StringIO()))
    with running_replay(app) as (url, _server):
        app.inflight.draining = True
        reply = post(url, ASKED)
        assert (reply.status, reply.reason) == (503, "shutting_down")
        assert get(url, "/healthz").status == 200


def test_the_transport_is_closed_with_the_server():
    transport = ReplayTransport([], scale=0)
    with running_replay(replay_app(transport, log=RequestLog(io.StringIO()))):
        pass
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(transport.send(HttpRequest("GET", URL)))
