"""A load of raw clients: `python -m benchmarks.load PLAN`, PLAN a `Plan` as JSON.

It prints one line when it has begun, runs until its standard input is closed, then prints a `Tally`
as JSON. Clients keep their connections; an answer that is cut or has a bad status is counted.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import time
from contextlib import suppress
from statistics import quantiles
from typing import Literal
from urllib.parse import urlsplit

import httptools
import msgspec
import uvloop

from benchmarks import traffic
from benchmarks.upstream import Line

_STAMP = re.compile(rb"at=(\d{%d})" % traffic.STAMP_DIGITS)
_DONE = b"data: [DONE]\n\n"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask for what.

    mode: closed (each client asks again when it has its answer), open (`rate` requests a second
    come whatever happens to the others) or held (each client asks once, for a stream that stays
    open; the first line is printed when all of them have begun, or `patience_s` are over). fields:
    further header fields.
    """

    url: str
    model: str
    mode: Literal["closed", "open", "held"] = "closed"
    streamed: bool = True
    clients: int = 1
    rate: float = 0.0
    prompt_bytes: int = 0
    fields: tuple[tuple[str, str], ...] = ()
    patience_s: float = 60.0


class Spread(msgspec.Struct, frozen=True):
    """Median and 99th percentile in microseconds, and of how many values."""

    p50: float
    p99: float
    count: int


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What came back.

    begun: clients with first bytes; event: from an event's own time stamp to its arrival.
    """

    begun: int
    answers: int
    faults: int
    first_byte: Spread | None
    answer: Spread | None
    event: Spread | None


def spread(nanoseconds: list[int]) -> Spread | None:
    """The spread of durations; None for fewer than two."""
    if len(nanoseconds) < 2:
        return None
    cuts = quantiles(nanoseconds, n=100)
    return Spread(cuts[49] / 1e3, cuts[98] / 1e3, len(nanoseconds))


class Load:
    """All clients of one plan."""

    def __init__(self, plan: Plan) -> None:
        parts = urlsplit(plan.url)
        self.plan = plan
        self.host, self.port = parts.hostname or "", parts.port or 80
        body = traffic.ask(plan.model, streamed=plan.streamed, prompt_bytes=plan.prompt_bytes)
        self.request = traffic.post(f"{self.host}:{self.port}", traffic.PATH, body, plan.fields)
        self.stopping = False
        self.answers = self.faults = 0
        self.first_byte: list[int] = []
        self.answer: list[int] = []
        self.event: list[int] = []
        self._idle: list[Client] = []
        self._waiting = plan.clients
        self._begun = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`."""
        for client in [await self._client() for _ in range(self.plan.clients)]:
            self.end(client) if self.plan.mode == "open" else client.ask()
        if self.plan.mode == "held":
            with suppress(TimeoutError):
                await asyncio.wait_for(self._begun.wait(), self.plan.patience_s)
        print("begun", flush=True)
        if self.plan.mode == "open":
            await self._tick(stop)
        else:
            await stop.wait()
        self.stopping = True

    async def _tick(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        while not stop.is_set():
            client = self._idle.pop() if self._idle else await self._client()
            client.ask()
            number += 1
            await asyncio.sleep(max(0.0, began + number / self.plan.rate - loop.time()))

    async def _client(self) -> Client:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: Client(self), self.host, self.port)
        return client

    def began(self) -> None:
        """A client has its first bytes."""
        self._waiting -= 1
        if self._waiting == 0:
            self._begun.set()

    def end(self, client: Client) -> None:
        """A client has its answer."""
        if self.plan.mode == "closed" and not self.stopping:
            client.ask()
        else:
            self._idle.append(client)

    def tally(self) -> Tally:
        """What came back so far."""
        return Tally(
            begun=self.plan.clients - self._waiting,
            answers=self.answers,
            faults=self.faults,
            first_byte=spread(self.first_byte),
            answer=spread(self.answer),
            event=spread(self.event),
        )


class Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._streamed = load.plan.streamed
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Line | None = None
        self._asked_ns = 0
        self._heard = False
        self._last = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        assert isinstance(transport, Line)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, which nobody asked for before the end."""
        self._transport = None
        if not self._load.stopping:
            self._load.faults += 1

    def ask(self) -> None:
        """Send the request."""
        if self._transport is not None:
            self._heard = False
            self._last = b""
            self._asked_ns = time.monotonic_ns()
            self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        """A piece of the answer."""
        now = time.monotonic_ns()
        if not self._heard:
            self._heard = True
            self._load.first_byte.append(now - self._asked_ns)
            self._load.began()
        if b"at=" in data:
            self._load.event += [now - int(stamp) for stamp in _STAMP.findall(data)]
        self._last = data

    def on_message_complete(self) -> None:
        """The answer is complete; a stream must say so itself."""
        load = self._load
        good = self._parser.get_status_code() == 200
        if good and (not self._streamed or self._last.endswith(_DONE)):
            load.answers += 1
            load.answer.append(time.monotonic_ns() - self._asked_ns)
        else:
            load.faults += 1
        load.end(self)


async def main(plan: Plan) -> None:
    """Run a plan until standard input is closed."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, daemon=True).start()
    load = Load(plan)
    await load.run(stop)
    print(msgspec.json.encode(load.tally()).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=Plan)))
