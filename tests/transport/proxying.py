"""A proxy on 127.0.0.1 that opens tunnels to where the test says, and logs what it was asked.

For http origins no proxy of its own is needed: a `ScriptedUpstream` sees what a proxy would see.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

from tests.transport.upstream import SeenRequest, _parse_head


class ScriptedProxy:
    """An asynchronous context manager; `place` is `127.0.0.1:PORT`.

    `ports`: the local port for each `host:port` that may be asked for (502 for any other).
    `answer`: said to CONNECT instead of opening a tunnel; None for never answering. With
    `hang_up` the connection is closed after the answer. `ssl_context` makes it an https proxy.
    """

    OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"

    def __init__(
        self,
        ports: dict[str, int] | None = None,
        *,
        answer: bytes | None = OPEN,
        hang_up: bool = False,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._ports = ports or {}
        self._answer = answer
        self._hang_up = hang_up
        self._ssl_context = ssl_context
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task] = set()
        self.asked: list[SeenRequest] = []
        self.arrived = asyncio.Event()
        self.connections = 0
        self.closed = asyncio.Event()
        """Set when a client has closed its connection."""
        self.place = ""

    async def __aenter__(self) -> ScriptedProxy:
        self._server = await asyncio.start_server(
            self._accepted, "127.0.0.1", 0, ssl=self._ssl_context
        )
        self.place = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = _parse_head(await reader.readuntil(b"\r\n\r\n"), self.connections)
            self.asked.append(request)
            self.arrived.set()
            await self._tunnel(request, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.closed.set()
            writer.transport.abort()

    async def _tunnel(
        self, request: SeenRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        answer = self._answer
        if answer == self.OPEN and request.path not in self._ports:
            answer = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"
        if answer is not None:
            writer.write(answer)
        if answer is None or not answer.startswith(b"HTTP/1.1 2") or self._hang_up:
            if not self._hang_up:
                await reader.read()
            return
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", self._ports[request.path]
        )
        try:
            await _join((reader, far_writer), (far_reader, writer))
        finally:
            far_writer.transport.abort()


async def _join(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Copy both ways until one of them ends."""
    copies = [asyncio.ensure_future(_copy(*way)) for way in ways]
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
