"""A model behind HTTP: a gateway of ours, or any upstream that speaks the chat dialect."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final
from weakref import WeakKeyDictionary

from arno.agent.settings import find_access
from arno.canon.events import TERMINAL, Event, PartStart, StreamError
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.request import Request
from arno.canon.unfold import unfold
from arno.dialects.base import Dialect
from arno.dialects.chat import ChatDialect
from arno.transport.base import (
    ErrorKind,
    Headers,
    HttpRequest,
    HttpResponse,
    Transport,
    TransportError,
    header,
)
from arno.transport.live import LivePool
from arno.version import VERSION
from arno.wire.errors import WireError
from arno.wire.sse import SSEDecoder

USER_AGENT: Final = f"arno/{VERSION}"
GENERATION_ID: Final = "x-generation-id"

IDLE_TIMEOUT_S: Final = 300.0
"""Seconds without a byte after which an answer is given up, unless told otherwise."""

MAX_WHOLE_BODY: Final = 16 * 1024 * 1024
"""Bytes that are read of an answer that is no event stream."""

DRAIN_S: Final = 0.1
"""Seconds to wait for the end of a body whose answer is complete, so its connection can be kept."""

KINDS: Mapping[ErrorKind, FailureKind] = {
    ErrorKind.CONNECT: FailureKind.UNAVAILABLE,
    ErrorKind.CLOSED: FailureKind.UNAVAILABLE,
    ErrorKind.CUT: FailureKind.TRUNCATED,
    ErrorKind.PROTOCOL: FailureKind.INVALID_ANSWER,
    ErrorKind.TIMEOUT: FailureKind.TIMEOUT,
    ErrorKind.UNMATCHED: FailureKind.UNMATCHED,
}
"""What a transport's fault is called further up."""


class HttpModel:
    """The `Model` that posts to `{base_url}/chat/completions`.

    base_url, api_key: from the environment where not given (see `arno.agent.settings`). headers:
    sent beside, or in place of, our own. transport: to use instead of an own connection pool; it
    stays open when this is closed. idle_timeout_s: None waits for ever.
    Raises SettingsError.
    """

    dialect: Dialect = ChatDialect()

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        transport: Transport | None = None,
        idle_timeout_s: float | None = IDLE_TIMEOUT_S,
    ) -> None:
        access = find_access(base_url, api_key, os.environ)
        self.base_url = access.base_url
        self._headers = _headers(access.api_key, headers or {})
        self._transport = transport
        self._idle_timeout_s = idle_timeout_s
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, LivePool] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"HttpModel({self.base_url!r})"

    def stream(self, request: Request) -> HttpStream:
        """See `Model.stream`; the request goes out at the first event."""
        body, _ = self.dialect.encode_request(request)
        post = HttpRequest("POST", self.base_url + self.dialect.path, self._headers, body)
        return HttpStream(self._sender(), post, self.dialect, self._idle_timeout_s)

    async def aclose(self) -> None:
        """Close the connections of this event loop; later requests open new ones."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.aclose()

    def _sender(self) -> Transport:
        """The given transport, or the pool of the running loop (a pool belongs to one)."""
        if self._transport is not None:
            return self._transport
        return self._pools.setdefault(asyncio.get_running_loop(), LivePool())


def _headers(api_key: str | None, own: Mapping[str, str]) -> Headers:
    fields = {
        "accept": "text/event-stream, application/json",
        "content-type": "application/json",
        "user-agent": USER_AGENT,
    }
    if api_key is not None:
        fields["authorization"] = f"Bearer {api_key}"
    fields.update({name.lower(): value for name, value in own.items()})
    return tuple(fields.items())


class HttpStream:
    """One answer over HTTP; see `ModelStream`."""

    def __init__(
        self,
        transport: Transport,
        request: HttpRequest,
        dialect: Dialect,
        idle_timeout_s: float | None,
    ) -> None:
        self._transport = transport
        self._request = request
        self._dialect = dialect
        self._idle_timeout_s = idle_timeout_s
        self._response: HttpResponse | None = None
        self._frames = SSEDecoder()
        self._decoder = dialect.stream_decoder()
        self._ready: deque[Event] = deque()
        self._ended = False
        self._stage = Stage.BEFORE_HEAD

    @property
    def generation_id(self) -> str | None:
        """See `ModelStream.generation_id`; None until the response's head is here."""
        return header(self._response.headers, GENERATION_ID) if self._response else None

    def __aiter__(self) -> HttpStream:
        return self

    async def __anext__(self) -> Event:
        while not self._ready:
            if self._ended:
                raise StopAsyncIteration
            self._take(await self._more())
        return self._ready.popleft()

    async def aclose(self) -> None:
        """See `ModelStream.aclose`. A complete answer's connection is kept for the next one."""
        response = self._response
        complete = self._ended and not self._ready
        self._ended = True
        self._ready.clear()
        if response is None:
            return
        try:
            if complete:
                await _drain(response)
        finally:
            response.abort()

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            self._ready.append(event)
            if isinstance(event, PartStart):
                self._stage = Stage.MID_STREAM
            elif isinstance(event, TERMINAL):
                self._ended = True

    async def _more(self) -> Iterable[Event]:
        """The events of what arrives next; a fault of the wire is the last of them."""
        try:
            if self._response is None:
                return await self._begin()
            data = await self._read(self._response)
            frames = self._frames.feed(data) if data else self._frames.close()
        except TransportError as fault:
            retryable = fault.kind is not ErrorKind.UNMATCHED
            return self._fail(KINDS[fault.kind], fault.message, retryable=retryable)
        except TimeoutError:
            return self._fail(FailureKind.TIMEOUT, f"no byte in {self._idle_timeout_s} s")
        except WireError as error:
            return self._fail(FailureKind.INVALID_ANSWER, str(error))
        batches = [self._decoder.feed(frame) for frame in frames]
        if not data:
            batches.append(self._decoder.close())
        return [event for batch in batches for event in batch.events]

    async def _begin(self) -> Iterable[Event]:
        """Send the request and look at the head: an event stream, a whole answer or a failure."""
        async with asyncio.timeout(self._idle_timeout_s):
            response = self._response = await self._transport.send(self._request)
        self._stage = Stage.BEFORE_OUTPUT
        kind = (header(response.headers, "content-type") or "").partition(";")[0].strip().lower()
        if response.status == 200 and kind != "application/json":
            return ()
        body = await self._whole(response)
        if response.status != 200:
            failure = self._dialect.decode_failure(
                response.status, response.headers, body, Stage.BEFORE_OUTPUT
            )
            return (StreamError(failure),)
        answer = self._dialect.decode_response(body)
        return (StreamError(answer),) if isinstance(answer, Failure) else unfold(answer)

    async def _read(self, response: HttpResponse) -> bytes:
        async with asyncio.timeout(self._idle_timeout_s):
            return await response.read()

    async def _whole(self, response: HttpResponse) -> bytes:
        """The body, cut off where it is longer than anything an answer needs."""
        pieces: list[bytes] = []
        size = 0
        while size < MAX_WHOLE_BODY and (piece := await self._read(response)):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    def _fail(self, kind: FailureKind, message: str, *, retryable: bool = True) -> Iterable[Event]:
        failure = Failure(kind, message, retryable=retryable, stage=self._stage)
        return self._decoder.abort(failure).events


async def _drain(response: HttpResponse) -> None:
    """Wait a moment for the announced end of the body."""
    with suppress(TransportError, TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while await response.read():
                pass
