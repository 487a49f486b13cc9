"""The whole gateway before a scripted upstream on a plain socket (R5, R8, R10, R12, R14, R21).

Its pace and the reuse of connections are in `test_live_pace`.
"""

import io
import threading
import time

import pytest

from arno.store.memory import MemorySink
from arno.wire import json
from tests.gateway.harness import CHAT, PATIENCE_S, connect, get, post
from tests.gateway.replaying import CONVERSATIONS
from tests.gateway.upstream import SECRET, STREAM, Upstream, live

ASK = {"model": "a/b", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
WHOLE = json.dumps(
    {
        "id": "up-1",
        "object": "chat.completion",
        "created": 1,
        "model": "b-upstream",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
)


def delta(text, reason=None):
    """One chunk with a piece of text."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    head = {"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "b-upstream"}
    return b"data: " + json.dumps({**head, "choices": [choice]}) + b"\n\n"


def chunks_of(body):
    """The JSON documents of a streamed answer."""
    lines = [line.removeprefix(b"data: ") for line in body.split(b"\n")]
    return [json.loads(line) for line in lines if line.startswith(b"{")]


def record_of(sink):
    [record] = sink.recent(10)
    return record


def wait_record(sink):
    """The one record, once it is there (a cancelled request is settled after the client left)."""
    deadline = time.monotonic() + PATIENCE_S
    while not sink.recent(1) and time.monotonic() < deadline:
        time.sleep(0.005)
    return record_of(sink)


def test_r14_unknown_members_go_on_and_our_own_do_not():
    ask = {**ASK, "stream": False, "foo_bar": 1, "context_management": {"x": [1.50]}}
    own = {"usage": {"include": True}, "provider": {"sort": "price"}, "models": ["a/b"]}
    fields = {"Authorization": "Bearer client", "Cookie": "c=1", "anthropic-beta": "new-2027"}
    log = io.StringIO()
    with (
        Upstream(lambda peer: peer.answer(200, WHOLE)) as upstream,
        live(upstream, lines=log) as url,
    ):
        reply = post(url, {**ask, **own}, fields)
    [peer] = upstream.requests
    sent = json.loads(peer.body)
    assert peer.target == "/v1/chat/completions"
    assert (sent["foo_bar"], sent["model"]) == (1, "b-upstream")
    assert b'"context_management":{"x":[1.5' in peer.body.replace(b" ", b"")
    assert not own.keys() & sent.keys()
    assert peer.headers["authorization"] == f"bearer {SECRET}"
    assert peer.headers["anthropic-beta"] == "new-2027"
    assert "cookie" not in peer.headers
    assert "client" not in str(peer.headers)
    assert reply.document["model"] == "a/b"
    assert reply.document["provider"] == "Alpha"
    assert reply.headers["x-provider-name"] == "Alpha"
    assert SECRET not in f"{reply.headers} {reply.body} {log.getvalue()}"


PARTS = [
    {"type": "text", "text": "Look"},
    {"type": "hologram", "hologram": {"depth": 3, "layers": [1, None, {"x": "\u00e9"}]}},
    {"type": "text", "text": "there", "cache_control": {"type": "ephemeral"}, "mood": "calm"},
]


@pytest.mark.parametrize("contract", [False, True])
def test_r14_an_unknown_content_part_goes_on_as_it_came(contract):
    messages = [{"role": "user", "content": PARTS, "shade": {"a": [0]}}]
    with (
        Upstream(lambda peer: peer.answer(200, WHOLE)) as upstream,
        live(upstream, contract=contract) as url,
    ):
        reply = post(url, {"model": "a/b", "messages": messages})
    [peer] = upstream.requests
    sent = b'"messages":' + json.dumps(messages)
    assert (reply.status, sent in peer.body) == (200, True)


@pytest.mark.parametrize("recording", CONVERSATIONS)
@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_case_0_1_an_upstream_of_the_contract_passes_verbatim_in_any_chunking(recording, size):
    steps = recording().cassette.interactions

    def script(peer):
        body = steps[len(upstream.requests) - 1].response.body
        peer.send(STREAM)
        for start in range(0, len(body), size):
            peer.chunk(body[start : start + size])
        peer.end()

    with Upstream(script) as upstream, live(upstream, contract=True) as url:
        for step in steps:
            ask = {**json.loads(step.request.body), "model": "a/b"}
            assert post(url, ask).body == step.response.body


def test_money_of_an_upstream_that_reports_none_comes_from_the_price_row():
    with Upstream(lambda peer: peer.answer(200, WHOLE)) as upstream, live(upstream) as url:
        reply = post(url, {**ASK, "stream": False})
        name = reply.headers["x-generation-id"]
        data = get(url, f"/v1/generation?id={name}").document["data"]
    assert (data["cost_basis"], str(data["total_cost"])) == ("priced", "0.000007")
    assert data["price_source"] == "test"


def test_r8_event_k_reaches_the_client_before_the_upstream_sends_event_k_plus_1():
    go = [threading.Event() for _ in range(6)]

    def script(peer):
        peer.send(STREAM)
        for n in range(5):
            peer.chunk(delta(f"<{n}>"))
            assert go[n].wait(PATIENCE_S)
        peer.chunk(delta("", "stop") + b"data: [DONE]\n\n")
        peer.end()

    with Upstream(script) as upstream, live(upstream) as url, connect(url) as client:
        client.post(ASK)
        for n in range(5):
            found = client.read_until(f"<{n}>".encode())
            assert f"<{n + 1}>".encode() not in found + client.waiting
            go[n].set()
        assert b"[DONE]" in client.read_until(b"0\r\n\r\n")


@pytest.mark.parametrize("when", ["after the third event", "before the first byte", "whole"])
def test_r10_the_upstream_is_closed_when_the_client_leaves(when):
    asked, closed = threading.Event(), threading.Event()

    def script(peer):
        if when == "after the third event":
            peer.send(STREAM)
            for n in range(3):
                peer.chunk(delta(f"<{n}>"))
        asked.set()
        peer.wait_closed()
        closed.set()

    sink = MemorySink()
    with Upstream(script) as upstream, live(upstream, sink=sink) as url:
        with connect(url) as client:
            client.post({**ASK, "stream": when != "whole"})
            if when == "after the third event":
                client.read_until(b"<2>")
            assert asked.wait(PATIENCE_S)
        assert closed.wait(PATIENCE_S)
        entry = wait_record(sink).generation
    assert len(upstream.requests) == 1
    assert (entry.state, entry.attempts, entry.cost_nano) == ("cancelled", 1, None)


def stall(peer):
    """Two events, then nothing more until the gateway closes."""
    peer.send(STREAM)
    peer.chunk(delta("one"))
    peer.chunk(delta("two"))


def cut_clean(peer):
    stall(peer)
    peer.end()


def cut_close(peer):
    stall(peer)


def cut_reset(peer):
    stall(peer)
    peer.reset()


def cut_error(peer):
    stall(peer)
    peer.chunk(b'data: {"error":{"code":502,"message":"worker lost"}}\n\n')
    peer.end()


def done_only(peer):
    stall(peer)
    peer.chunk(b"data: [DONE]\n\n")
    peer.end()


@pytest.mark.parametrize("script", [cut_clean, cut_close, cut_reset, cut_error, done_only])
def test_r5_a_cut_stream_is_never_a_success(script):
    sink = MemorySink()
    with Upstream(script) as upstream, live(upstream, sink=sink) as url:
        reply = post(url, ASK)
    *deltas, last = chunks_of(reply.body)
    text = "".join(choice["delta"]["content"] for chunk in deltas for choice in chunk["choices"])
    # A reset may overtake what was sent before it; nothing else may be lost.
    assert text == "onetwo" or (script is cut_reset and "onetwo".startswith(text))
    assert last["error"]["code"] >= 400
    assert [choice["finish_reason"] for choice in last["choices"]] == ["error"]
    assert not [
        choice for chunk in deltas for choice in chunk["choices"] if choice["finish_reason"]
    ]
    assert b"[DONE]" not in reply.body
    entry = record_of(sink).generation
    assert (entry.state, entry.cost_nano, entry.output_tokens) == ("truncated", None, None)


def test_r5_a_finish_without_the_end_mark_is_a_success():
    def script(peer):
        stall(peer)
        peer.chunk(delta("", "stop"))
        peer.end()

    sink = MemorySink()
    with Upstream(script) as upstream, live(upstream, sink=sink) as url:
        reply = post(url, ASK)
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert b'"error"' not in reply.body
    assert record_of(sink).generation.state == "success"


HTML = b"<html><body>" + b"Bad gateway " * 500 + b"</body></html>"
LIMIT = b'{"error":{"code":429,"message":"slow down, key sk-abcdefghijklmnop"}}'
FAILURES = [
    (429, LIMIT, ["Retry-After: 7"], 429, "rate_limit_exceeded", "7"),
    (200, LIMIT, [], 429, "rate_limit_exceeded", None),
    (500, LIMIT, [], 429, "rate_limit_exceeded", None),
    (502, HTML, ["Content-Type: text/html"], 502, "provider_unavailable", None),
    (401, b'{"error":{"message":"bad key"}}', [], 502, "provider_unavailable", None),
    (400, b'{"error":{"message":"bad temperature"}}', [], 400, "invalid_request", None),
    (302, b"", ["Location: http://127.0.0.1:1/"], 502, "provider_unavailable", None),
]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(("status", "body", "fields", "seen", "error_type", "wait"), FAILURES)
def test_r21_a_failure_before_output_keeps_its_meaning(
    status, body, fields, seen, error_type, wait, streamed
):
    def script(peer):
        peer.answer(status, body, *fields)

    with Upstream(script) as upstream, live(upstream) as url:
        reply = post(url, {**ASK, "stream": streamed})
    error = reply.document["error"]
    assert (reply.status, error["code"]) == (seen, seen)
    assert error["metadata"]["error_type"] == error_type
    assert reply.headers.get("retry-after") == wait
    assert reply.headers["x-generation-id"].startswith("gen-")
    assert b"sk-abc" not in reply.body
    assert len(reply.body) < 2048


@pytest.mark.parametrize("wish", [{"only": ["nobody"]}, {"ignore": ["alpha"]}])
def test_a_request_whose_own_wishes_leave_nobody_is_told_so(wish):
    with Upstream(lambda peer: peer.answer(200, WHOLE)) as upstream, live(upstream) as url:
        reply = post(url, {**ASK, "provider": wish})
    error = reply.document["error"]
    assert (reply.status, error["code"]) == (404, 404)
    assert error["message"] == "No allowed providers are available for the selected model"
    assert upstream.requests == []


def test_a_failing_endpoint_is_followed_by_the_next_one():
    sink = MemorySink()
    with (
        Upstream(lambda peer: peer.answer(503, b"{}")) as alpha,
        Upstream(lambda peer: peer.answer(200, WHOLE)) as beta,
        live(alpha, beta, sink=sink) as url,
    ):
        reply = post(url, {**ASK, "stream": False})
    assert (reply.status, reply.headers["x-provider-name"]) == (200, "Beta")
    record = record_of(sink)
    assert record.generation.attempts == 2
    assert [(e.endpoint, e.state) for e in record.exchanges] == [
        ("alpha", "error"),
        ("beta", "success"),
    ]


def test_r12_a_line_without_end_is_a_failure_and_closes_the_upstream():
    closed = threading.Event()

    def script(peer):
        peer.send(STREAM)
        peer.chunk(delta("one"))
        piece = b"x" * 1_000_000
        try:
            for _ in range(200):
                peer.chunk(piece)
        except OSError:
            closed.set()

    with Upstream(script) as upstream, live(upstream) as url:
        reply = post(url, ASK)
        assert closed.wait(PATIENCE_S)
    assert chunks_of(reply.body)[-1]["error"]["code"] == 502
    assert len(reply.body) < 100_000


@pytest.mark.parametrize("contract", [False, True])
def test_r12_a_large_image_under_way_does_not_hold_up_a_health_call(contract):
    """Order, not time: each health call is answered before the large request may go on."""
    image = "data:image/png;base64," + "A" * (20 * 1024 * 1024)
    parts = [{"type": "image_url", "image_url": {"url": image}}]
    body = json.dumps({"model": "a/b", "messages": [{"role": "user", "content": parts}]})
    arrived, go = threading.Event(), threading.Event()

    def script(peer):
        arrived.set()
        assert go.wait(PATIENCE_S)
        peer.answer(200, WHOLE)

    with (
        Upstream(script) as upstream,
        live(upstream, contract=contract) as url,
        connect(url) as client,
    ):
        head = f"POST {CHAT} HTTP/1.1\r\nHost: {client.host}\r\nContent-Length: {len(body)}\r\n\r\n"
        client.send(head.encode() + body[:-1])
        assert get(url, "/healthz").status == 200
        assert upstream.requests == []
        client.send(body[-1:])
        assert get(url, "/healthz").status == 200
        assert arrived.wait(PATIENCE_S)
        assert get(url, "/healthz").status == 200
        go.set()
        assert client.read_head()[0] == 200
    assert image.encode() in upstream.requests[0].body


def test_r12_a_client_that_does_not_read_pauses_the_upstream():
    """Of 256 MB the upstream can send only what fits into buffers; then it must wait."""
    sent, stuck = [], threading.Event()
    event = delta("x" * 65_000)

    def script(peer):
        peer.send(STREAM)
        peer.socket.settimeout(1.0)
        try:
            for _ in range(4000):
                peer.chunk(event)
                sent.append(len(event))
        except TimeoutError:
            stuck.set()

    with (
        Upstream(script) as upstream,
        live(upstream) as url,
        connect(url, receive_buffer=65536) as client,
    ):
        client.post(ASK)
        client.read_until(b"xxx")
        assert stuck.wait(PATIENCE_S)
        client.close()
    assert sum(sent) < 32 * 1024 * 1024
