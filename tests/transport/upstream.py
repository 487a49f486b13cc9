"""A scripted upstream on 127.0.0.1: says exactly what a test tells it, logs what it saw.

    gate = asyncio.Event()
    script = Script(body=[b"data: 1\\n\\n", gate, b"data: 2\\n\\n"])
    async with ScriptedUpstream([script]) as upstream:
        ...send a request to upstream.url, read event 1...
        gate.set()                                  # only now event 2 leaves
        await upstream.requests[0].closed.wait()    # the peer closed its connection

A `Script` answers one request. The upstream takes a list of them (one a request, in the order of
arrival; a request beyond the list gets status 599), or a function from `SeenRequest` to `Script`.
What the upstream saw is in `requests` (method, path, headers, body, bytes it could write, whether
the peer closed) and `connections` (how many were accepted).

Raw bytes go through `Script.raw`. `ThreadedUpstream` is the same in a thread of its own, for
tests that are not asynchronous.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from types import TracebackType

Step = bytes | asyncio.Event
"""One step of a body: bytes to write in one piece, or an event (a gate) to wait for."""


class Framing(Enum):
    """How the body is delimited."""

    CHUNKED = auto()
    LENGTH = auto()
    UNTIL_CLOSE = auto()
    RAW = auto()
    """The body steps are the whole answer, status line included; nothing is added."""


class End(Enum):
    """What happens after the last step."""

    KEEP = auto()
    """The body ends as announced; the connection waits for the next request."""
    CLOSE = auto()
    """The body ends as announced, then the connection is closed."""
    CUT = auto()
    """The connection is closed (FIN) without the announced end of the body."""
    RESET = auto()
    """The connection is reset (RST) without the announced end of the body."""


@dataclass
class Script:
    """One answer. `before` runs ahead of the status line (gates; raw bytes such as a 1xx)."""

    body: Sequence[Step] = ()
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    framing: Framing = Framing.CHUNKED
    end: End = End.KEEP
    before: Sequence[Step] = ()

    def __post_init__(self) -> None:
        if self.framing is Framing.UNTIL_CLOSE and self.end is End.KEEP:
            raise ValueError("a body until close needs an end that closes")

    @classmethod
    def raw(cls, *steps: Step, end: End = End.KEEP) -> Script:
        """An answer given as raw bytes and gates."""
        return cls(body=steps, framing=Framing.RAW, end=end)

    @classmethod
    def json(cls, document: bytes, status: int = 200, end: End = End.KEEP) -> Script:
        """A whole JSON answer with Content-Length."""
        headers = [("content-type", "application/json")]
        return cls([document], status, headers, framing=Framing.LENGTH, end=end)

    @classmethod
    def sse(cls, *steps: Step, end: End = End.KEEP) -> Script:
        """A chunked event stream; one step a chunk and a write."""
        return cls(steps, headers=[("content-type", "text/event-stream")], end=end)


@dataclass
class SeenRequest:
    """What the upstream saw of one request."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    connection: int
    """Which accepted connection carried it, from 1."""
    body: bytes = b""
    sent: int = 0
    """Bytes of the answer that the kernel has accepted."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the script has run to its end (or broke off because the peer closed)."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at once when the connection is over: the peer closed it, or the script's end did."""

    def header(self, name: str) -> str | None:
        """The first value of header `name` (lower case), or None."""
        return next((value for key, value in self.headers if key == name), None)


Handler = Callable[[SeenRequest], Script]


class ScriptedUpstream:
    """An asynchronous context manager; `url` is `http(s)://127.0.0.1:PORT`.

    `ssl_context`: a server context makes it TLS. `send_buffer`: bytes of kernel send buffer, for
    tests of back-pressure. `read_bodies=False`: it answers as soon as a request head is here (so
    a function sees no body) and reads the body after the answer.
    """

    def __init__(
        self,
        answers: Handler | Sequence[Script],
        ssl_context: ssl.SSLContext | None = None,
        send_buffer: int | None = None,
        read_bodies: bool = True,
    ) -> None:
        self._handler = answers if callable(answers) else _in_order(answers)
        self._ssl_context = ssl_context
        self._send_buffer = send_buffer
        self._read_bodies = read_bodies
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self.requests: list[SeenRequest] = []
        self.connections = 0
        self.open_connections = 0
        self.url = ""

    async def __aenter__(self) -> ScriptedUpstream:
        listener = socket.create_server(("127.0.0.1", 0))
        # Inherited by accepted sockets: otherwise each small write waits for the peer's ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
        scheme = "http" if self._ssl_context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        self._server = await asyncio.get_running_loop().create_server(
            lambda: asyncio.StreamReaderProtocol(_WatchedReader(), self._accepted),
            sock=listener,
            ssl=self._ssl_context,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def seen(self, count: int) -> SeenRequest:
        """Wait until `count` requests (heads) have arrived; the last of them."""
        while len(self.requests) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.requests[count - 1]

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        task = asyncio.ensure_future(self._serve(_watched(reader), writer, self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self, reader: _WatchedReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        # Drained means: the kernel has it; so `sent` counts what really left this process. (With
        # high=0 the standard library's TLS would stay paused for ever.)
        writer.transport.set_write_buffer_limits(high=1, low=0)
        try:
            while await self._exchange(reader, writer, number):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_connections -= 1
            writer.transport.abort()

    async def _exchange(
        self, reader: _WatchedReader, writer: asyncio.StreamWriter, number: int
    ) -> bool:
        """One request and its answer; False when the connection is finished."""
        request = _parse_head(await reader.readuntil(b"\r\n\r\n"), number)
        reader.watch(request.closed)
        length = int(request.header("content-length") or 0)
        if self._read_bodies:
            request.body = await reader.readexactly(length)
        script = self._handler(request)
        self.requests.append(request)
        self._changed.set()
        try:
            await _play(script, request, writer)
        finally:
            request.answered.set()
        if script.end is not End.KEEP:
            _hang_up(writer, script.end)
            await reader.gone.wait()
            return False
        return self._read_bodies or await _read_late(reader, request, length)


class ThreadedUpstream:
    """`ScriptedUpstream` in its own thread and event loop; a plain context manager.

    `requests` and `connections` may be read from any thread. Gates are opened with `release`.
    """

    def __init__(
        self, answers: Handler | Sequence[Script], ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._upstream = ScriptedUpstream(answers, ssl_context)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> ThreadedUpstream:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._upstream.__aenter__(), self._loop).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        leave = self._upstream.__aexit__(kind, error, trace)
        asyncio.run_coroutine_threadsafe(leave, self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """Base URL, without a path."""
        return self._upstream.url

    @property
    def requests(self) -> list[SeenRequest]:
        """Requests seen so far."""
        return self._upstream.requests

    @property
    def connections(self) -> int:
        """Connections accepted so far."""
        return self._upstream.connections

    def seen(self, count: int, seconds: float = 10.0) -> SeenRequest:
        """Block until `count` requests have arrived; the last of them. TimeoutError if never."""
        return asyncio.run_coroutine_threadsafe(self._upstream.seen(count), self._loop).result(
            seconds
        )

    def release(self, gate: asyncio.Event) -> None:
        """Open a gate of a script."""
        self._loop.call_soon_threadsafe(gate.set)

    def wait(self, event: asyncio.Event, seconds: float = 10.0) -> None:
        """Block until `event` (such as `requests[0].closed`) is set; TimeoutError if never."""
        asyncio.run_coroutine_threadsafe(event.wait(), self._loop).result(seconds)


class _WatchedReader(asyncio.StreamReader):
    """A StreamReader that tells at once, not at the next read, that the peer has closed."""

    def __init__(self) -> None:
        super().__init__(limit=1024 * 1024)
        self.gone = asyncio.Event()
        self._watchers: list[asyncio.Event] = [self.gone]

    def watch(self, event: asyncio.Event) -> None:
        self._watchers.append(event)
        if self.gone.is_set():
            event.set()

    def feed_eof(self) -> None:
        super().feed_eof()
        self._tell()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self._tell()

    def _tell(self) -> None:
        for event in self._watchers:
            event.set()


def _watched(reader: asyncio.StreamReader) -> _WatchedReader:
    if not isinstance(reader, _WatchedReader):
        raise TypeError("the server was made with another reader")
    return reader


def _in_order(scripts: Sequence[Script]) -> Handler:
    left = iter(scripts)
    unscripted = Script.json(b'{"error": "no script is left for this request"}', status=599)
    return lambda request: next(left, unscripted)


def _parse_head(head: bytes, connection: int) -> SeenRequest:
    request_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, path, _ = request_line.split(" ", 2)
    headers = []
    for line in lines:
        name, _, value = line.partition(":")
        headers.append((name.lower(), value.strip()))
    return SeenRequest(method, path, headers, connection)


async def _play(script: Script, request: SeenRequest, writer: asyncio.StreamWriter) -> None:
    """Run the steps; stops early with OSError when the peer is gone."""
    head = b"" if script.framing is Framing.RAW else _encode_head(script)
    await _steps([*script.before, head], request, writer, chunked=False)
    chunked = script.framing is Framing.CHUNKED
    await _steps(script.body, request, writer, chunked=chunked)
    if chunked and script.end in (End.KEEP, End.CLOSE):
        await _steps([b"0\r\n\r\n"], request, writer, chunked=False)


async def _steps(
    steps: Sequence[Step], request: SeenRequest, writer: asyncio.StreamWriter, *, chunked: bool
) -> None:
    for step in steps:
        if isinstance(step, asyncio.Event):
            await _gate(step, request)
            continue
        await _write(b"%x\r\n%b\r\n" % (len(step), step) if chunked else step, request, writer)


async def _gate(gate: asyncio.Event, request: SeenRequest) -> None:
    """Wait for the gate; a peer that goes away while we wait ends the answer."""
    waits = [asyncio.ensure_future(event.wait()) for event in (gate, request.closed)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    if not gate.is_set():
        raise ConnectionResetError("the peer closed before the gate opened")


async def _write(data: bytes, request: SeenRequest, writer: asyncio.StreamWriter) -> None:
    for start in range(0, len(data), 65536):
        piece = data[start : start + 65536]
        writer.write(piece)
        await writer.drain()
        request.sent += len(piece)


def _encode_head(script: Script) -> bytes:
    try:
        reason = HTTPStatus(script.status).phrase
    except ValueError:
        reason = "Scripted"
    lines = [f"HTTP/1.1 {script.status} {reason}"]
    lines += [f"{name}: {value}" for name, value in script.headers]
    if script.framing is Framing.CHUNKED:
        lines.append("transfer-encoding: chunked")
    elif script.framing is Framing.LENGTH:
        length = sum(len(step) for step in script.body if isinstance(step, bytes))
        missing = 0 if script.end in (End.KEEP, End.CLOSE) else 1
        lines.append(f"content-length: {length + missing}")
    if script.end is End.CLOSE:
        lines.append("connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _hang_up(writer: asyncio.StreamWriter, end: End) -> None:
    if end is End.RESET:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if end is End.CLOSE:
        writer.close()
    else:
        # Without a goodbye: under TLS no close_notify is sent.
        writer.transport.abort()


async def _read_late(reader: _WatchedReader, request: SeenRequest, length: int) -> bool:
    """Take what the peer still sends of a body that was answered unread."""
    with suppress(OSError):
        while len(request.body) < length:
            piece = await reader.read(65536)
            if not piece:
                return False
            request.body += piece
    return len(request.body) == length
