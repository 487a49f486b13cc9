"""R10, fault row 25: a client that leaves, in four phases, through the real server.

By order: the upstream sees its connection closed, nothing else is asked, the ledger says so, and
the one slot to this host serves the next call. The time that took is printed, not asserted.
"""

import asyncio
import threading
import time
from contextlib import suppress

import pytest

from arno.exchange.clock import pause
from tests.engine.test_mutants import ForgetsToAbort
from tests.faults.gateways import HeldClock, row_of, rows_of, serving, states, toml
from tests.gateway.harness import PATIENCE_S, connect, post
from tests.gateway.test_live import ASK, WHOLE, delta
from tests.gateway.upstream import STREAM, Upstream

ONE_SLOT = "[limits]\nconnections = 1\nwaiting_time = 0.5\n"
AGAIN = "[retry]\nrounds = 3\nbackoff = 20\n"
BACKOFF = (10.0, 20.0)
"""The pause before the first further round: half of it is chance."""

HURRIED_S = 0.5

PHASES = {
    "after the third event": True,
    "before the first byte": True,
    "during a whole answer": False,
}
"""Each phase with an upstream under way, and whether a stream was asked for."""


class Watched:
    """An upstream that answers the first call up to the phase, then waits to be closed; every
    later call is served.
    """

    def __init__(self, phase, patience):
        self.phase, self.patience = phase, patience
        self.asked, self.closed = threading.Event(), threading.Event()
        self.closed_at = 0.0

    def __call__(self, peer):
        if self.asked.is_set():
            peer.answer(200, WHOLE)
            return
        if self.phase == "after the third event":
            peer.send(STREAM)
            for number in range(3):
                peer.chunk(delta(f"<{number}>"))
        self.asked.set()
        peer.socket.settimeout(self.patience)
        try:
            peer.wait_closed()
        except TimeoutError:
            return
        self.closed_at = time.monotonic()
        self.closed.set()


def leave(phase, how, folder, patience=PATIENCE_S):
    """The check: a client leaves in a phase, by FIN or RST; the upstream's delay."""
    watched = Watched(phase, patience)
    with (
        Upstream(watched) as alpha,
        Upstream(lambda peer: peer.answer(200, WHOLE)) as beta,
        serving(folder, toml(alpha, beta, more=ONE_SLOT)) as (url, sink),
    ):
        with connect(url) as client:
            client.post({**ASK, "stream": PHASES[phase]})
            assert watched.asked.wait(PATIENCE_S)
            if phase == "after the third event":
                client.read_until(b"<2>")
            left_at = time.monotonic()
            getattr(client, how)()
        assert watched.closed.wait(patience), "the upstream was not closed"
        record = row_of(sink)
        assert states(record) == ("cancelled", [("alpha", "cancelled")])
        assert (record.generation.cost_nano, record.generation.output_tokens) == (None, None)
        assert (len(alpha.requests), beta.requests) == (1, [])
        assert post(url, {**ASK, "stream": False}).headers["x-provider-name"] == "alpha"
        assert len(rows_of(sink, 2)) == 2
    return watched.closed_at - left_at


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("phase", PHASES)
def test_r10_a_client_that_leaves_closes_its_upstream(phase, how, tmp_path):
    print(f"upstream closed after {leave(phase, how, tmp_path) * 1000:.1f} ms ({phase}, {how})")


def leave_in_backoff(streamed, folder):
    """The check: while all candidates have failed and the gateway waits to try them again."""
    clock, fallen = HeldClock(), threading.Event()

    def script(peer):
        body = WHOLE if fallen.is_set() else b'{"error":{"message":"overloaded"}}'
        peer.answer(200 if fallen.is_set() else 503, body)

    with (
        Upstream(script) as alpha,
        serving(folder, toml(alpha, more=ONE_SLOT + AGAIN), clock=clock) as (url, sink),
    ):
        with connect(url) as client:
            client.post({**ASK, "stream": streamed})
            clock.wait_armed(*BACKOFF)
            assert len(alpha.requests) == 1
            fallen.set()
            left_at = time.monotonic()
        record = row_of(sink)
        settled_at = time.monotonic()
        clock.pass_by(1000.0)
        assert states(record) == ("cancelled", [("alpha", "error")])
        assert (record.generation.http_status, record.generation.attempts) == (499, 1)
        assert len(alpha.requests) == 1
        assert post(url, {**ASK, "stream": False}).status == 200
        assert len(alpha.requests) == 2
        assert len(rows_of(sink, 2)) == 2
    return settled_at - left_at


@pytest.mark.parametrize("streamed", [True, False])
def test_r10_a_client_that_leaves_during_a_backoff_is_not_served_any_more(streamed, tmp_path):
    print(f"settled after {leave_in_backoff(streamed, tmp_path) * 1000:.1f} ms (back-off)")


def test_r10_a_client_that_stays_is_served_after_the_backoff(tmp_path):
    """The control: the same pause, and the second round succeeds."""
    clock, asked = HeldClock(), []

    def script(peer):
        asked.append(peer)
        peer.answer(503 if len(asked) == 1 else 200, WHOLE if len(asked) > 1 else b"{}")

    with (
        Upstream(script) as alpha,
        serving(tmp_path, toml(alpha, more=ONE_SLOT + AGAIN), clock=clock) as (url, sink),
        connect(url) as client,
    ):
        client.post({**ASK, "stream": False})
        clock.wait_armed(*BACKOFF)
        clock.pass_by(BACKOFF[0] - 0.1)
        assert len(asked) == 1
        clock.pass_by(BACKOFF[1] - BACKOFF[0] + 0.2)
        assert client.read_head()[0] == 200
        assert states(row_of(sink)) == ("success", [("alpha", "error"), ("alpha", "success")])


async def deaf_pause(clock, seconds):
    """A pause that takes being cancelled for its end."""
    with suppress(asyncio.CancelledError):
        await pause(clock, seconds)


MUTANTS = {
    "leaves the upstream talking": (
        "arno.exchange.driver.Attempt",
        ForgetsToAbort,
        lambda folder: leave("after the third event", "close", folder, HURRIED_S),
    ),
    "keeps the slot": (
        "arno.transport.host_pool.HostPool.connection_spent",
        lambda self: None,
        lambda folder: leave("after the third event", "close", folder),
    ),
    "keeps the slot of a call without a head": (
        "arno.transport.host_pool.HostPool.free",
        lambda self: None,
        lambda folder: leave("before the first byte", "close", folder),
    ),
    "goes on after the pause": (
        "arno.engine.engine.pause",
        deaf_pause,
        lambda folder: leave_in_backoff(False, folder),
    ),
    "calls it a failure": (
        "arno.engine.attempts.Book.cancel",
        lambda self, status: None,
        lambda folder: leave("before the first byte", "close", folder),
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_r10_a_mutant_is_found_out(mutant, tmp_path, monkeypatch):
    target, changed, check = MUTANTS[mutant]
    monkeypatch.setattr(target, changed)
    with pytest.raises((AssertionError, KeyError)):
        check(tmp_path)
