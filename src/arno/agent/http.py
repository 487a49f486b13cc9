"""A model behind HTTP: a gateway of ours, or any upstream that speaks the chat dialect."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Mapping
from typing import Final
from weakref import WeakKeyDictionary

from arno.agent.settings import find_access
from arno.canon.events import Event
from arno.canon.request import Request
from arno.dialects.base import Dialect
from arno.dialects.chat import ChatDialect
from arno.exchange import driver
from arno.exchange.driver import Deadlines
from arno.exchange.machine import Exchange
from arno.exchange.writers import Silent
from arno.transport.base import Headers, HttpRequest, HttpResponse, Transport, header
from arno.transport.live import LivePool
from arno.transport.proxy import Proxies
from arno.version import VERSION

USER_AGENT: Final = f"arno/{VERSION}"
GENERATION_ID: Final = "x-generation-id"

DEADLINES: Final = Deadlines(first=300.0, idle=300.0)
"""Unless told otherwise; patient, because a model may think for minutes before it speaks."""


class HttpModel:
    """The `Model` that posts to `{base_url}/chat/completions`.

    base_url, api_key: from the environment where not given (see `arno.agent.settings`). headers:
    sent beside, or in place of, our own. transport: to use instead of an own connection pool; it
    stays open when this is closed; our own heeds HTTP_PROXY, HTTPS_PROXY and NO_PROXY. deadlines:
    in seconds. Raises SettingsError.
    """

    dialect: Dialect = ChatDialect()

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        transport: Transport | None = None,
        deadlines: Deadlines = DEADLINES,
    ) -> None:
        access = find_access(base_url, api_key, os.environ)
        self.base_url = access.base_url
        self._headers = _headers(access.api_key, headers or {})
        self._transport = transport
        self._deadlines = deadlines
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, LivePool] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"HttpModel({self.base_url!r})"

    def stream(self, request: Request) -> HttpStream:
        """See `Model.stream`; the request goes out when the first event is asked for."""
        body, _ = self.dialect.encode_request(request)
        url, patience = (
            self.base_url + self.dialect.path(request.model, stream=True),
            self._deadlines.connect,
        )
        post = HttpRequest("POST", url, self._headers, body, connect_timeout=patience)
        return HttpStream(self._sender(), post, self.dialect, self._deadlines)

    async def aclose(self) -> None:
        """Close the connections of this event loop; later requests open new ones."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.aclose()

    def _sender(self) -> Transport:
        """The given transport, or the pool of the running loop (a pool belongs to one)."""
        if self._transport is not None:
            return self._transport
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            pool = self._pools[loop] = LivePool(proxies=Proxies.from_environment(os.environ))
        return pool


class HttpStream:
    """One answer over HTTP; see `ModelStream`."""

    def __init__(
        self, transport: Transport, request: HttpRequest, dialect: Dialect, deadlines: Deadlines
    ) -> None:
        self._noted = _Noted(transport)
        exchange = Exchange(dialect, Silent(), streamed=True)
        self._steps = driver.run(self._noted, request, exchange, deadlines=deadlines)
        self._ready: deque[Event] = deque()

    @property
    def generation_id(self) -> str | None:
        """See `ModelStream.generation_id`; None until the response's head is here."""
        return header(self._noted.headers, GENERATION_ID)

    def __aiter__(self) -> HttpStream:
        return self

    async def __anext__(self) -> Event:
        while not self._ready:
            step = await anext(self._steps)
            self._ready.extend(step.events)
        return self._ready.popleft()

    async def aclose(self) -> None:
        """See `ModelStream.aclose`."""
        self._ready.clear()
        await self._steps.aclose()


class _Noted:
    """A transport for one request that remembers the headers of its response."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.headers: Headers = ()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """See `Transport.send`."""
        response = await self._transport.send(request)
        self.headers = response.headers
        return response

    async def aclose(self) -> None:
        """Nothing: the transport belongs to whoever gave it."""


def _headers(api_key: str | None, own: Mapping[str, str]) -> Headers:
    fields = {
        # As the official SDKs have it, for streams as well: so recordings of both are the same.
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": USER_AGENT,
    }
    if api_key is not None:
        fields["authorization"] = f"Bearer {api_key}"
    fields.update({name.lower(): value for name, value in own.items()})
    return tuple(fields.items())
