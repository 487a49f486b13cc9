"""The whole gateway before an upstream that is silent for long, or slow to end.

A held stream gives signs of life (R8), and what comes after the last event neither costs the
answer its success nor the upstream its connection.
"""

import io
import threading
import time

import openai
import pytest

from arno.engine import EngineSettings
from arno.engine.delivery import Pace
from arno.wire import json
from tests.gateway.harness import PATIENCE_S, connect
from tests.gateway.test_live import ASK, delta
from tests.gateway.upstream import STREAM, Peer, Upstream, live

QUICK = EngineSettings(pace=Pace(hold=0.02, beat=0.02))
USAGE = b'data: {"id":"up-1","object":"chat.completion.chunk","created":1,"model":"b-upstream",' + (
    b'"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
)
HEARTBEAT = b": ARNO PROCESSING\n"


class Silent:
    """An upstream that says nothing until `go`; `before`: what it sends first."""

    def __init__(self, before=b""):
        self.before = before
        self.go = threading.Event()

    def __call__(self, peer):
        if self.before:
            peer.send(self.before)
        assert self.go.wait(PATIENCE_S)
        if not self.before:
            peer.send(STREAM)
        peer.chunk(delta("Hello"))
        peer.chunk(delta("", "stop") + USAGE + b"data: [DONE]\n\n")
        peer.end()


@pytest.mark.parametrize("before", [b"", STREAM], ids=["no head", "a head"])
@pytest.mark.parametrize("contract", [False, True])
def test_r8_a_silent_upstream_leaves_no_silent_client(before, contract):
    """The client reads a head and three signs of life before the upstream may say a word."""
    script = Silent(before)
    with (
        Upstream(script) as upstream,
        live(upstream, contract=contract, settings=QUICK) as url,
        connect(url) as client,
    ):
        client.post(ASK)
        status, headers = client.read_head()
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        for _ in range(3):
            client.read_until(HEARTBEAT)
        assert b"Hello" not in client.waiting
        script.go.set()
        assert b"Hello" in client.read_until(b"data: [DONE]\n\n")
        client.read_until(b"0\r\n\r\n")


def test_r8_signs_of_life_are_no_events_to_the_sdk():
    script = Silent()
    with (
        Upstream(script) as upstream,
        live(upstream, settings=QUICK) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        # `create` returns with the head, which nothing but the gateway's patience has sent; a sign
        # of life goes out with it.
        stream = client.chat.completions.create(**ASK)
        script.go.set()
        chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert (text, chunks[-1].usage.total_tokens) == ("Hello", 5)


ROUNDS = 4


def test_what_comes_after_the_end_costs_neither_the_success_nor_the_connection():
    """The last chunk of every body is sent only when the client has its whole answer."""
    gates = [threading.Event() for _ in range(ROUNDS)]

    def script(peer):
        for gate in gates:
            peer.send(STREAM)
            peer.chunk(delta("Hello"))
            peer.chunk(delta("", "stop") + USAGE + b"data: [DONE]\n\n")
            assert gate.wait(PATIENCE_S)
            peer.end()
            if gate is not gates[-1]:
                peer = Peer(peer.socket)

    sheet = io.StringIO()
    with Upstream(script) as upstream, live(upstream, lines=sheet) as url, connect(url) as client:
        for done, gate in enumerate(gates, 1):
            client.post(ASK)
            assert client.read_head()[0] == 200
            assert client.read_until(b"\r\n0\r\n\r\n").count(b"[DONE]") == 1
            gate.set()
            wait_lines(sheet, done)
    lines = [json.loads(text) for text in sheet.getvalue().splitlines()]
    known = ("status", "state", "reason", "input_tokens", "output_tokens")
    assert [[line[name] for name in known] for line in lines] == [
        [200, "success", None, 3, 2]
    ] * ROUNDS
    assert len(upstream.requests) == 1


def wait_lines(sheet, count):
    """Wait until so many requests are logged: by then their upstream connection is free again."""
    deadline = time.monotonic() + PATIENCE_S
    while sheet.getvalue().count("\n") < count:
        assert time.monotonic() < deadline, "no line came"
        time.sleep(0.005)
