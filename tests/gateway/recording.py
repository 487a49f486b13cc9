"""A recording server on a real socket, before a scripted upstream.

with recording(tmp_path, [Script.sse(*EVENTS)]) as tape:
    reply = post(tape.url, {...})
[item] = tape.interactions              # what stands in the file after the server has ended
"""

import io
from contextlib import contextmanager, suppress

import msgspec

from arno.cassette.govcr import load
from arno.gateway.clock import Clock
from arno.gateway.log import RequestLog
from arno.gateway.record import RecordApp, Route
from arno.gateway.settings import GatewaySettings
from arno.transport.live import LivePool
from arno.transport.record import RecordTransport
from arno.transport.recorder import Recorder, RecordingIncomplete
from tests.gateway.wire import running_replay
from tests.transport.upstream import ThreadedUpstream


class Tape(msgspec.Struct):
    """A running server. upstream: who answers; app, recorder: the product's; lines: the log."""

    url: str
    upstream: ThreadedUpstream
    app: RecordApp
    recorder: Recorder
    lines: io.StringIO

    @property
    def file(self):
        """The file's bytes."""
        return self.recorder.path.read_bytes()

    @property
    def interactions(self):
        """What the file holds."""
        return load(self.file).interactions


@contextmanager
def recording(folder, answers, *, wrap=lambda inner: inner, routes=None, **more):
    """A server whose one route leads to the upstream, unless `routes(url)` says others.

    wrap: puts something around the recording transport. Leaving the block ends the server.
    """
    with ThreadedUpstream(answers) as upstream:
        recorder = Recorder(folder / "new.yaml", timing=True)
        transport = RecordTransport(
            Later(lambda: LivePool(decode=False)),
            recorder,
            on_problem=recorder.refuse,
            background=True,
        )
        lines = io.StringIO()
        app = RecordApp(
            wrap(transport),
            routes(upstream.url) if routes else [Route("", upstream.url)],
            GatewaySettings(),
            RequestLog(lines),
            Clock(),
            **more,
        )
        with running_replay(app) as (url, _server):
            yield Tape(url, upstream, app, recorder, lines)
        with suppress(RecordingIncomplete):
            recorder.close()


class Later:
    """A transport that is made when it is first needed, on the loop that needs it."""

    def __init__(self, make):
        self._make = make
        self._made = None

    async def send(self, request):
        self._made = self._made or self._make()
        return await self._made.send(request)

    async def aclose(self):
        if self._made is not None:
            await self._made.aclose()
