"""One client connection against whoever abuses it: trailers, floods, what never ends, pipelines.

Part D rows 1 to 6 and 11 to 13. Every attack stands beside a control: the same bytes, harmless.
"""

import asyncio
import re
import threading

import pytest

from arno.gateway.keys import KeyRing
from arno.gateway.protocol import MAX_PENDING
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
    raw_exchange,
    running_gateway,
)

KEY = "sk-one-0123456789abcdef"
HOST = b"Host: 127.0.0.1\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
POST = b"POST " + CHAT.encode() + b" HTTP/1.1\r\n" + HOST
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module")
def keyed():
    with running_gateway(gateway_app(keys=KeyRing([("me", KEY)]))) as url:
        yield url


@pytest.fixture(scope="module")
def local():
    engine = ScriptedEngine(hello)
    with running_gateway(gateway_app(engine)) as url:
        yield url, engine


def statuses(answers):
    """The status of every response on a connection."""
    return [int(digits) for digits in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answers)]


def reason_of(answer):
    """The reason of a refusal that ends the connection."""
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["metadata"]["reason"]


# ---------------------------------------------------------------- trailers are no headers

AUTH = b"Authorization: Bearer " + KEY.encode() + b"\r\n"
ASK_KEY = b"GET /v1/key HTTP/1.1\r\n" + HOST + CHUNKED


def test_a_key_in_a_trailer_lets_nobody_in(keyed):
    control = ASK_KEY + AUTH + b"\r\n0\r\nX: y\r\n\r\n"
    assert statuses(raw_exchange(keyed, control + HEALTH)) == [200, 200]
    attack = ASK_KEY + b"\r\n0\r\n" + AUTH + b"\r\n"
    assert statuses(raw_exchange(keyed, attack + HEALTH)) == [401, 200]


def test_a_key_in_a_trailer_is_not_the_next_requests_either(keyed):
    attack = ASK_KEY + b"\r\n0\r\n" + AUTH + b"\r\nGET /v1/key HTTP/1.1\r\n" + HOST + b"\r\n"
    assert statuses(raw_exchange(keyed, attack + HEALTH)) == [401, 401, 200]


def test_a_host_in_a_trailer_is_none(keyed):
    head = b"GET /healthz HTTP/1.1\r\n" + CHUNKED
    assert statuses(raw_exchange(keyed, head + HOST + b"\r\n0\r\n\r\n" + HEALTH)) == [200, 200]
    assert statuses(raw_exchange(keyed, head + b"\r\n0\r\n" + HOST + b"\r\n" + HEALTH)) == [
        400,
        200,
    ]


# ---------------------------------------------------------------- floods

FLOODS = {
    "trailer lines": (b"0\r\n", b"X-Line: " + b"a" * 4000 + b"\r\n"),
    "one trailer": (b"0\r\nX: ", b"a" * 4000),
    "a chunk's extension": (b"5;", b"a" * 4000),
}


@pytest.mark.parametrize("path", [CHAT.encode(), b"/healthz"])
@pytest.mark.parametrize("kind", FLOODS)
def test_what_is_no_body_has_a_bound(local, kind, path):
    url, engine = local
    before = len(engine.calls)
    start, piece = FLOODS[kind]
    with connect(url) as client:
        client.send(b"POST " + path + b" HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + start)
        # Far beyond the bound and all socket buffers: it must be cut off while it is sent.
        with pytest.raises(ConnectionError):
            client.send(piece * (64 * 1024 * 1024 // len(piece)))
    assert len(engine.calls) == before
    assert get(url, "/healthz").status == 200


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_is_answered_where_nothing_was_answered_yet(local, kind):
    url, _ = local
    start, piece = FLOODS[kind]
    # One byte too many, so that all was read when the answer comes and no reset overtakes it.
    flood = (start + piece * (MAX_PENDING // len(piece) + 1))[: MAX_PENDING + 1]
    with connect(url) as client:
        client.send(POST + CHUNKED + b"Expect: 100-continue\r\n\r\n")
        assert client.read_head()[0] == 100
        client.send(flood)
        status, headers = client.read_head()
    assert (status, headers["connection"]) == (431, "close")


def test_a_little_of_each_is_served(local):
    url, engine = local
    body = json.dumps(ASK)
    with connect(url) as client:
        client.send(POST + CHUNKED + b"\r\n")
        for byte in body:
            client.send(b"1;note=" + b"a" * 1000 + b"\r\n" + bytes([byte]) + b"\r\n")
        client.send(b"0\r\nX-Check: " + b"a" * 1000 + b"\r\n\r\n")
        assert client.read_head()[0] == 200
    assert engine.calls[-1].body == body


# ---------------------------------------------------------------- nothing is held for ever

GET = b"GET /healthz HTTP/1.1\r\n" + HOST
OPEN_ENDS = {
    "a line end after an answer": (GET + b"\r\n", b"\r\n"),
    "half a head after an answer": (GET + b"\r\n", b"GET /"),
    "a byte of a body that was not needed": (GET + b"Content-Length: 100\r\n\r\n", b"a"),
    "a chunk of a body that was not needed": (GET + CHUNKED + b"\r\n", b"1\r\na\r\n"),
    "a body that does not begin": (GET + b"Content-Length: 100\r\n\r\n", b""),
}
HASTY = GatewaySettings(head_deadline_s=0.2, linger_s=0.2, keep_alive_s=3600)


@pytest.mark.parametrize("case", OPEN_ENDS)
def test_a_connection_that_brings_nothing_more_is_closed(case):
    """Nothing else would: the keep-alive time is an hour."""
    first, second = OPEN_ENDS[case]
    with running_gateway(gateway_app(settings=HASTY)) as url, connect(url) as client:
        client.send(first)
        assert client.read_head()[0] == 200
        client.read_until(b'{"status":"ok"}')
        client.send(second)
        rest = client.read_to_end()
    assert rest == b"" or reason_of(rest) == "head_deadline"


def test_a_body_that_ends_after_its_answer_does_not_end_the_connection():
    settings = GatewaySettings(head_deadline_s=3600, linger_s=3600)
    with running_gateway(gateway_app(settings=settings)) as url, connect(url) as client:
        client.send(GET + b"Content-Length: 200000\r\n\r\n")
        assert client.read_head()[0] == 200
        client.send(b"a" * 200_000 + GET + b"\r\n")
        client.read_until(b'{"status":"ok"}')
        assert client.read_head()[0] == 200


def test_an_answer_reaches_a_client_that_is_still_sending(keyed):
    """Closing at once would reset the connection and lose the answer."""
    size = 8_000_000
    with connect(keyed) as client:
        client.send(b"POST " + CHAT.encode() + b" HTTP/1.1\r\n" + HOST)
        client.send(b"Content-Length: %d\r\n\r\n" % size + b" " * size)
        assert client.read_head()[0] == 401


# ---------------------------------------------------------------- refusals have an answer

ENCODINGS = [b"xchunked", b"identity", b"chunked;x=1", b"chunked, chunked", b"chunked, identity"]


@pytest.mark.parametrize("start", [POST, GET], ids=["post", "get"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_unknown_framing_is_a_400_and_ends_the_connection(local, encoding, start):
    url, engine = local
    before = len(engine.calls)
    head = start + b"Transfer-Encoding: " + encoding + b"\r\n\r\n"
    answer = raw_exchange(url, head + b"0\r\n\r\n" + HEALTH)
    assert statuses(answer) == [400]
    assert reason_of(answer) == "invalid_http"
    assert len(engine.calls) == before


@pytest.mark.parametrize("start", [POST, GET], ids=["post", "get"])
@pytest.mark.parametrize("size", [b"0x5", b"1_0", b"-1", b"", b"f" * 17, b"5 "])
def test_a_bad_chunk_size_has_exactly_one_answer(local, size, start):
    url, engine = local
    before = len(engine.calls)
    head = start + CHUNKED + b"\r\n" + size + b"\r\n"
    answer = raw_exchange(url, head + b"abcde\r\n0\r\n\r\n" + HEALTH)
    assert statuses(answer) == [400]
    assert reason_of(answer) == "invalid_http"
    assert len(engine.calls) == before


def test_after_an_answer_has_begun_no_second_one_is_written():
    """A status line inside a stream would be read as a part of it."""
    began = threading.Event()

    async def script(_call, down):
        await down.head(200, (("content-type", "text/event-stream"),))
        await down.body(b"data: 1\n\n")
        began.set()
        await asyncio.Event().wait()

    with running_gateway(gateway_app(ScriptedEngine(script))) as url, connect(url) as client:
        client.post(ASK)
        assert began.wait(PATIENCE_S)
        client.send(b"\x16\x03\x01 no HTTP\r\n\r\n")
        answer = client.read_to_end()
    assert statuses(answer) == [200]
    assert answer.endswith(b"data: 1\n\n\r\n")


@pytest.mark.parametrize(
    "second",
    [POST + CHUNKED + b"\r\nxyz\r\n", b"no HTTP\r\n\r\n"],
    ids=["a bad chunk", "no head"],
)
def test_a_bad_request_behind_one_that_is_served_does_not_take_its_answer(second):
    began = threading.Event()

    async def script(_call, _down):
        began.set()
        await asyncio.Event().wait()

    engine = ScriptedEngine(script)
    with running_gateway(gateway_app(engine)) as url, connect(url) as client:
        client.post(ASK)
        assert began.wait(PATIENCE_S)
        client.send(second)
        assert client.read_to_end() == b""
    assert len(engine.calls) == 1


def test_half_a_head_behind_a_stream_does_not_end_the_stream():
    go = threading.Event()

    async def script(_call, down):
        await down.head(200, (("content-type", "text/event-stream"),))
        await down.body(b"data: 1\n\n")
        await asyncio.to_thread(go.wait, PATIENCE_S)
        await down.end()

    app = gateway_app(ScriptedEngine(script), settings=HASTY)
    with running_gateway(app) as url, connect(url) as client, connect(url) as other:
        client.post(ASK)
        client.read_until(b"data: 1\n\n")
        client.send(b"GET /healthz HTTP/1.1\r\n")
        # Two deadlines of this other connection pass before the stream goes on.
        assert b"head_deadline" in other.read_to_end()
        with connect(url) as third:
            assert b"head_deadline" in third.read_to_end()
        go.set()
        client.read_until(b"0\r\n\r\n")
        assert b"head_deadline" in client.read_to_end()


# ---------------------------------------------------------------- pipelines and upgrades


def test_a_pipeline_is_bounded(local):
    """Reading goes on while requests wait, so whoever sends ever more is cut off."""
    url, _ = local
    few = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    with connect(url) as client:
        client.send(few * 10 + HEALTH)
        assert statuses(client.read_to_end()) == [200] * 11
    with connect(url) as client:
        client.send(few * 2000)
        answers = client.read_to_end()
    assert len(statuses(answers)) < 100


def test_a_client_that_leaves_behind_a_pipelined_request_is_noticed():
    """R10: the request being served is cancelled, not the newest one alone."""
    begun, gone = threading.Event(), threading.Event()

    async def script(_call, down):
        begun.set()
        try:
            await asyncio.sleep(PATIENCE_S)
        except asyncio.CancelledError:
            gone.set()
            raise

    with running_gateway(gateway_app(ScriptedEngine(script))) as url:
        with connect(url) as client:
            client.post(ASK)
            client.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            # One that leaves before its request is served has nothing to cancel.
            assert begun.wait(PATIENCE_S / 2)
        assert gone.wait(PATIENCE_S / 2)


UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"


def test_an_upgrade_with_a_body_is_refused_and_never_served_without_it(local):
    """The parser gives what follows such a head to another protocol: the body would be lost."""
    url, engine = local
    before = len(engine.calls)
    length = b"Content-Length: 2\r\n\r\n{}"
    answer = raw_exchange(url, POST + UPGRADE + length)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Upgrade is not supported" in answer
    assert len(engine.calls) == before


def test_an_upgrade_without_a_body_is_overlooked(local):
    url, _ = local
    head = b"GET /healthz HTTP/1.1\r\n" + HOST + UPGRADE
    with connect(url) as client:
        client.send(head + b"\r\n")
        status, fields = client.read_head()
    assert (status, fields["connection"]) == (200, "close")
