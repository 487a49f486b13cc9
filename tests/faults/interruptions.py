"""One recorded stream, interrupted after every byte, and a judge of what came of it (row 5).

    found = asyncio.run(sweep(interaction, Way.RESET, contract=True))
    found.wrong == [] and found.count == len(body) + 1

The recording is replayed, `FaultTransport` interrupts it, the engine serves it. What must come of
it is worked out from the bytes alone: whether the end mark, or for a body that just ends the
finish, stands in what the upstream has sent.
"""

import asyncio
from enum import Enum

import msgspec

from arno.cassette.faults import Cut, EndEarly, Fault, Place, Stall, Unit
from arno.cassette.index import NamedCassette
from arno.cassette.model import Cassette
from arno.providers import load_catalogue
from arno.transport.fault import FaultTransport
from arno.transport.replay import ReplayTransport
from arno.wire import json
from tests.engine.harness import ENDPOINT, PRICE, Bench, Tables

MODEL = """
[[model]]
id = "{model}"
canonical_slug = "{model}"
name = "Recorded"
created = 1
served = {{ rec = "{model}" }}
"""
LONG_NS = 3_600_000_000_000
END_MARK = b"data: [DONE]\n\n"


class Way(Enum):
    """How a stream is interrupted."""

    FIN = "a FIN inside the body"
    RESET = "a reset"
    END = "an end as if that were all"
    LEAVE = "a client that leaves"


class Said:
    """The client's side, as short as can be."""

    def __init__(self):
        self.status, self.ended, self.pieces = None, False, []

    async def head(self, status, headers):
        self.status = status

    async def body(self, data):
        self.pieces.append(data)

    async def whole(self, status, headers, body):
        self.status, self.ended = status, True
        self.pieces.append(body)

    async def end(self):
        self.ended = True

    def settled(self, outcome):
        pass


class Found(msgspec.Struct):
    """What a sweep came to. wrong: (offset, what was expected, what was seen)."""

    count: int = 0
    wrong: list = msgspec.field(default_factory=list)


def fault_at(way, place):
    """The interruption after so many bytes."""
    at = Place(Unit.BYTE, place)
    if way is Way.END:
        return Fault(EndEarly(at))
    if way is Way.LEAVE:
        return Fault(Stall(at, LONG_NS))
    return Fault(Cut(at, reset=way is Way.RESET))


def first_finish(body):
    """After how many bytes the stream has said why it ends."""
    place = 0
    for block in body.split(b"\n\n"):
        place += len(block) + 2
        if block.startswith(b"data: {"):
            choices = json.loads(block[6:]).get("choices") or [{}]
            if choices[0].get("finish_reason"):
                return place
    raise ValueError("this stream says no finish")


def expected(way, place, body):
    """complete, error or cancelled: by the bytes that were sent, and nothing else."""
    if place >= body.index(END_MARK) + len(END_MARK):
        return "complete"
    if way is Way.LEAVE:
        return "cancelled"
    return "complete" if way is Way.END and place >= first_finish(body) else "error"


def seen_by(said):
    """complete, error, or cut off: what the client can make of its bytes."""
    text = b"".join(said.pieces)
    if not said.ended:
        return "cut off"
    if said.status != 200:
        return "error" if "error" in json.loads(text) else "nonsense"
    events = [line[6:] for line in text.split(b"\n") if line.startswith(b"data: ")]
    *documents, last = events
    finishes = [_finish(json.loads(event)) for event in documents]
    if last == b"[DONE]":
        return "complete" if any(finishes) and "error" not in finishes else "nonsense"
    failed = json.loads(last)
    told = "error" in failed and _finish(failed) == "error" and b"[DONE]" not in text
    return "error" if told else "nonsense"


def _finish(document):
    choices = document.get("choices") or [{}]
    return choices[0].get("finish_reason")


STATES = {
    "complete": {"success"},
    "error": {"error", "truncated"},
    "cancelled": {"cancelled"},
}


def agrees(outcome, said, record):
    """Whether client and ledger tell of the same."""
    entry, client = record.generation, seen_by(said)
    [exchange] = record.exchanges
    if entry.state not in STATES[outcome] or exchange.state != entry.state:
        return False
    if outcome == "cancelled":
        return client == "cut off"
    if client != outcome:
        return False
    # Something was delivered or nothing was: the state says which.
    return outcome == "complete" or (entry.state == "truncated") is (said.status == 200)


class Recorded:
    """The replay, for whatever was asked: a row that restamps asks a little differently."""

    def __init__(self, interaction):
        self._inner = ReplayTransport([NamedCassette(Cassette((interaction,)))], scale=0)
        self._body = interaction.request.body

    async def send(self, request):
        return await self._inner.send(msgspec.structs.replace(request, body=self._body))

    async def aclose(self):
        await self._inner.aclose()


class Stand:
    """An engine over one recording."""

    def __init__(self, interaction, contract):
        self.interaction = interaction
        model = json.loads(interaction.request.body)["model"]
        url = interaction.request.url.removesuffix("/chat/completions")
        row = ENDPOINT.format(slug="rec", name="Rec", url=url, contract=str(contract).lower())
        tables = Tables(
            endpoints=row,
            models=MODEL.format(model=model),
            prices=PRICE.format(slug="rec", model=model),
            names="[slugs]\n",
        )
        self.replay = Recorded(interaction)
        self.bench = Bench(catalogue=load_catalogue(tables), transport=self.replay)

    async def interrupted(self, way, place):
        """(client, ledger row) of one call that is interrupted there."""
        stalled = asyncio.Event()

        async def sleep(_seconds):
            stalled.set()
            await asyncio.Event().wait()

        transport = FaultTransport(self.replay, [fault_at(way, place)], sleep=sleep)
        self.bench.engine.transports = {"live": transport}
        said = Said()
        serving = self.bench.engine.serve(self.bench.call(self.interaction.request.body), said)
        if way is Way.LEAVE:
            task = asyncio.ensure_future(serving)
            stall = asyncio.ensure_future(stalled.wait())
            await asyncio.wait({task, stall}, return_when=asyncio.FIRST_COMPLETED)
            task.cancel()
            stall.cancel()
            await asyncio.gather(task, stall, return_exceptions=True)
        else:
            await serving
        over = self.interaction.response.body.index(END_MARK) + len(END_MARK)
        assert transport.fired.total() == 1 or place >= over, "the fault did not happen"
        record = self.bench.sink.appended.pop()
        self.bench.sink.appended.clear()
        return said, record


async def sweep(interaction, ways, *, contract, step=1):
    """Interrupt after every byte (or every `step`th) in each of the ways."""
    body, found = interaction.response.body, Found()
    stand = Stand(interaction, contract)
    for way in ways:
        for place in range(0, len(body) + 1, step):
            outcome = expected(way, place, body)
            said, record = await stand.interrupted(way, place)
            found.count += 1
            if not agrees(outcome, said, record):
                seen = (seen_by(said), record.generation.state)
                found.wrong.append((way.value, place, outcome, seen))
    return found
