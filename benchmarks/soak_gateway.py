"""The gateway of the soak: `python -m benchmarks.soak_gateway UPSTREAM DATA`; it prints its URL.

As in the benchmarks, with deadlines short enough to be met in a soak. SIGUSR2 makes it print one
line of JSON, a `State`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec

from arno.engine import Engine, EngineSettings
from arno.engine.call import Call, Downstream, Outcome
from arno.engine.prices import price_table
from arno.exchange.driver import Deadlines
from arno.gateway import server
from arno.gateway.app import GatewayApp, create_app
from arno.gateway.asgi import Receive, Scope, Send
from arno.gateway.keys import KeyRing
from arno.gateway.log import RequestLog
from arno.gateway.settings import GatewaySettings
from arno.store.sink import StoreSink
from arno.transport.live import LiveLimits, LivePool
from benchmarks.gateway import CONNECTIONS, catalogue
from benchmarks.scripts import soak_scripts
from benchmarks.traffic import KEY

DEADLINES = Deadlines(first=3.0, idle=2.0, total=25.0)


class State(msgspec.Struct, frozen=True):
    """tasks: of the loop; inflight: generations under way; begun: generations so far; appended:
    ledger records so far; failures: tries of the ledger's writer that failed."""

    tasks: int
    inflight: int
    begun: int
    appended: int
    failures: int


class CountingEngine(Engine):
    """An engine that counts the generations that it begins."""

    begun = 0

    async def serve(self, call: Call, down: Downstream) -> Outcome:
        """See `Engine.serve`."""
        self.begun += 1
        return await super().serve(call, down)


class Watched:
    """An ASGI application that tells its state when SIGUSR2 comes."""

    def __init__(self, app: GatewayApp, engine: CountingEngine, sink: StoreSink) -> None:
        self._app = app
        self._engine = engine
        self._sink = sink

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, self._tell)
        await self._app(scope, receive, send)

    def _tell(self) -> None:
        counters = self._sink.counters
        state = State(
            tasks=len(asyncio.all_tasks()),
            inflight=len(self._app.gateway.inflight),
            begun=self._engine.begun,
            appended=counters.appended,
            failures=counters.failures,
        )
        print(msgspec.json.encode(state).decode(), flush=True)


def main(upstream: str, data: str) -> int:
    """Serve until a signal. Returns the exit code of the process."""
    rows = catalogue(upstream, soak_scripts())
    pool = LivePool(LiveLimits(max_connections_per_host=CONNECTIONS, max_idle_per_host=64))
    folder, settings = Path(data), GatewaySettings()
    with (
        StoreSink(folder / "ledger.db", folder / "journal") as sink,
        open(os.devnull, "w", encoding="utf-8") as sheet,
    ):
        log = RequestLog(sheet)
        engine = CountingEngine(
            catalogue=rows,
            prices=price_table(rows),
            transports={"live": pool},
            sink=sink,
            settings=EngineSettings(deadlines=DEADLINES),
        )
        keys = KeyRing([("bench", KEY)])
        app = create_app(settings, engine, rows, sink, keys=keys, log=log, closers=[pool.aclose])
        return server.run(
            Watched(app, engine, sink),
            settings,
            inflight=app.gateway.inflight,
            log=log,
            wall_ns=app.gateway.clock.wall_ns,
        )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
