"""One engine over scripted upstreams, a client that records, a clock that stands still.

async with ScriptedUpstream([...]) as up:
    bench = Bench(plain=up.url)
    client = await bench.serve(chat_body(stream=True))
    assert client.text == ...
    assert bench.entry.state == "success"
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from arno.dialects import DIALECTS
from arno.engine import Call, Caller, Engine, EngineSettings, Outcome
from arno.engine.delivery import Pace
from arno.engine.prices import price_table
from arno.exchange.driver import Deadlines
from arno.exchange.machine import Limits
from arno.ledger.entry import ExchangeEntry, GenerationEntry, LedgerRecord
from arno.providers import Catalogue, Tables, load_catalogue
from arno.store.memory import MemorySink
from arno.transport.base import HttpRequest, HttpResponse, Transport
from arno.transport.live import LivePool
from arno.wire import json

MODEL = "test/model"
SETTINGS = EngineSettings()

ENDPOINT = """
[[endpoint]]
slug = "{slug}"
name = "{name}"
dialect = "chat"
base_url = "{url}"
contract = {contract}
transport = "live"
finish_optional = false
stream_usage = true
"""

SAME_ID = "same/model"
"""A model that every endpoint serves under the id it is asked for by."""

MODEL_ROW = """
[[model]]
id = "{model}"
canonical_slug = "{model}"
name = "Test"
created = 1
[model.served]
"""

PRICE = """
[[price]]
endpoint = "{slug}"
model = "{model}"
valid_from = "2020-01-01"
source = "test"
input = "1"
output = "2"
cache_read = "0.5"
"""


def catalogue_of(*rows: tuple[str, str, bool]) -> Catalogue:
    """A catalogue of (slug, base URL, contract) rows that all serve `test/model`."""
    endpoints = "".join(
        ENDPOINT.format(slug=slug, name=slug.title(), url=url, contract=str(contract).lower())
        for slug, url, contract in rows
    )
    models = MODEL_ROW.format(model=MODEL)
    models += "".join(f'{slug} = "up/{slug}"\n' for slug, _, _ in rows)
    models += MODEL_ROW.format(model=SAME_ID)
    models += "".join(f'{slug} = "{SAME_ID}"\n' for slug, _, _ in rows)
    prices = "".join(PRICE.format(slug=slug, model=MODEL) for slug, _, _ in rows)
    tables = Tables(endpoints=endpoints, models=models, prices=prices, names="[slugs]\n")
    return load_catalogue(tables)


class ManualClock:
    """A clock that moves only when told to; timers run in order of their due time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, int, Callable[[], None], list[bool]]] = []
        self._numbers = itertools.count()

    def monotonic(self) -> float:
        return self.now

    def wall_ns(self) -> int:
        return 1_800_000_000_000_000_000 + int((self.now - 1000) * 1e9)

    def call_later(self, delay: float, callback: Callable[[], None]) -> ManualTimer:
        live = [True]
        heapq.heappush(self._timers, (self.now + delay, next(self._numbers), callback, live))
        return ManualTimer(live)

    def due(self) -> list[Callable[[], None]]:
        """Take the calls that are due by now, in order."""
        found = []
        while self._timers and self._timers[0][0] <= self.now:
            _, _, callback, live = heapq.heappop(self._timers)
            if live[0]:
                found.append(callback)
        return found

    async def advance(self, seconds: float) -> None:
        """Let time pass, one timer at a time, and the loop work in between."""
        until = self.now + seconds
        while self._timers and self._timers[0][0] <= until:
            due, _, callback, live = heapq.heappop(self._timers)
            self.now = max(self.now, due)
            if live[0]:
                callback()
            await settle_loop()
        self.now = until
        await settle_loop()


class ManualTimer:
    def __init__(self, live: list[bool]) -> None:
        self._live = live

    def cancel(self) -> None:
        self._live[0] = False


async def settle_loop() -> None:
    """Give every ready task of the loop its turns."""
    for _ in range(20):
        await asyncio.sleep(0)


class Client:
    """Records what a client is sent; `gate` cleared makes it a client that does not read.

    reads, takes_head: whether it reads from the beginning, and if not, whether it takes the head.
    waiting: what is being written to a client that does not read. faults: calls that break the
    order that `Downstream` names; they are raised too, but a heartbeat's error is nobody's.
    """

    def __init__(self, *, reads: bool = True, takes_head: bool = False) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.writes: list[bytes] = []
        self.ended = False
        self.outcome: Outcome | None = None
        self.waiting: bytes | None = None
        self.faults: list[str] = []
        self._takes_head = takes_head
        self.gate = asyncio.Event()
        if reads:
            self.gate.set()
        self.changed = asyncio.Condition()

    async def head(self, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        self._check(self.status is None, "a second head")
        if not self._takes_head:
            await self._turn(b"")
        self.status = status
        self.headers = dict(headers)
        await self._tell()

    async def body(self, data: bytes) -> None:
        self._check(self.status is not None, "a body before the head")
        self._check(not self.ended, "a body after the end")
        await self._turn(data)
        self.writes.append(data)
        await self._tell()

    def settled(self, outcome: Outcome) -> None:
        self._check(self.outcome is None, "settled twice")
        self.outcome = outcome

    async def end(self) -> None:
        self._check(not self.ended, "a second end")
        self._check(self.waiting is None, "an end during a write")
        self.ended = True
        await self._tell()

    async def whole(self, status, headers, body) -> None:
        await self.head(status, headers)
        await self.body(body)
        await self.end()

    async def _turn(self, data: bytes) -> None:
        """Wait until the client reads; nobody else may write meanwhile."""
        self._check(self.waiting is None, "two writes at a time")
        self.waiting = data
        await self._tell()
        try:
            await self.gate.wait()
        finally:
            self.waiting = None

    def _check(self, right: bool, fault: str) -> None:
        if not right:
            self.faults.append(fault)
        assert right, fault

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, condition: Callable[[Client], bool]) -> None:
        """Wait until `condition` holds."""
        async with self.changed:
            await self.changed.wait_for(lambda: condition(self))

    @property
    def bytes(self) -> bytes:
        return b"".join(self.writes)

    @property
    def documents(self) -> list:
        """The JSON documents of a stream, without the end mark."""
        # Line by line: a comment may stand right before an event.
        lines = [line for line in self.bytes.split(b"\n") if line.startswith(b"data: {")]
        return [json.loads(line[6:]) for line in lines]

    @property
    def document(self):
        return json.loads(self.bytes)

    @property
    def is_done(self) -> bool:
        """True if the stream said `[DONE]`."""
        return b"data: [DONE]" in self.bytes


def chat_body(**members: object) -> bytes:
    """A request; keywords are added to it."""
    base = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    return json.dumps({**base, **members})


class CountingSink(MemorySink):
    """A ledger that remembers every call of `append`, repeated ones too."""

    def __init__(self) -> None:
        super().__init__()
        self.appended: list[LedgerRecord] = []

    def append(self, record: LedgerRecord) -> None:
        self.appended.append(record)
        super().append(record)


class Watched:
    """A transport that tells how many body bytes were taken and whether a read is waiting."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.taken = 0
        self.waits = False
        self._changed = asyncio.Event()

    async def send(self, request: HttpRequest) -> HttpResponse:
        return WatchedResponse(self, await self._inner.send(request))

    async def aclose(self) -> None:
        await self._inner.aclose()

    def note(self, taken: int, *, waits: bool) -> None:
        self.taken += taken
        self.waits = waits
        self._changed.set()

    async def until(self, taken: int) -> None:
        """Wait until `taken` bytes were read in all and more is asked for."""
        while not (self.taken >= taken and self.waits):
            self._changed.clear()
            await self._changed.wait()


class WatchedResponse:
    def __init__(self, watch: Watched, inner: HttpResponse) -> None:
        self._watch = watch
        self._inner = inner
        self.status = inner.status
        self.headers = inner.headers

    async def read(self) -> bytes:
        self._watch.note(0, waits=True)
        data = await self._inner.read()
        self._watch.note(len(data), waits=False)
        return data

    def abort(self) -> None:
        self._inner.abort()


class Bench:
    """An engine with its ledger. `plain`, `contract`: base URLs of endpoints by slug."""

    def __init__(
        self,
        *rows: tuple[str, str, bool],
        transport: Transport | None = None,
        clock: ManualClock | None = None,
        deadlines: Deadlines = SETTINGS.deadlines,
        pace: Pace = SETTINGS.pace,
        limits: Limits = SETTINGS.limits,
        catalogue: Catalogue | None = None,
        **urls: str,
    ) -> None:
        made = tuple((slug, url, slug == "contract") for slug, url in urls.items())
        self.sink = CountingSink()
        self.clock = clock
        self.transport = Watched(transport or LivePool())
        catalogue = catalogue or catalogue_of(*rows, *made)
        self.engine = Engine(
            catalogue=catalogue,
            prices=price_table(catalogue),
            transports={"live": self.transport},
            sink=self.sink,
            clock=clock,
            settings=EngineSettings(deadlines=deadlines, pace=pace, limits=limits),
        )
        self.outcome: Outcome | None = None
        self._numbers = itertools.count(1)

    def call(self, body: bytes) -> Call:
        envelope = DIALECTS["chat"].peek(body)
        return Call(
            generation_id=f"gen-{next(self._numbers)}",
            caller=Caller(key_id="k"),
            dialect="chat",
            envelope=envelope,
            body=body,
            created_ns=1_800_000_000_000_000_000,
        )

    async def serve(self, body: bytes, client: Client | None = None) -> Client:
        """Serve one request to its end."""
        client = client or Client()
        self.outcome = await self.engine.serve(self.call(body), client)
        return client

    def begin(
        self, body: bytes, client: Client | None = None
    ) -> tuple[asyncio.Task[Outcome], Client]:
        """Begin to serve one request."""
        client = client or Client()
        return asyncio.ensure_future(self.engine.serve(self.call(body), client)), client

    @property
    def entry(self) -> GenerationEntry:
        """The newest generation in the ledger."""
        return self.sink.recent(1)[0].generation

    @property
    def exchanges(self) -> tuple[ExchangeEntry, ...]:
        """The attempts of the newest generation."""
        return self.sink.recent(1)[0].exchanges


def chunk(delta: dict | None = None, finish: str | None = None, **members: object) -> bytes:
    """One SSE chunk of an upstream's stream."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    head = {"id": "up-1", "object": "chat.completion.chunk", "created": 7, "model": "up/m"}
    return b"data: " + json.dumps({**head, "choices": [choice], **members}) + b"\n\n"


def usage_chunk(**usage: object) -> bytes:
    """The chunk that only tells usage."""
    return chunk(choices=[], usage=usage)


DONE = b"data: [DONE]\n\n"
HELLO = (chunk({"role": "assistant", "content": "Hel"}), chunk({"content": "lo"}))
STOP = chunk({}, "stop")
USAGE = usage_chunk(prompt_tokens=10, completion_tokens=5, total_tokens=15)


def answer(content: str = "Hello", finish: str = "stop", **members: object) -> bytes:
    """A whole answer."""
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    head = {"id": "up-1", "object": "chat.completion", "created": 7, "model": "up/m"}
    return json.dumps({**head, "choices": [choice], "usage": usage, **members})
