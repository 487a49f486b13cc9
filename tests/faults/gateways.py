"""The product as `arno serve` puts it together, by an arno.toml, before scripted upstreams.

    clock = HeldClock()
    with Upstream(script) as alpha, serving(folder, toml(alpha), clock=clock) as (url, sink):
        ...                      # a real server, real sockets on both sides, the live transport
        clock.pass_by(10)        # the gateway's time moves now, and at no other moment

`toml` names the upstreams alpha, beta, gamma: the candidates of the model `a/b`, in this order.
"""

import asyncio
import io
import threading
import time
from contextlib import contextmanager

from arno.cli.serve import assemble
from arno.gateway.log import RequestLog
from arno.store.memory import MemorySink
from tests.engine.harness import ManualClock, settle_loop
from tests.gateway.config.building import configured
from tests.gateway.harness import PATIENCE_S, running_gateway

NAMES = ("alpha", "beta", "gamma")
NOWHERE = "http://127.0.0.1:9/v1"


def toml(*upstreams, more=""):
    """A configuration of upstreams (or URLs); more: tables after these."""
    urls = [getattr(upstream, "url", upstream) for upstream in upstreams]
    rows = list(zip(NAMES, urls, strict=False))
    providers = "".join(f'[provider.{name}]\nbase_url = "{url}"\n' for name, url in rows)
    candidates = ", ".join(f'"{name}/b-upstream"' for name, _ in rows)
    model = f'[model."a/b"]\ncandidates = [{candidates}]\n'
    price = '[[price]]\nprovider = "alpha"\nmodel = "a/b"\ninput = "1"\noutput = "2"\n'
    return f"{providers}{model}{price}[replay]\ncassettes = []\n{more}"


class HeldClock(ManualClock):
    """The gateway's clock, held by a test that runs in another thread."""

    def __init__(self):
        super().__init__()
        self._loop = None
        self._armed = threading.Condition()
        self._delays = []

    def call_later(self, delay, callback):
        self._loop = asyncio.get_running_loop()
        with self._armed:
            self._delays.append(delay)
            self._armed.notify_all()
        return super().call_later(delay, callback)

    def pass_by(self, seconds):
        """Let time pass in the gateway, which has done before all that it can without it."""
        asyncio.run_coroutine_threadsafe(self._pass_by(seconds), self._loop).result(PATIENCE_S)

    async def _pass_by(self, seconds):
        await settle_loop()
        await self.advance(seconds)

    def wait_armed(self, least, most):
        """Block until a timer of so many seconds was set."""
        with self._armed:
            assert self._armed.wait_for(
                lambda: any(least <= delay <= most for delay in self._delays), PATIENCE_S
            ), self._delays


def assembled(folder, text, *, environ=None, lines=None):
    """(application, configuration, ledger) of a gateway by this configuration."""
    config = configured(folder, text, environ)
    sink = MemorySink()
    app, _ = assemble(config, sink, RequestLog(lines if lines is not None else io.StringIO()))
    return app, config, sink


@contextmanager
def serving(folder, text, *, clock=None, pool=None, environ=None, lines=None):
    """(URL, ledger) of a gateway by this configuration; pool: instead of the live transport."""
    app, config, sink = assembled(folder, text, environ=environ, lines=lines)
    engine = app.gateway.engine
    if clock is not None:
        engine.clock = clock
    if pool is not None:
        engine.transports = {**engine.transports, "live": pool}
    with running_gateway(app, config.settings) as url:
        yield url, sink


def rows_of(sink, count=1):
    """The newest `count` records, oldest first, once they are there."""
    deadline = time.monotonic() + PATIENCE_S
    while len(sink.recent(count)) < count:
        assert time.monotonic() < deadline, "the ledger has no such row"
        time.sleep(0.002)
    return list(reversed(sink.recent(count)))


def row_of(sink):
    """The newest record, once there is one."""
    [record] = rows_of(sink)
    return record


def row_of_reply(sink, reply):
    """The record of the request that was answered with `reply`, once it is there.

    Requests that follow each other closely may be of the same millisecond.
    """
    name, deadline = reply.headers["x-generation-id"], time.monotonic() + PATIENCE_S
    while not (found := [row for row in sink.recent(8) if row.generation.id == name]):
        assert time.monotonic() < deadline, "the ledger has no such row"
        time.sleep(0.002)
    return found[0]


def states(record):
    """(state of the generation, [(endpoint, state) of each attempt])."""
    attempts = [(exchange.endpoint, exchange.state) for exchange in record.exchanges]
    return record.generation.state, attempts
