"""The hot path over real sockets: what reaches the engine and what reaches the client."""

import asyncio
import io
import re
import threading

import pytest

from arno.canon.failure import RequestError
from arno.wire import json
from tests.gateway.harness import (
    ASK,
    CHAT,
    PATIENCE_S,
    ScriptedEngine,
    connect,
    gateway_app,
    get,
    outcome,
    post,
    running_gateway,
)

STREAM_HEAD = (("content-type", "text/event-stream"), ("x-provider-name", "Northpier"))
EVENT = b'data: {"n":%d}\n\n'


@pytest.mark.parametrize("path", [CHAT, "/v1/chat/completions"])
def test_the_engine_gets_the_request_as_it_came(path):
    engine = ScriptedEngine(lambda call, down: answer(down))
    body = b'{ "model": "a/b","messages" :[{"role":"user","content":"\xc3\xa9"}], "foo_bar":1 }'
    fields = {"HTTP-Referer": "https://app.example", "X-Title": "App"}
    with running_gateway(gateway_app(engine)) as url:
        reply = post(url, body, fields, path)
    [call] = engine.calls
    assert (call.body, call.dialect, call.envelope.model) == (body, "chat", "a/b")
    assert (call.caller.key_id, call.caller.referer) == ("local", "https://app.example")
    assert call.caller.title == "App"
    assert re.fullmatch(r"gen-[0-9]{10}-[A-Za-z0-9]{20}", call.generation_id)
    assert call.generation_id.split("-")[1] == str(call.created_ns // 10**9)
    assert (reply.status, reply.body) == (200, b'{"ok":true}')
    assert reply.headers["x-generation-id"] == call.generation_id
    assert reply.headers["content-type"] == "application/json"
    assert "x-accel-buffering" not in reply.headers
    assert not {name for name in reply.headers if name.startswith("access-control")}


async def answer(down):
    await down.head(200, (("content-type", "application/json"),))
    await down.body(b'{"ok":true}')
    await down.end()


SECRET = "sk-canary-0123456789"
PAGES = [
    ("https://app.example/a/b", "https://app.example/a/b"),
    ("https://app.example:8443/a@b", "https://app.example:8443/a@b"),
    (f"https://app.example/a?key={SECRET}", "https://app.example/a"),
    (f"https://app.example/a#token={SECRET}", "https://app.example/a"),
    (f"https://app.example#{SECRET}?{SECRET}", "https://app.example"),
    (f"https://me:{SECRET}@app.example/a", "https://app.example/a"),
    (f"https://me:{SECRET}@{SECRET}@app.example/a", "https://app.example/a"),
    (f"//me:{SECRET}@app.example", "//app.example"),
    (f"me:{SECRET}@app.example", "app.example"),
    (f"https://{SECRET * 40}@app.example/a", "https://app.example/a"),
    ("https://app.example/" + "a" * 1000, "https://app.example/" + "a" * 492),
    (f"?key={SECRET}", None),
]


@pytest.mark.parametrize("name", ["HTTP-Referer", "Referer"])
@pytest.mark.parametrize(("sent", "kept"), PAGES)
def test_a_page_is_kept_without_what_may_be_secret(serving, name, sent, kept):
    url, engine = serving
    assert post(url, ASK, {name: sent}).status == 200
    assert engine.calls[-1].caller.referer == kept


@pytest.fixture(scope="module")
def serving():
    engine = ScriptedEngine(lambda call, down: answer(down))
    with running_gateway(gateway_app(engine)) as url:
        yield url, engine


def test_generation_ids_differ():
    engine = ScriptedEngine(lambda call, down: answer(down))
    with running_gateway(gateway_app(engine)) as url:
        for _ in range(20):
            post(url, ASK)
    assert len({call.generation_id for call in engine.calls}) == 20


def test_r8_an_event_is_read_before_the_next_one_is_released():
    released = asyncio.Semaphore(0)
    loops = []

    async def script(_call, down):
        loops.append(asyncio.get_running_loop())
        await down.head(200, STREAM_HEAD)
        for n in range(5):
            await down.body(EVENT % n)
            await released.acquire()
        await down.end()

    with running_gateway(gateway_app(ScriptedEngine(script))) as url, connect(url) as client:
        client.post(ASK)
        status, headers = client.read_head()
        assert status == 200
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-cache"
        assert headers["x-accel-buffering"] == "no"
        assert headers["x-provider-name"] == "Northpier"
        for n in range(5):
            assert (
                client.read_until(EVENT % n) == (b"" if n == 0 else b"\r\n") + b"f\r\n" + EVENT % n
            )
            loops[0].call_soon_threadsafe(released.release)
        assert client.read_until(b"0\r\n\r\n") == b"\r\n0\r\n\r\n"


@pytest.mark.parametrize("when", ["before the head", "after the third event", "in a whole answer"])
def test_r10_a_client_that_leaves_cancels_the_engine(when):
    started, cancelled = threading.Event(), threading.Event()
    messages = []

    async def script(_call, down):
        if when == "after the third event":
            await down.head(200, STREAM_HEAD)
            for n in range(3):
                await down.body(EVENT % n)
        elif when == "in a whole answer":
            await down.head(200, (("content-type", "application/json"),))
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            messages.append(str(error))
            cancelled.set()
            raise

    lines = io.StringIO()
    with running_gateway(gateway_app(ScriptedEngine(script), lines=lines)) as url:
        with connect(url) as client:
            client.post(ASK)
            if when == "after the third event":
                client.read_until(EVENT % 2)
            assert started.wait(PATIENCE_S)
        assert cancelled.wait(PATIENCE_S)
        assert get(url, "/healthz").status == 200
    assert messages == ["client gone"]
    [line] = [json.loads(text) for text in lines.getvalue().splitlines()]
    assert (line["state"], line["reason"]) == ("cancelled", "client gone")
    assert line["status"] == (499 if when == "before the head" else 200)


def test_a_cancellation_that_was_ours_leaves_no_trace_in_the_task():
    """Otherwise a timeout around the application would take it for its own."""

    async def script(_call, _down):
        await asyncio.Event().wait()

    messages = [{"type": "http.request", "body": json.dumps(ASK)}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    async def send(_message):
        raise AssertionError("nobody is there")

    async def main():
        scope = {
            "type": "http",
            "method": "POST",
            "path": CHAT,
            "raw_path": CHAT.encode(),
            "scheme": "http",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")],
        }
        await gateway_app(ScriptedEngine(script))(scope, receive, send)
        return asyncio.current_task().cancelling()

    assert asyncio.run(main()) == 0


def test_an_engine_that_settles_its_own_cancellation_tells_the_log():
    lines = io.StringIO()
    began = threading.Event()

    async def script(call, _down):
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return outcome(call, state="cancelled", cost_nano=None, output=None)

    app = gateway_app(ScriptedEngine(script), lines=lines)
    with running_gateway(app) as url, connect(url) as client:
        client.post(ASK)
        assert began.wait(PATIENCE_S)
        client.close()
    [line] = [json.loads(text) for text in lines.getvalue().splitlines()]
    assert (line["state"], line["cost_usd"], line["output_tokens"]) == ("cancelled", None, None)


def test_r12_a_client_that_does_not_read_stops_the_engine():
    """The engine can write a bounded number of bytes, and goes on once the client reads."""
    piece = b"x" * 65536
    written = []
    stuck = threading.Event()

    async def script(_call, down):
        await down.head(200, STREAM_HEAD)
        for _ in range(2000):
            write = asyncio.ensure_future(down.body(piece))
            done, _ = await asyncio.wait([write], timeout=0.5)
            if not done:
                stuck.set()
            await write
            written.append(len(piece))
            if stuck.is_set():
                break
        await down.end()

    app = gateway_app(ScriptedEngine(script))
    with running_gateway(app) as url, connect(url, receive_buffer=65536) as client:
        client.post(ASK)
        assert stuck.wait(PATIENCE_S)
        # What the kernel's socket buffers take is not ours; of 128 MB nearly all must be unwritten.
        assert sum(written) < 16 * 1024 * 1024
        assert client.read_until(b"\r\n0\r\n\r\n")


def test_r12_a_large_image_does_not_hold_up_a_health_call():
    """Order, not time: the health call is answered while the large body is still coming in."""
    engine = ScriptedEngine(lambda call, down: answer(down))
    image = "data:image/png;base64," + "A" * (20 * 1024 * 1024)
    parts = [{"type": "image_url", "image_url": {"url": image}}]
    body = json.dumps({"model": "a/b", "messages": [{"role": "user", "content": parts}]})
    with running_gateway(gateway_app(engine)) as url, connect(url) as client:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: {client.host}\r\nContent-Length: {len(body)}\r\n\r\n"
        client.send(head.encode() + body[:-1])
        assert get(url, "/healthz").status == 200
        assert engine.calls == []
        client.send(body[-1:])
        assert client.read_head()[0] == 200
    assert engine.calls[0].body == body


BAD_BODIES = [
    (b"", "empty"),
    (b"[]", "object"),
    (b'{"model":{"a":1},"messages":[1]}', "model"),
    (b'{"model":"","messages":[1]}', "model"),
    (b'{"messages":[1]}', "model"),
    (b'{"model":"a/b"}', "messages"),
    (b'{"model":"a\\u001b[31m","messages":[1]}', "model"),
    (b'{"model":"a/b","messages":[1],"max_tokens":"5"}', "max_tokens"),
    (b'{"model":"a/b","messages":[1],"n":0}', "n"),
    (b'{"model":"a/b","messages":' + b"[" * 100_000, "nested too deep"),
]


@pytest.mark.parametrize(("body", "word"), BAD_BODIES)
def test_a_request_that_cannot_be_read_is_refused_and_names_the_member(body, word):
    engine = ScriptedEngine(lambda call, down: answer(down))
    with running_gateway(gateway_app(engine)) as url:
        reply = post(url, body)
    error = reply.document["error"]
    assert (reply.status, error["code"]) == (400, 400)
    assert error["metadata"]["error_type"] == "invalid_request"
    assert word in error["message"]
    assert engine.calls == []


def test_r21_status_and_headers_of_a_failure_are_the_engines():
    async def script(call, down):
        await down.head(429, (("content-type", "application/json"), ("retry-after", "7")))
        await down.body(b'{"error":{"code":429,"message":"slow down"}}')
        await down.end()
        return outcome(call, status=429, state="error", cost_nano=None)

    with running_gateway(gateway_app(ScriptedEngine(script))) as url:
        reply = post(url, ASK)
    assert (reply.status, reply.headers["retry-after"]) == (429, "7")
    assert reply.headers["x-generation-id"].startswith("gen-")


@pytest.mark.parametrize("error", [RuntimeError("secret sk-abc"), RequestError("secret sk-abc")])
def test_a_bug_before_the_head_is_a_masked_500(error):
    lines = io.StringIO()

    async def script(_call, _down):
        raise error

    with running_gateway(gateway_app(ScriptedEngine(script), lines=lines)) as url:
        reply = post(url, ASK)
        assert get(url, "/healthz").status == 200
    assert reply.status == 500
    assert reply.document["error"]["code"] == 500
    assert reply.document["error"]["metadata"]["error_type"] == "server"
    assert b"secret" not in reply.body
    bug, line = (json.loads(text) for text in lines.getvalue().splitlines())
    assert "secret sk-abc" in bug["traceback"]
    assert bug["generation_id"] == reply.headers["x-generation-id"] == line["generation_id"]
    assert (line["status"], line["state"]) == (500, "error")


@pytest.mark.parametrize("broken", [b"", b'data: {"half'])
def test_a_bug_in_a_stream_ends_it_with_an_error_chunk(broken):
    async def script(_call, down):
        await down.head(200, STREAM_HEAD)
        await down.body(EVENT % 1 + broken)
        raise RuntimeError("secret")

    with running_gateway(gateway_app(ScriptedEngine(script))) as url:
        reply = post(url, ASK)
    first, *middle, last, rest = reply.body.split(b"\n\n")
    assert first == b'data: {"n":1}'
    assert middle == ([broken] if broken else [])
    assert rest == b""
    assert json.loads(last.removeprefix(b"data: "))["error"]["message"]
    assert b"secret" not in reply.body
    assert b"[DONE]" not in reply.body


def test_an_engine_that_forgets_to_end_is_a_bug_not_a_success():
    async def script(_call, down):
        await down.head(200, STREAM_HEAD)
        await down.body(EVENT % 1)

    with running_gateway(gateway_app(ScriptedEngine(script))) as url:
        reply = post(url, ASK)
    assert b'"error"' in reply.body


def test_a_host_with_an_odd_name_cannot_break_the_head():
    async def script(_call, down):
        name = "Nörd\r\nX-Evil: 1" + "n" * 1000
        await down.head(200, (("content-type", "text/event-stream"), ("x-provider-name", name)))
        await down.end()

    with running_gateway(gateway_app(ScriptedEngine(script))) as url:
        reply = post(url, ASK)
    assert "x-evil" not in reply.headers
    assert reply.headers["x-provider-name"].startswith("N?rd??X-Evil: 1nnn")
    assert len(reply.headers["x-provider-name"]) == 256


def test_no_task_besides_its_own_and_none_per_event():
    counts = []

    async def script(_call, down):
        await down.head(200, STREAM_HEAD)
        for n in range(50):
            await down.body(EVENT % n)
            counts.append(len(asyncio.all_tasks()))
        await down.end()

    app = gateway_app(ScriptedEngine(lambda call, down: answer(down)))
    with running_gateway(app) as url:
        post(url, ASK)
        app.gateway.engine.script = script
        post(url, ASK)
    # The server's own main task and its lifespan task, and this request.
    assert set(counts) == {3}
