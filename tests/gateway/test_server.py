"""The server's life: where it listens, how it drains, how its process ends (R38)."""

import asyncio
import io
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager

import pytest

from arno.gateway.errors import SettingsError
from arno.gateway.inflight import Inflight
from arno.gateway.server import listen, url_of
from arno.gateway.settings import GatewaySettings
from arno.wire import json
from tests.gateway.harness import (
    ASK,
    PATIENCE_S,
    ScriptedEngine,
    connect,
    gateway_app,
    get,
    hello,
    outcome,
    post,
    running_server,
)
from tests.shared import ROOT

STREAM_HEAD = (("content-type", "text/event-stream"),)
FOREVER = GatewaySettings(grace_s=3600)


class Paced:
    """A script whose streams stay open until `finish`; `open` counts those that began."""

    def __init__(self):
        self.open = threading.Semaphore(0)
        self.loop = None
        self.event = None

    async def __call__(self, _call, down):
        self.loop = asyncio.get_running_loop()
        self.event = self.event or asyncio.Event()
        await down.head(200, STREAM_HEAD)
        await down.body(b"data: 1\n\n")
        self.open.release()
        await self.event.wait()
        await down.body(b"data: [DONE]\n\n")
        await down.end()

    def finish(self):
        self.loop.call_soon_threadsafe(self.event.set)


def wait_until_draining(url):
    """Ask until the gateway says so; it does at the first turn of its loop."""
    for _ in range(1000):
        if get(url, "/readyz").status == 503:
            return
    raise AssertionError("the gateway does not drain")


def test_draining_lets_streams_end_and_takes_no_new_ones():
    script = Paced()
    engine = ScriptedEngine(script)
    app = gateway_app(engine, settings=FOREVER)
    with running_server(app) as (url, server), connect(url) as client:
        client.post(ASK)
        client.read_until(b"data: 1\n\n")
        server.stop()
        wait_until_draining(url)
        ready = get(url, "/readyz")
        assert ready.document == {"status": "draining", "open": 1}
        refused = post(url, ASK)
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert refused.document["error"]["code"] == 503
        assert get(url, "/healthz").status == 200
        assert get(url, "/v1/models").status == 200
        script.finish()
        assert client.read_until(b"\r\n0\r\n\r\n").endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert len(engine.calls) == 1
    assert server.exit_code == 0


def test_after_the_grace_period_streams_end_with_a_failure():
    script, sheet = Paced(), io.StringIO()
    app = gateway_app(ScriptedEngine(script), settings=GatewaySettings(grace_s=0.2), lines=sheet)
    with running_server(app) as (url, server), connect(url) as client:
        client.post(ASK)
        client.read_until(b"data: 1\n\n")
        server.stop()
        rest = client.read_until(b"\r\n0\r\n\r\n")
    chunk = json.loads(re.search(rb"data: (\{.*\})\n\n", rest)[1])
    assert chunk["error"]["code"] == 503
    assert "shutting down" in chunk["error"]["message"]
    assert [choice["finish_reason"] for choice in chunk["choices"]] == ["error"]
    assert b"[DONE]" not in rest
    assert server.exit_code == 0
    [line] = [json.loads(text) for text in sheet.getvalue().splitlines()]
    assert (line["state"], line["reason"]) == ("truncated", "shutting down")


def test_of_a_hundred_streams_each_ends_well_or_with_a_failure():
    script, stuck = Paced(), Paced()

    async def either(call, down):
        await (script if call.envelope.model == "ends" else stuck)(call, down)

    app = gateway_app(ScriptedEngine(either), settings=GatewaySettings(grace_s=1.0))
    with ExitStack() as stack:
        url, server = stack.enter_context(running_server(app))
        clients = [stack.enter_context(connect(url)) for _ in range(100)]
        for number, client in enumerate(clients):
            client.post({**ASK, "model": "ends" if number % 2 else "stays"})
            client.read_until(b"data: 1\n\n")
        server.stop()
        wait_until_draining(url)
        script.finish()
        rests = [client.read_until(b"\r\n0\r\n\r\n") for client in clients]
    assert [b"[DONE]" in rest for rest in rests] == [False, True] * 50
    assert [b'"error"' in rest for rest in rests] == [True, False] * 50
    assert server.exit_code == 0


def test_a_second_signal_cuts_at_once():
    script = Paced()
    app = gateway_app(ScriptedEngine(script), settings=FOREVER)
    with running_server(app) as (url, server), connect(url) as client:
        client.post(ASK)
        client.read_until(b"data: 1\n\n")
        server.handle_exit(signal.SIGTERM, None)
        wait_until_draining(url)
        server.handle_exit(signal.SIGTERM, None)
        assert b'"error"' in client.read_until(b"\r\n0\r\n\r\n")
    assert server.exit_code == 128 + signal.SIGTERM


def test_a_request_without_output_is_answered_when_it_is_cut():
    began = threading.Event()

    async def script(_call, _down):
        began.set()
        await asyncio.Event().wait()

    settings, sheet = GatewaySettings(grace_s=0.1), io.StringIO()
    app = gateway_app(ScriptedEngine(script), settings=settings, lines=sheet)
    with running_server(app) as (url, server), connect(url) as client:
        client.post(ASK)
        assert began.wait(PATIENCE_S)
        server.stop()
        status, headers = client.read_head()
    assert (status, headers["retry-after"]) == (503, "5")
    line = json.loads(sheet.getvalue())
    assert (line["status"], line["generation_id"]) == (503, headers["x-generation-id"])


def test_an_engine_may_end_a_cut_stream_itself():
    causes = []

    async def script(call, down):
        await down.head(200, STREAM_HEAD)
        await down.body(b"data: 1\n\n")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            causes.append(error.args)
            await down.body(b"data: own words\n\n")
            await down.end()
            return outcome(call, state="truncated")

    app = gateway_app(ScriptedEngine(script), settings=GatewaySettings(grace_s=0.1))
    with running_server(app) as (url, server), connect(url) as client:
        client.post(ASK)
        client.read_until(b"data: 1\n\n")
        server.stop()
        rest = client.read_until(b"\r\n0\r\n\r\n")
    assert causes == [("shutting down",)]
    assert b"own words" in rest
    assert b"error" not in rest


def test_a_client_that_does_not_read_cannot_hold_the_shutdown():
    full = threading.Event()

    async def script(_call, down):
        await down.head(200, STREAM_HEAD)
        while True:
            write = asyncio.ensure_future(down.body(b"x" * 65536))
            done, _ = await asyncio.wait([write], timeout=0.3)
            if not done:
                full.set()
            await write

    app = gateway_app(ScriptedEngine(script), settings=GatewaySettings(grace_s=0.1))
    with running_server(app) as (url, server), connect(url, receive_buffer=65536) as client:
        client.post(ASK)
        assert full.wait(PATIENCE_S)
        server.stop()
    assert server.exit_code == 0


def test_closers_run_after_the_last_request():
    order = []

    async def close():
        order.append("closed")

    async def script(call, down):
        await hello(call, down)
        order.append("served")

    with running_server(gateway_app(ScriptedEngine(script), closers=[close])) as (url, _):
        post(url, ASK)
    assert order == ["served", "closed"]


def test_an_app_that_is_no_gateway_can_be_served_too():
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    with running_server(app, inflight=Inflight()) as (url, _):
        assert get(url, "/any").status == 204


def test_a_port_that_is_taken_is_a_settings_error():
    with listen(GatewaySettings()) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{port}"):
            listen(GatewaySettings(port=port))


def test_the_url_of_a_socket():
    with listen(GatewaySettings()) as bound:
        assert url_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_the_url_of_an_ipv6_socket():
    try:
        bound = listen(GatewaySettings(host="::1"))
    except SettingsError:
        pytest.skip("no IPv6 loopback here")
    with bound:
        assert re.fullmatch(r"http://\[::1\]:[0-9]+", url_of(bound))


PROGRAM = """
import asyncio, sys
from arno.gateway.server import run
from arno.gateway.settings import GatewaySettings
from tests.gateway.harness import ScriptedEngine, gateway_app

async def script(call, down):
    await down.head(200, (("content-type", "text/event-stream"),))
    await down.body(b"data: 1\\n\\n")
    if call.envelope.model == "stay":
        await asyncio.Event().wait()
    await down.end()

settings = GatewaySettings(grace_s=float(sys.argv[1]))
app = gateway_app(ScriptedEngine(script), settings=settings, lines=sys.stderr)
gateway = app.gateway
sys.exit(run(app, settings, inflight=gateway.inflight, log=gateway.log,
             wall_ns=gateway.clock.wall_ns))
"""


@contextmanager
def process(grace_s):
    """A gateway process and its URL; killed at the end if it still runs."""
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(grace_s)],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        readable, _, _ = select.select([child.stdout], [], [], PATIENCE_S)
        assert readable, "no URL came"
        url = child.stdout.readline().decode().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", url)
        yield child, url
    finally:
        child.kill()
        child.communicate()


def end_of(child):
    """(exit code, rest of stdout, log lines) of a process that ends by itself."""
    out, err = child.communicate(timeout=PATIENCE_S)
    return child.returncode, out, [json.loads(line) for line in err.splitlines()]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_process_drains_with_exit_code_0(sig):
    with process(3600) as (child, url):
        assert get(url, "/readyz").status == 200
        assert post(url, {**ASK, "model": "go"}).body == b"data: 1\n\n"
        child.send_signal(sig)
        code, out, lines = end_of(child)
    assert (code, out) == (0, b"")
    assert [line["path"] for line in lines] == ["/api/v1/chat/completions"]


def test_a_process_with_a_stuck_stream_ends_after_the_grace_period_with_exit_code_0():
    with process(0.2) as (child, url), connect(url) as client:
        client.post({**ASK, "model": "stay"})
        client.read_until(b"data: 1\n\n")
        child.send_signal(signal.SIGTERM)
        assert b'"error"' in client.read_until(b"\r\n0\r\n\r\n")
        code, _, [line] = end_of(child)
    assert (code, line["reason"]) == (0, "shutting down")


def test_two_signals_end_a_process_at_once():
    with process(3600) as (child, url), connect(url) as client:
        client.post({**ASK, "model": "stay"})
        client.read_until(b"data: 1\n\n")
        child.send_signal(signal.SIGTERM)
        wait_until_draining(url)
        child.send_signal(signal.SIGTERM)
        assert b'"error"' in client.read_until(b"\r\n0\r\n\r\n")
        code, _, _ = end_of(child)
    assert code == 128 + signal.SIGTERM


def test_what_is_not_http_is_a_json_line_in_the_log():
    with process(3600) as (child, url):
        with connect(url) as client:
            client.send(b"\x16\x03\x01 hello\r\n\r\n")
            assert b" 400 " in client.read_to_end()
        child.send_signal(signal.SIGTERM)
        _, _, [line] = end_of(child)
    assert line["event"] == "server"
