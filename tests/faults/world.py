"""One gateway before two upstreams that a test scripts anew for each request.

reply, record = world.ask(status(503, "busy"))       # alpha fails, beta serves
"""

from contextlib import contextmanager

from tests.faults.gateways import rows_of, serving, toml
from tests.gateway.harness import post
from tests.gateway.test_live import ASK, WHOLE, delta
from tests.gateway.upstream import STREAM, Upstream
from tests.transport.sockets import closed_port

TIMEOUT = {"X-Arno-Deadlines": "first=0.2"}
"""Of the row that stalls: real time, because what is tested is what comes of it."""


def good(peer):
    """Serves."""
    if b"event-stream" in peer.head:
        peer.send(STREAM)
        peer.chunk(delta("Hello") + delta("", "stop") + b"data: [DONE]\n\n")
        peer.end()
    else:
        peer.answer(200, WHOLE)


def stall(peer):
    """Says nothing."""
    peer.wait_closed()


class World:
    """One gateway, the upstreams behind it, and its ledger."""

    def __init__(self, url, sink, alpha, beta):
        self.url, self.sink, self.alpha, self.beta = url, sink, alpha, beta

    def ask(self, script, streamed=True, model="a/b"):
        """One request while alpha behaves as `script` says: (reply, its ledger row)."""
        self.alpha.script = script
        self.alpha.requests.clear()
        self.beta.requests.clear()
        headers = TIMEOUT if script is stall else {}
        reply = post(self.url, {**ASK, "model": model, "stream": streamed}, headers)
        name = reply.headers["x-generation-id"]
        rows = rows_of(self.sink, len(self.sink.recent(10_000)))
        [record] = [row for row in rows if row.generation.id == name]
        return reply, record


@contextmanager
def running_world(folder):
    """A world; the models `a/refused` and `a/all-refused` begin where nobody listens."""
    nobody = f'base_url = "http://127.0.0.1:{closed_port()}/v1"\n'
    refused = f"[provider.gamma]\n{nobody}[provider.epsilon]\n{nobody}"
    refused += '[model."a/refused"]\ncandidates = ["gamma/x", "beta/x"]\n'
    refused += '[model."a/all-refused"]\ncandidates = ["gamma/x", "epsilon/x"]\n'
    with (
        Upstream(good) as alpha,
        Upstream(good) as beta,
        serving(folder, toml(alpha, beta, more=refused)) as (url, sink),
    ):
        yield World(url, sink, alpha, beta)
