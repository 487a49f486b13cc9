"""The scripted upstream in Python, where `upstream.c` cannot be used: no C compiler, no epoll.

`python -m benchmarks.upstream`; its URL is the first line it prints. `--tls CERTIFICATE KEY` serves
the same scripts over TLS too, and its second line is that URL. `GET /counts` tells what was done.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import httptools
import msgspec
import uvloop

from arno.wire import json
from benchmarks.scripts import End, Script, Write, scripts, soak_scripts, stamped

_MODEL = re.compile(rb'"model": ?"[^"]*?([a-z0-9]+)"')
_RESET = struct.pack("ii", 1, 0)


@runtime_checkable
class Line(Protocol):
    """What we need of a transport (uvloop's are not asyncio's by class)."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def close(self) -> None:
        """Send what is left, then close."""
        ...

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Facts about the connection."""
        ...


@runtime_checkable
class Bare(Protocol):
    """What we need of a socket (uvloop's are not sockets by class)."""

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Set an option."""
        ...


class Counts(msgspec.Struct):
    """What was done so far, and what is now.

    streams: those written to a good end; connections: those that asked; active: answers on their
    way; open: connections now.
    """

    connections: int = 0
    requests: int = 0
    streams: int = 0
    events: int = 0
    active: int = 0
    open: int = 0


def _told(counts: Counts) -> bytes:
    body = json.dumps(msgspec.to_builtins(counts))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self, table: dict[str, Script], counts: Counts) -> None:
        self._table = table
        self._counts = counts
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._transport: Line | None = None
        self._pieces: list[bytes] = []
        self._timer: asyncio.Handle | None = None
        self._asked = False
        self._play: Play | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        assert isinstance(transport, Line)
        self._transport = transport
        self._counts.open += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side left, perhaps in the middle of a stream."""
        self._transport = None
        self._counts.open -= 1
        if self._timer is not None:
            self._timer.cancel()
        if self._play is not None:
            self.over()

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
            self.write(_told(self._counts))
            return
        self._counts.requests += 1
        self._counts.active += 1
        self._counts.connections += not self._asked
        self._asked = True
        found = _MODEL.search(body)
        name = found[1].decode() if found else ""
        first = next(iter(self._table.values()))
        self._play = Play(self, self._table.get(name, first), self._counts)
        self._play.start()

    def write(self, data: bytes) -> None:
        """Write at once, as one segment where the socket has room."""
        if self._transport is not None:
            self._transport.write(data)

    def soon(self, at: float, callback: Callable[[], None]) -> None:
        """Call when the loop's clock says `at`, 0 for the next turn; unless the other side left."""
        if self._transport is None:
            return
        self._timer = self._loop.call_at(at, callback) if at else self._loop.call_soon(callback)

    def over(self) -> None:
        """The answer is at its end."""
        self._play = None
        self._counts.active -= 1

    def leave(self, *, reset: bool) -> None:
        """Close the connection."""
        if self._transport is None:
            return
        bare = self._transport.get_extra_info("socket")
        if reset and isinstance(bare, Bare):
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.close()


class Play:
    """One answer on its way; its writes keep their own times, so that delays do not add up."""

    def __init__(self, line: Upstream, script: Script, counts: Counts) -> None:
        self._line = line
        self._script = script
        self._counts = counts
        self._done = 0
        self._total = len(script.writes) + script.stamped
        self._began = 0.0

    def start(self) -> None:
        """Now, or after the script's delay."""
        self._began = asyncio.get_running_loop().time() + self._script.delay_s
        if self._script.delay_s:
            self._line.soon(self._began, self._head)
        else:
            self._head()

    def _head(self) -> None:
        self._line.write(self._script.head)
        self._next()

    def _next(self) -> None:
        script = self._script
        if self._done < self._total:
            write = self._write()
            self._done += 1
            self._counts.events += write.events
            self._line.write(write.data)
        if self._done >= self._total:
            self._end()
            return
        at = self._began + self._done * script.pause_s if script.pause_s else 0.0
        self._line.soon(at, self._next)

    def _write(self) -> Write:
        if self._done < self._script.stamped:
            return Write(stamped(time.monotonic_ns()))
        return self._script.writes[self._done - self._script.stamped]

    def _end(self) -> None:
        script = self._script
        if script.end is End.STAYS_OPEN:
            return
        self._line.over()
        self._counts.streams += script.streamed and script.end is End.KEEPS
        if script.end is not End.KEEPS:
            self._line.leave(reset=script.end is End.RESETS)


async def serve(table: dict[str, Script], certificate: Sequence[str] | None) -> None:
    """Serve until the process is ended. certificate: its file and that of its key."""
    counts = Counts()
    loop = asyncio.get_running_loop()
    contexts: list[ssl.SSLContext | None] = [None]
    if certificate is not None:
        listening = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        listening.load_cert_chain(*certificate)
        contexts.append(listening)
    for context in contexts:
        server = await loop.create_server(
            lambda: Upstream(table, counts), "127.0.0.1", 0, backlog=2048, ssl=context
        )
        port = server.sockets[0].getsockname()[1]
        print(f"{'http' if context is None else 'https'}://127.0.0.1:{port}", flush=True)
    await loop.create_future()


def main(arguments: Sequence[str]) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="benchmarks.upstream")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--soak", action="store_true", help="the scripts of the soak, too")
    options = parser.parse_args(arguments)
    uvloop.run(serve(soak_scripts() if options.soak else scripts(), options.tls))


if __name__ == "__main__":
    main(sys.argv[1:])
