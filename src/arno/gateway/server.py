"""Running an application: bind, say where, serve, drain.

Serves R38 and fault rows 32 and 33. The first signal: not ready any more, no new inference, open
streams end by themselves within the grace period, the rest are cut with a failure. The second one:
cut at once. The port stays open while draining, so that a balancer can see "not ready".
"""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

import uvicorn

from arno.gateway.asgi import Receive, Scope, Send
from arno.gateway.errors import SettingsError
from arno.gateway.inflight import Inflight
from arno.gateway.log import RequestLog
from arno.gateway.protocol import bounded
from arno.gateway.settings import GatewaySettings

AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

BACKLOG = 2048
COLLECTOR_THRESHOLDS = (50_000, 20, 50)
_AFTER_CUT_S = 5.0
"""How long cut streams may take to write their failure."""


def listen(settings: GatewaySettings) -> socket.socket:
    """A bound socket. Raises SettingsError where host and port cannot be had."""
    host, port = settings.host, settings.port
    try:
        [family, kind, proto, _, address] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, proto)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return bound


def url_of(bound: socket.socket) -> str:
    """Where a bound socket is reached."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _ServerLog(logging.Handler):
    """The server library's own messages as lines of our log."""

    def __init__(self, log: RequestLog, wall_ns: Callable[[], int]) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._wall_ns = wall_ns

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        self._log.note(wall_ns=self._wall_ns(), event="server", text=self.format(record))


class Server(uvicorn.Server):
    """One server over one socket. exit_code: 0 after a drain, 128 + signal after a fast stop."""

    def __init__(
        self,
        app: AsgiApp,
        settings: GatewaySettings,
        inflight: Inflight,
        announce: Callable[[str], None],
    ) -> None:
        """announce: told the URL as soon as requests are served."""
        config = uvicorn.Config(
            app,
            http=bounded(settings.head_deadline_s, settings.linger_s, settings.stall_s),
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=settings.keep_alive_s,
            timeout_graceful_shutdown=int(_AFTER_CUT_S),
        )
        super().__init__(config)
        self.bound = listen(settings)
        self.exit_code = 0
        self._inflight = inflight
        self._grace_s = settings.grace_s
        self._announce = announce
        self._hurry = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drain: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say where."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if not self.should_exit:
            self._announce(url_of(self.bound))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came (called by the interpreter between two instructions)."""
        self._soon(self._signalled, sig)

    def stop(self) -> None:
        """Begin to drain, once. May be called from any thread."""
        self._soon(self._begin)

    def _soon(self, callback: Callable[..., None], *args: int) -> None:
        if self._loop is None:
            self.should_exit = True
        else:
            self._loop.call_soon_threadsafe(callback, *args)

    def _signalled(self, sig: int) -> None:
        """The first signal drains, the second one cuts what is left."""
        if self._drain is None:
            self._begin()
        else:
            self.exit_code = 128 + sig
            self._hurry.set()

    def _begin(self) -> None:
        if self._drain is None:
            self._inflight.draining = True
            self._drain = asyncio.create_task(self._run_down())

    async def _run_down(self) -> None:
        """Let generations end, cut the rest, then let the server exit."""
        waits = [
            asyncio.create_task(self._inflight.wait_empty()),
            asyncio.create_task(self._hurry.wait()),
        ]
        await asyncio.wait(waits, timeout=self._grace_s, return_when=asyncio.FIRST_COMPLETED)
        self._inflight.cut()
        await asyncio.wait(waits[:1], timeout=_AFTER_CUT_S)
        for wait in waits:
            wait.cancel()
        self.should_exit = True

    def serve_until_stopped(self) -> int:
        """Serve until a drain has ended. Returns the exit code."""
        self.run(sockets=[self.bound])
        return self.exit_code


def say(url: str) -> None:
    """The URL as the first line of standard output."""
    print(url, flush=True)


def _quiet_collector() -> None:
    """Keep the garbage collector off what start-up made, and let it come by rarely.

    Requests leave no cycles behind (a test counts them), so there is next to nothing to collect,
    while a full pass stops every stream for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def run(
    app: AsgiApp,
    settings: GatewaySettings,
    *,
    inflight: Inflight,
    log: RequestLog,
    wall_ns: Callable[[], int],
    announce: Callable[[str], None] = say,
) -> int:
    """Serve `app` until a signal has drained it. Returns the exit code of the process.

    inflight: the application's generations; log: where the server library's warnings go.
    """
    _quiet_collector()
    with _logged(log, wall_ns):
        return Server(app, settings, inflight, announce).serve_until_stopped()


@contextmanager
def beside(
    app: AsgiApp,
    settings: GatewaySettings,
    *,
    inflight: Inflight,
    log: RequestLog,
    wall_ns: Callable[[], int],
) -> Iterator[str]:
    """Serve `app` in a thread while the block runs; gives the URL. Leaving the block drains it.

    Signals stay with the caller's thread. Raises SettingsError where it cannot listen.
    """
    urls: SimpleQueue[str] = SimpleQueue()
    server = Server(app, settings, inflight, urls.put)

    def serve() -> None:
        try:
            server.serve_until_stopped()
        finally:
            urls.put("")

    thread = threading.Thread(target=serve, name="arno-server", daemon=True)
    with _logged(log, wall_ns):
        thread.start()
        try:
            url = urls.get()
            if not url:
                raise SettingsError("the server did not start")
            yield url
        finally:
            server.stop()
            thread.join()


@contextmanager
def _logged(log: RequestLog, wall_ns: Callable[[], int]) -> Iterator[None]:
    """The server library's warnings go to the log while the block runs."""
    logger, handler = logging.getLogger("uvicorn"), _ServerLog(log, wall_ns)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
