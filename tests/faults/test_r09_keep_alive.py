"""R9: a silent upstream leaves no silent client, and no client stumbles over the signs of life.

The gateway's clock is held: 40 s pass at once, and every sign of life is seen at its second.
"""

import threading
from itertools import pairwise

import openai
import pytest

from arno.canon.events import KeepAlive
from arno.engine import delivery, engine, plan
from arno.exchange import machine
from tests.engine.harness import chunk
from tests.faults.gateways import HeldClock, row_of, serving, states, toml
from tests.gateway.harness import PATIENCE_S, connect, get
from tests.gateway.test_live import ASK, chunks_of, delta
from tests.gateway.upstream import STREAM, Upstream
from tests.sdk.clients import KEY, PLAIN, job

pytestmark = pytest.mark.slow

SILENT_S = 40.0
MOST_APART_S = 15.0
HURRIED_S = 0.3
SIGN = b": ARNO PROCESSING\n"
GOOD = delta("", "stop") + b"data: [DONE]\n\n"
LONG = "[deadlines]\nfirst = 120\nidle = 120\n"


class Silent:
    """An upstream that says `before`, then nothing until `go`, then `after`, then nothing until
    `go_on`, and then the rest.
    """

    def __init__(self, before=b"", after=b""):
        self.before, self.after = before, after
        self.asked, self.go, self.go_on = (threading.Event() for _ in range(3))

    def __call__(self, peer):
        if self.before:
            peer.send(STREAM)
            peer.chunk(self.before)
        self.asked.set()
        assert self.go.wait(PATIENCE_S)
        if not self.before:
            peer.send(STREAM)
        peer.chunk(chunk({"role": "assistant", "content": "Hel"}) + self.after)
        assert self.go_on.wait(PATIENCE_S)
        peer.chunk(delta("lo") + GOOD)
        peer.end()


def silence(client, clock, first):
    """Seconds of the held clock at which signs of life came within SILENT_S; nothing else did.

    first: after how many seconds the first one is due.
    """
    began, came = clock.now, []
    for wait in (first, 10.0, 10.0, 10.0):
        clock.pass_by(wait)
        if not came and first == FIRST_HEAD:
            assert client.read_head()[0] == 200
        assert client.read_chunk() == SIGN
        came.append(clock.now - began)
    clock.pass_by(began + SILENT_S - clock.now)
    return came


FIRST_HEAD, FIRST_BEAT = 5.0, 10.0


def live_through(folder, script, patience=PATIENCE_S):
    """The check: 40 s of silence before the first event, and 40 s between two."""
    clock = HeldClock()
    with (
        Upstream(script) as upstream,
        serving(folder, toml(upstream, more=LONG), clock=clock) as (url, sink),
        connect(url) as client,
    ):
        client.socket.settimeout(patience)
        try:
            client.post(ASK)
            assert script.asked.wait(PATIENCE_S)
            before = silence(client, clock, FIRST_HEAD)
            script.go.set()
            assert b'"Hel"' in client.read_chunk()
            between = silence(client, clock, FIRST_BEAT)
        finally:
            script.go.set()
            script.go_on.set()
        rest = b"".join(iter(client.read_chunk, b""))
        assert b'"lo"' in rest
        assert SIGN not in rest
        return before, between, row_of(sink)


@pytest.mark.parametrize("before", [b"", b": ping\n\n"], ids=["no head", "pings of its own"])
def test_r9_bytes_reach_the_client_at_least_every_15_s(before, tmp_path):
    first, later, record = live_through(tmp_path, Silent(before))
    for came in (first, later):
        times = [0.0, *came, SILENT_S]
        apart = [after - before for before, after in pairwise(times)]
        assert max(apart) <= MOST_APART_S
    assert states(record) == ("success", [("alpha", "success")])
    # Whatever pings came before: the first token came after 40 s.
    assert record.generation.latency_ms == SILENT_S * 1000


class NeverBeats(delivery.Delivery):
    """Leaves a silent client silent."""

    def start(self):
        pass


def test_r9_a_gateway_without_signs_of_life_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "Delivery", NeverBeats)
    with pytest.raises(TimeoutError):
        live_through(tmp_path, Silent(), HURRIED_S)


class TakesPingsForOutput(machine.Exchange):
    """Counts an upstream's comment as the first token."""

    def _note(self, event):
        if isinstance(event, KeepAlive):
            self.seen.output = True
        return super()._note(event)


def ping_then_fail(folder):
    """The check: an upstream that only pings is no reason not to go on to the next one."""

    def only_pings(peer):
        peer.send(STREAM)
        peer.chunk(b": ping\n\n")
        peer.chunk(b": ping\n\n")

    def good(peer):
        peer.send(STREAM)
        peer.chunk(delta("Hello") + GOOD)
        peer.end()

    with (
        Upstream(only_pings) as alpha,
        Upstream(good) as beta,
        serving(folder, toml(alpha, beta)) as (url, sink),
        connect(url) as client,
    ):
        client.post(ASK)
        assert client.read_head()[0] == 200
        body = b"".join(iter(client.read_chunk, b""))
        assert chunks_of(body)[0]["choices"][0]["delta"]["content"] == "Hello"
        assert states(row_of(sink)) == ("success", [("alpha", "error"), ("beta", "success")])


def test_r9_a_ping_of_the_upstream_is_no_first_token(tmp_path):
    ping_then_fail(tmp_path)


def test_r9_a_gateway_that_takes_a_ping_for_a_token_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "Exchange", TakesPingsForOutput)
    with pytest.raises((AssertionError, KeyError, IndexError)):
        ping_then_fail(tmp_path)


QUICK_BEATS = 3


class Quick(delivery.Delivery):
    """Beats as fast as it can, and opens the upstream's next gate after a few of them."""

    script: Silent
    beats = 0

    def __init__(self, down, clock, pace, heartbeat):
        super().__init__(down, clock, delivery.Pace(hold=0.001, beat=0.001), heartbeat)

    async def _send_beat(self):
        await super()._send_beat()
        self.beats += 1
        if self.beats == QUICK_BEATS:
            self.script.go.set()
        if self.script.go.is_set() and self.output_sent and self.beats >= 2 * QUICK_BEATS:
            self.script.go_on.set()


def read_past_signs(sdk, folder, monkeypatch):
    """The check: comments before the first event and between two, ours and the upstream's."""
    script = Silent(b": ping\n\n", b": ping\n\n")
    monkeypatch.setattr(Quick, "script", script, raising=False)
    monkeypatch.setattr(engine, "Delivery", Quick)
    with Upstream(script) as upstream, serving(folder, toml(upstream)) as (url, sink):
        try:
            found = sdk.run(job(url, ASK))
        finally:
            script.go.set()
            script.go_on.set()
        assert found["error"] is None
        assert row_of(sink).generation.state == "success"
    [reading] = found["readings"]
    assert (reading["text"], reading["reasons"]) == ("Hello", ["stop"])


def test_r9_every_sdk_reads_past_signs_of_life(sdk, tmp_path, monkeypatch):
    read_past_signs(sdk, tmp_path, monkeypatch)


@pytest.mark.parametrize("sdk", [param for param in PLAIN if param.id == "go"], indirect=True)
def test_r9_a_sign_that_ends_an_event_is_found_out(sdk, tmp_path, monkeypatch):
    """The Go SDK takes the blank line behind a comment for an event without data."""
    monkeypatch.setattr("arno.dialects.chat.HEARTBEAT", SIGN + b"\n")
    with pytest.raises(AssertionError, match="unexpected end of JSON input"):
        read_past_signs(sdk, tmp_path, monkeypatch)


def test_r9_the_sdk_waits_for_the_first_event_while_comments_come(tmp_path):
    """The stream is open, 40 s have passed for the gateway, and the SDK has raised nothing."""
    clock, script = HeldClock(), Silent()
    with (
        Upstream(script) as upstream,
        serving(tmp_path, toml(upstream, more=LONG), clock=clock) as (url, _),
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        found, done = [], threading.Event()

        def read():
            with client.chat.completions.create(**ASK) as stream:
                found.extend(chunk.choices[0].delta.content for chunk in stream if chunk.choices)
            done.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        assert script.asked.wait(PATIENCE_S)
        clock.pass_by(SILENT_S)
        assert get(url, "/healthz").status == 200
        assert not done.is_set()
        script.go.set()
        script.go_on.set()
        assert done.wait(PATIENCE_S)
        reader.join(PATIENCE_S)
    assert "".join(found) == "Hello"
