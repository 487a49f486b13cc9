"""The replay transport: answers from cassettes as if the upstream were there (R39, R40).

It is sealed: nothing here can open a socket, so a request without a recording is an error and can
be nothing else. What was recorded comes back unchanged: status, headers, body, chunk boundaries,
the time of every chunk (scaled), and how the body ended. Only a body that was recorded to its end
ends well; one that was cut, or that the recording client closed early, is a cut here.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from weakref import WeakSet

from arno.cassette.canonical import Ignore
from arno.cassette.index import Index, NamedCassette, Nearest, Unmatched
from arno.cassette.match import Policy
from arno.cassette.model import End, Interaction, RecordedResponse
from arno.cassette.timing import chunks_of
from arno.transport.base import ErrorKind, Headers, HttpRequest, TransportError

Sleep = Callable[[float], Awaitable[None]]
"""Waits that many seconds; 0 gives the event loop a turn."""

HOP_FIELDS: Final = frozenset(
    "connection content-encoding content-length keep-alive proxy-connection te trailer"
    " transfer-encoding upgrade".split()
)
"""Fields about a connection or an encoding that the recorded body no longer has."""

MATCHED_AT_ONCE: Final = 64 * 1024
"""Bytes of the longest request body that is looked up on the event loop itself."""

_NS: Final = 1_000_000_000


class UnmatchedRequest(TransportError):
    """A request that no recording answers; `nearest` are the recordings that come close."""

    def __init__(self, unmatched: Unmatched) -> None:
        super().__init__(ErrorKind.UNMATCHED, unmatched.message)
        self.nearest: tuple[Nearest, ...] = unmatched.nearest


class ReplayTransport:
    """The `Transport` whose upstream is a set of cassettes.

    A request matches by method, path with query, and canonical body; `ignore` names what of the
    body may differ. `policy` says what equal requests get; the default serves any number of them.
    `scale` stretches recorded time: 1 as recorded, 0 without waiting. `sleep` and `monotonic`
    (seconds) are the clock.
    """

    def __init__(
        self,
        cassettes: Iterable[NamedCassette],
        policy: Policy = Policy.STATELESS,
        *,
        scale: float = 1.0,
        ignore: Iterable[Ignore] = (),
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises `ValueError` for a scale that is negative or no number."""
        if not (math.isfinite(scale) and scale >= 0):
            raise ValueError(f"scale must be 0 or more, not {scale}")
        self.index = Index(cassettes, policy, ignore=ignore)
        self._pace = _Pace(scale, sleep, monotonic)
        self._running: WeakSet[ReplayResponse] = WeakSet()
        self._closed = False

    async def send(self, request: HttpRequest) -> ReplayResponse:
        """See `Transport.send`; returns when the recorded time to the head has passed.

        Raises `UnmatchedRequest`, `TransportError` (protocol) for a recording whose status no
        response can have, and `RuntimeError` after `aclose`.
        """
        if self._closed:
            raise RuntimeError("the transport is closed")
        began = self._pace.now()
        found = await self._find(request)
        if isinstance(found, Unmatched):
            raise UnmatchedRequest(found)
        code = found.response.code
        if not 200 <= code <= 599:
            message = f"recording #{found.id} has status {code}, which is no final response"
            raise TransportError(ErrorKind.PROTOCOL, message, sent=True)
        await self._pace.until(began, found.response.duration_ns)
        response = ReplayResponse(found, self._pace)
        self._running.add(response)
        return response

    async def _find(self, request: HttpRequest) -> Interaction | Unmatched:
        """Look a request up; a long one in another thread, so that the loop goes on meanwhile."""
        if len(request.body) <= MATCHED_AT_ONCE:
            return self.index.find(request.method, request.url, request.body)
        found = await asyncio.to_thread(self.index.find, request.method, request.url, request.body)
        if self._closed:
            raise RuntimeError("the transport is closed")
        return found

    async def aclose(self) -> None:
        """See `Transport.aclose`; safe to call twice."""
        self._closed = True
        for response in list(self._running):
            response.abort()


class ReplayResponse:
    """One recorded answer being played; the `HttpResponse` of `ReplayTransport`."""

    def __init__(self, interaction: Interaction, pace: _Pace) -> None:
        """The head is here; body times count from now."""
        self.status = interaction.response.code
        self.headers = _headers(interaction.response)
        self._chunks = chunks_of(interaction)
        self._next = 0
        self._end = End.EOF if interaction.wire is None else interaction.wire.end
        self._ended = False
        self._aborted = False
        self._pace = pace
        self._began = pace.now()
        self._waiting: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        """See `HttpResponse.read`: one recorded chunk, at its time. One reader at a time."""
        if self._waiting is not None:
            raise RuntimeError("the response is already being read")
        if self._ended:
            return b""
        self._check()
        if self._next == len(self._chunks):
            return self._finish()
        chunk = self._chunks[self._next]
        await self._wait(chunk.at_ns)
        self._next += 1
        return chunk.data

    def abort(self) -> None:
        """See `HttpResponse.abort`; a read that waits ends with a cut."""
        self._aborted = not self._ended
        if self._waiting is not None:
            self._waiting.cancel()

    async def _wait(self, at_ns: int) -> None:
        """Wait for a chunk's time, as a task that `abort` can end."""
        if self._pace.instant:
            await self._pace.until(self._began, at_ns)
            self._check()
            return
        self._waiting = asyncio.ensure_future(self._pace.until(self._began, at_ns))
        try:
            await self._waiting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        finally:
            self._waiting = None
        self._check()

    def _check(self) -> None:
        if self._aborted:
            message = "aborted before the end of the response"
            raise TransportError(ErrorKind.CUT, message, sent=True)

    def _finish(self) -> bytes:
        if self._end is not End.EOF:
            message = f"the recorded body ended early ({self._end.value})"
            raise TransportError(ErrorKind.CUT, message, sent=True)
        self._ended = True
        return b""


class _Pace:
    """Recorded time on this machine's clock."""

    def __init__(self, scale: float, sleep: Sleep, monotonic: Callable[[], float]) -> None:
        self.now = monotonic
        self.instant = scale == 0
        self._scale = scale
        self._sleep = sleep

    async def until(self, began: float, after_ns: int) -> None:
        """Wait until `after_ns` recorded nanoseconds after `began`, one turn of the loop at least.

        Counted from the beginning and not from the last wait, so that delays do not add up.
        """
        if self.instant:
            await self._sleep(0.0)
            return
        due = began + after_ns * self._scale / _NS
        await self._sleep(max(0.0, due - self.now()))


def _headers(response: RecordedResponse) -> Headers:
    return tuple(
        (name.lower(), value)
        for name, values in response.headers.items()
        if name.lower() not in HOP_FIELDS
        for value in values
    )
