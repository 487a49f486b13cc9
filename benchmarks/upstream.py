"""A scripted upstream: `python -m benchmarks.upstream`; its URL is the first line it prints.

The last part of a request's model names the script. Buffers are made at the start, so that it
limits little. `GET /counts` tells what it has done, which is the work that CPU time is divided by.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import httptools
import msgspec
import uvloop

from arno.wire import json
from benchmarks import traffic

PAUSE_S = 0.005
"""Between two events of a paced stream."""

PACED_EVENTS = 300
STAMPED_EVENTS = 20

_MODEL = re.compile(rb'"model": ?"[^"]*?([a-z]+)"')
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: "
_STREAM_HEAD = _HEAD + b"text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_LAST = b"0\r\n\r\n"


@runtime_checkable
class Line(Protocol):
    """What we need of a transport (uvloop's are not asyncio's by class)."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...


class Counts(msgspec.Struct):
    """What was done so far. streams: those written to their end; connections: those that asked."""

    connections: int = 0
    requests: int = 0
    streams: int = 0
    events: int = 0


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A streamed answer, one write for each of `writes`.

    events: in all of them; pause_s: between writes, 0 for the next turn of the loop; stamped:
    events that say their time come before; ends: False for a stream that stays open.
    """

    writes: tuple[bytes, ...]
    events: int
    pause_s: float = 0.0
    stamped: int = 0
    ends: bool = True


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _script(frames: tuple[bytes, ...], pause_s: float = 0.0, stamped: int = 0) -> Script:
    writes = tuple(map(_framed, frames))
    return Script(writes=writes, events=len(frames), pause_s=pause_s, stamped=stamped)


def scripts() -> dict[str, Script]:
    """The streams by name. burst: event by event; joined: all in one write; held: never ends."""
    frames = traffic.stream()
    held = tuple(map(_framed, frames[:2]))
    return {
        "burst": _script(frames),
        "joined": Script(writes=(_framed(b"".join(frames)),), events=len(frames)),
        "paced": _script(traffic.long_stream(PACED_EVENTS), PAUSE_S),
        "stamped": _script(traffic.long_stream(4)[-3:], PAUSE_S, STAMPED_EVENTS),
        "held": Script(writes=held, events=len(held), ends=False),
    }


def _answer(body: bytes) -> bytes:
    return _HEAD + b"application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self, scripts: dict[str, Script], whole: bytes, counts: Counts) -> None:
        self._scripts = scripts
        self._whole = whole
        self._counts = counts
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._transport: Line | None = None
        self._pieces: list[bytes] = []
        self._timer: asyncio.Handle | None = None
        self._asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        assert isinstance(transport, Line)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side left, perhaps in the middle of a stream."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        """A piece of a request's body."""
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        """A request is here: the script begins."""
        body = b"".join(self._pieces)
        self._pieces.clear()
        if not body:
            self._write(_answer(json.dumps(msgspec.to_builtins(self._counts))))
            return
        self._counts.requests += 1
        self._counts.connections += not self._asked
        self._asked = True
        found = _MODEL.search(body)
        script = self._scripts.get(found[1].decode()) if found else None
        if script is None:
            self._write(self._whole)
        else:
            _Play(self, script, self._counts).start()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def write(self, data: bytes) -> None:
        """Write at once, as one segment where the socket has room."""
        self._write(data)

    def soon(self, at: float, callback: Callable[[], None]) -> None:
        """Call when the loop's clock says `at`, 0 for the next turn; unless the other side left."""
        if self._transport is None:
            return
        self._timer = self._loop.call_at(at, callback) if at else self._loop.call_soon(callback)


class _Play:
    """One stream on its way; its writes keep their own times, so that delays do not add up."""

    def __init__(self, line: Upstream, script: Script, counts: Counts) -> None:
        self._line = line
        self._script = script
        self._counts = counts
        self._done = 0
        self._total = len(script.writes) + script.stamped
        self._began = asyncio.get_running_loop().time()

    def start(self) -> None:
        """The head, and at once the first event."""
        self._line.write(_STREAM_HEAD)
        self._next()

    def _next(self) -> None:
        script = self._script
        self._done += 1
        if self._done <= script.stamped:
            data = _framed(traffic.stamped(time.monotonic_ns()))
        else:
            data = script.writes[self._done - script.stamped - 1]
        if self._done < self._total:
            self._line.write(data)
            self._counts.events += 1
            at = self._began + self._done * script.pause_s if script.pause_s else 0.0
            self._line.soon(at, self._next)
        elif script.ends:
            self._line.write(data + _LAST)
            self._counts.streams += 1
            # One write of a joined script holds all of its events.
            self._counts.events += 1 if self._total > 1 else script.events
        else:
            self._line.write(data)


async def serve() -> None:
    """Serve until the process is ended."""
    counts, table = Counts(), scripts()
    whole = _answer(traffic.whole())
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Upstream(table, whole, counts), "127.0.0.1", 0, backlog=2048
    )
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
