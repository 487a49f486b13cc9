"""A gateway to be killed: `python -m tests.faults.kill_server CASSETTE DATA [--mutant]`.

The product's own assembly and server. The mutant is what somebody might write to save time: it
hands records to the journal shortly after the answer's last bytes have gone out.
"""

import asyncio
import sys
import time
from pathlib import Path

from arno.cli.serve import assemble, open_ledger
from arno.gateway import server
from arno.gateway.config.load import Option, load
from arno.gateway.config.resolve import resolve
from arno.gateway.log import RequestLog
from arno.providers import load_catalogue

GROUP_SECONDS = 0.02


class Nowhere:
    """The log is not what is tested here."""

    def write(self, text):
        pass

    def flush(self):
        pass


class LateSink:
    """The mutant: acknowledges first, journals a little later."""

    def __init__(self, sink):
        self._sink = sink

    def append(self, record):
        asyncio.get_running_loop().call_later(GROUP_SECONDS, self._sink.append, record)

    def __getattr__(self, name):
        return getattr(self._sink, name)


def main():
    cassette, data = sys.argv[1:3]
    sink = open_ledger(Path(data))
    recording = Option(("replay", "cassettes"), "--cassette", [cassette])
    config = resolve(load(None, (recording,)), {}, load_catalogue(), created=0)
    log = RequestLog(Nowhere())
    app, _ = assemble(config, LateSink(sink) if "--mutant" in sys.argv else sink, log)
    server.run(app, config.settings, inflight=app.gateway.inflight, log=log, wall_ns=time.time_ns)


if __name__ == "__main__":
    main()
