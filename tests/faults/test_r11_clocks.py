"""R11: four clocks, said for a provider, for a model or by a request; each names itself.

The gateway's clock is held, so a deadline is seen not to fire at 90 % of its time and to have
fired at 110 %. Only the connect deadline runs on the event loop's own time: it is short here.
"""

import threading
from contextlib import contextmanager

import pytest

from arno.exchange import driver
from arno.transport.host_pool import HostPool
from tests.faults.gateways import HeldClock, row_of, serving, states, toml
from tests.faults.test_r09_keep_alive import TakesPingsForOutput
from tests.faults.world import good
from tests.gateway.harness import PATIENCE_S, connect, post
from tests.gateway.test_live import ASK, chunks_of, delta
from tests.gateway.upstream import STREAM, Upstream
from tests.transport.sockets import deaf_port

S = 30.0
HURRIED_S = 0.5

NAMED = {
    "connect": "connect_deadline",
    "first": "first_event_deadline",
    "idle": "idle_deadline",
    "total": "total_deadline",
}

PLACES = {
    "all": "[deadlines]",
    "provider": "[provider.alpha.deadlines]",
    "model": '[model."a/b".deadlines]',
}
FAR = {"first": 600, "idle": 600}


def said(by, clock, seconds):
    """(tables of an arno.toml, headers of a request) that set a deadline."""
    common = {**FAR, clock: seconds} if by == "all" else FAR
    text = "[deadlines]\n" + "".join(f"{name} = {value}\n" for name, value in common.items())
    if by == "request":
        return text, (("X-Arno-Deadlines", f"{clock}={seconds:g}"),)
    return text if by == "all" else f"{text}{PLACES[by]}\n{clock} = {seconds}\n", ()


def events_of(reply_body):
    """(text, error of the last chunk or None) of a streamed answer."""
    chunks = chunks_of(reply_body)
    text = "".join(c["delta"].get("content") or "" for d in chunks for c in d["choices"])
    return text, chunks[-1].get("error")


BY = ("all", "provider", "model", "request")


# connect


def connects(by, folder, patience=PATIENCE_S):
    """The check: a listener whose backlog is full answers no SYN, so the next one serves."""
    more, headers = said(by, "connect", 0.2)
    with (
        deaf_port() as port,
        Upstream(good) as beta,
        serving(folder, toml(f"http://127.0.0.1:{port}/v1", beta, more=more)) as (url, sink),
        connect(url) as client,
    ):
        client.socket.settimeout(patience)
        client.post({**ASK, "stream": False}, headers=headers)
        status, fields = client.read_head()
        assert (status, fields["x-provider-name"]) == (200, "beta")
        assert fields["x-failed-attempts"] == "alpha: connect_deadline"
        record = row_of(sink)
    assert states(record) == ("success", [("alpha", "error"), ("beta", "success")])
    assert record.exchanges[0].error_kind == "timeout"


@pytest.mark.parametrize("by", BY)
def test_r11_connect_goes_on_to_the_next(by, tmp_path):
    connects(by, tmp_path)


@pytest.mark.parametrize("place", ["tcp", "tls"])
def test_r11_connect_names_itself(place, tmp_path):
    """No SYN is answered, or no TLS handshake (fault row 40)."""
    more, _ = said("provider", "connect", 0.2)
    with Upstream(lambda peer: None) as mute, deaf_port() as port:
        address = f"http://127.0.0.1:{port}/v1"
        if place == "tls":
            address = mute.url.replace("http:", "https:")
        with serving(tmp_path, toml(address, more=more)) as (url, sink):
            reply = post(url, ASK)
    assert reply.status == 504
    assert reply.document["error"]["metadata"]["provider_code"] == "connect_deadline"
    assert row_of(sink).generation.error_code == "connect_deadline"


# first event, idle, total


class Scene:
    """An upstream in the middle of its script; `asked` once it is in the state of the test."""

    def __init__(self, play):
        self._play = play
        self.asked, self.closed = threading.Event(), threading.Event()

    def __call__(self, peer):
        self._play(peer)
        self.asked.set()
        peer.wait_closed()
        self.closed.set()


def nothing(_peer):
    """Accepts, reads, says nothing."""


def comments(peer):
    peer.send(STREAM)
    peer.chunk(b": ping\n\n" * 3)


def three_tokens(peer):
    peer.send(STREAM)
    for text in ("one ", "two ", "three"):
        peer.chunk(delta(text))


FIRST = {"says nothing": nothing, "only comments": comments}
STREAMED = {"stream": True, "whole": False}


def passes(scene, by, clock, folder, patience, *, streamed=True, alone=False):
    """The check: the deadline of S seconds passes within 10 % of its time.

    What comes of it: (status, body, requests at the next candidate, ledger row).
    """
    more, headers = said(by, clock, S)
    held = HeldClock()
    with Upstream(scene) as alpha, Upstream(good) as beta:
        upstreams = (alpha,) if alone else (alpha, beta)
        with (
            serving(folder, toml(*upstreams, more=more), clock=held) as (url, sink),
            connect(url) as client,
        ):
            client.socket.settimeout(patience)
            client.post({**ASK, "stream": streamed}, headers=(*headers, ("Connection", "close")))
            assert scene.asked.wait(PATIENCE_S)
            if scene._play is three_tokens:
                client.read_until(b"three")
            held.pass_by(S * 0.9)
            assert (sink.recent(1), beta.requests, scene.closed.is_set()) == ((), [], False)
            held.pass_by(S * 0.2)
            rest = client.read_to_end()
            assert scene.closed.wait(patience)
            return rest, beta.requests, row_of(sink)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("how", FIRST)
def test_r11_first_event_goes_on_to_the_next(how, by, tmp_path):
    rest, asked, record = passes(Scene(FIRST[how]), by, "first", tmp_path, PATIENCE_S)
    assert b'"Hello"' in rest
    assert b'"error"' not in rest
    assert len(asked) == 1
    assert states(record) == ("success", [("alpha", "error"), ("beta", "success")])
    assert record.exchanges[0].error_kind == "timeout"


@pytest.mark.parametrize("streamed", STREAMED)
@pytest.mark.parametrize("clock", ["first", "total"])
def test_r11_before_any_output_a_deadline_names_itself(clock, streamed, tmp_path):
    rest, _, record = passes(
        Scene(nothing),
        "model",
        clock,
        tmp_path,
        PATIENCE_S,
        streamed=STREAMED[streamed],
        alone=True,
    )
    assert f'"provider_code":"{NAMED[clock]}"'.encode() in rest
    assert b'"code":504' in rest
    assert record.generation.error_code == NAMED[clock]
    assert record.generation.state == "error"


@pytest.mark.parametrize("by", BY)
def test_r11_idle_ends_the_stream_and_nothing_else_is_tried(by, tmp_path):
    rest, asked, record = passes(Scene(three_tokens), by, "idle", tmp_path, PATIENCE_S)
    _, error = events_of(rest)
    assert error["metadata"]["provider_code"] == "idle_deadline"
    assert b"[DONE]" not in rest
    assert asked == []
    assert states(record) == ("truncated", [("alpha", "truncated")])
    assert record.generation.error_code == "idle_deadline"


class Trickle:
    """One event for each `go`, for ever (until the test is over)."""

    def __init__(self):
        self.go = threading.Semaphore(0)
        self.over = False
        self.sent = 0

    def __call__(self, peer):
        peer.send(STREAM)
        while self.go.acquire(timeout=PATIENCE_S) and not self.over:
            peer.chunk(delta(f"<{self.sent}>"))
            self.sent += 1

    @contextmanager
    def ending(self):
        """When the block is left, the script ends."""
        try:
            yield
        finally:
            self.over = True
            self.go.release()


def trickle(by, folder, seconds, every, patience=PATIENCE_S):
    """The check: events come every so often for `seconds`: (the client's bytes after, row)."""
    more, headers = said(by, "total", S) if by else ("[deadlines]\nidle = 30\n", ())
    script, held = Trickle(), HeldClock()
    with (
        Upstream(script) as alpha,
        Upstream(good) as beta,
        serving(folder, toml(alpha, beta, more=more), clock=held) as (url, sink),
    ):
        with script.ending(), connect(url) as client:
            client.socket.settimeout(patience)
            client.post(ASK, headers=headers)
            for number in range(int(seconds / every)):
                script.go.release()
                client.read_until(f"<{number}>".encode())
                assert sink.recent(1) == ()
                held.pass_by(every)
            rest = client.read_until(b"0\r\n\r\n") if by else b""
        assert beta.requests == []
        return rest, row_of(sink)


@pytest.mark.parametrize("by", BY)
def test_r11_total_ends_a_stream_that_trickles_for_ever(by, tmp_path):
    """Every event feeds the idle deadline; this one they do not."""
    rest, record = trickle(by, tmp_path, S, 5.0)
    _, error = events_of(rest)
    assert error["metadata"]["provider_code"] == "total_deadline"
    assert states(record) == ("truncated", [("alpha", "truncated")])


def test_r11_a_healthy_stream_of_ten_minutes_is_not_killed(tmp_path):
    _, record = trickle("", tmp_path, 600.0, 24.0)
    assert record.generation.state == "cancelled"  # by the client, after ten minutes
    assert record.generation.generation_ms == 600_000


def used_up(folder):
    """The check: the request's own total counts over all attempts, so nobody is asked after it."""
    held, scene = HeldClock(), Scene(nothing)
    with Upstream(scene) as alpha, Upstream(good) as beta:
        with (
            serving(folder, toml(alpha, beta, more=said("request", "total", S)[0]), clock=held) as (
                url,
                sink,
            ),
            connect(url) as client,
        ):
            client.post(ASK, headers=(("X-Arno-Deadlines", f"total={S:g}"),))
            assert scene.asked.wait(PATIENCE_S)
            held.pass_by(S * 1.1)
            rest = client.read_until(b"0\r\n\r\n")
            record = row_of(sink)
        assert b'"provider_code":"total_deadline"' in rest
        assert beta.requests == []
        assert states(record) == ("error", [("alpha", "error")])


def test_r11_nobody_is_asked_after_the_requests_own_total(tmp_path):
    used_up(tmp_path)


def test_r11_a_providers_total_is_of_one_attempt(tmp_path):
    """The control beside it: the operator's total leaves time for the next candidate."""
    rest, asked, record = passes(Scene(nothing), "provider", "total", tmp_path, PATIENCE_S)
    assert (b'"Hello"' in rest, len(asked)) == (True, 1)
    assert states(record)[0] == "success"


def test_r11_a_request_shortens_and_never_lengthens(tmp_path):
    held, scene = HeldClock(), Scene(nothing)
    more = f"[deadlines]\nfirst = {S}\n"
    with (
        Upstream(scene) as alpha,
        serving(tmp_path, toml(alpha, more=more), clock=held) as (url, _),
        connect(url) as client,
    ):
        client.post(ASK, headers=(("X-Arno-Deadlines", "first=600, total=900"),))
        assert scene.asked.wait(PATIENCE_S)
        held.pass_by(S * 1.1)
        assert b'"first_event_deadline"' in client.read_until(b"0\r\n\r\n")


# mutants


class NeverFires(driver.Watch):
    """Has no clock."""

    def _arm(self):
        pass


class BytesCount(driver.Watch):
    """Takes every read for an event."""

    def end(self, *, alive):
        super().end(alive=True)


class IsNeverFed(driver.Watch):
    """Counts from the beginning whatever comes."""

    def begin(self, task):
        super().begin(task)
        self._last = self._start


class ForgetsTotal(driver.Watch):
    """Is fed by events alone."""

    def __init__(self, clock, deadlines):
        super().__init__(clock, driver.Deadlines(first=deadlines.first, idle=deadlines.idle))


def nameless(name):
    return driver.failure_of(driver.TransportError(driver.ErrorKind.TIMEOUT, name))


def first_of(how, by="provider"):
    """`test_r11_first_event_goes_on_to_the_next` with little patience."""

    def check(folder):
        rest, asked, _ = passes(Scene(FIRST[how]), by, "first", folder, HURRIED_S)
        assert (b'"Hello"' in rest, len(asked)) == (True, 1)

    return check


async def takes_its_time(self, seconds=None, inner=HostPool.open):
    """Knows no deadline but the pool's own."""
    return await inner(self)


MUTANTS = {
    "connects as long as it takes": (
        "arno.transport.host_pool.HostPool.open",
        takes_its_time,
        lambda folder: connects("model", folder, HURRIED_S),
    ),
    "no clock": ("arno.exchange.driver.Watch", NeverFires, first_of("says nothing")),
    "bytes are events": ("arno.exchange.driver.Watch", BytesCount, first_of("only comments")),
    "pings are output": (
        "arno.engine.plan.Exchange",
        TakesPingsForOutput,
        first_of("only comments"),
    ),
    "no event feeds it": (
        "arno.exchange.driver.Watch",
        IsNeverFed,
        lambda folder: trickle("", folder, 600.0, 24.0, HURRIED_S),
    ),
    "no total": (
        "arno.exchange.driver.Watch",
        ForgetsTotal,
        lambda folder: trickle("model", folder, S, 5.0, HURRIED_S),
    ),
    "no names": (
        "arno.exchange.driver._deadline_failure",
        nameless,
        lambda folder: test_r11_before_any_output_a_deadline_names_itself("first", "whole", folder),
    ),
    "ignores requests": (
        "arno.engine.engine.tightened",
        lambda deadlines, asked, spent: deadlines,
        first_of("says nothing", "request"),
    ),
    "one value for all models": (
        "arno.engine.deadlines.DeadlineTable.of",
        lambda self, candidate: driver.Deadlines(),
        first_of("says nothing", "model"),
    ),
    "goes on after the request's total": (
        "arno.engine.engine.Generation._is_over",
        lambda self: False,
        used_up,
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_r11_a_mutant_is_found_out(mutant, tmp_path, monkeypatch):
    target, changed, check = MUTANTS[mutant]
    monkeypatch.setattr(target, changed)
    with pytest.raises((AssertionError, TimeoutError, KeyError)):
        check(tmp_path)
