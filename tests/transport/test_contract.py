"""One contract, every transport: live (plain, TLS, encoded), replay, record and fault.

The checks are in `contract.py`, what is behind a transport in `worlds.py`. The second half breaks a
transport in one way each and shows that the check meant for it notices.
"""

import asyncio
import shutil
from functools import partial

import pytest

from arno.cassette.faults import parse_faults
from arno.transport.base import ErrorKind, TransportError
from arno.transport.fault import FaultTransport
from arno.transport.record import RecordTransport
from tests.transport.contract import CHECKS
from tests.transport.running import RUNNERS, within
from tests.transport.worlds import certificate, live, replay, wrapped

SECONDS = 30


def recorded(inner):
    return RecordTransport(inner, lambda interaction: None)


def without_faults(inner):
    return FaultTransport(inner, ())


def with_unmet_faults(inner):
    """Faults that are looked for in every body and never met."""
    script = "cut at event=99; stall at byte=999999999 for=9s; rechunk=99999; refuse model=other"
    return FaultTransport(inner, parse_faults(script))


WORLDS = {
    "live": live,
    "live, gzip": partial(live, gzip=True),
    "live, tls": None,
    "replay": replay,
    "record of live": wrapped(recorded, live),
    "record of replay": wrapped(recorded, replay),
    "fault over live": wrapped(without_faults, live),
    "fault over replay": wrapped(without_faults, replay),
    "unmet faults over live": wrapped(with_unmet_faults, live),
    "unmet faults over replay": wrapped(with_unmet_faults, replay),
}


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def opened(request, world):
    """What opens the world of this name."""
    return WORLDS[world] or partial(live, tls=request.getfixturevalue("tls"))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("loop", RUNNERS)
def test_contract(loop, world, opened, check):
    RUNNERS[loop](within(SECONDS, CHECKS[check](opened)))


# ---------------------------------------------------------------- mutants


class Mutant:
    """A transport that changes nothing; each subclass breaks one promise."""

    def __init__(self, inner):
        self.inner = inner

    async def send(self, request):
        return self.spoil(await self.inner.send(request))

    def spoil(self, response):
        return response

    async def aclose(self):
        await self.inner.aclose()


class MutantResponse:
    def __init__(self, inner):
        self.inner = inner
        self.status, self.headers = inner.status, inner.headers

    async def read(self):
        return await self.inner.read()

    def abort(self):
        self.inner.abort()


def spoiling(response_class):
    return type(
        response_class.__name__ + "Transport", (Mutant,), {"spoil": lambda _, r: response_class(r)}
    )


class BuffersTheBody(MutantResponse):
    async def read(self):
        pieces = []
        while piece := await self.inner.read():
            pieces.append(piece)
        return b"".join(pieces)


class ChangesTheStatus(MutantResponse):
    def __init__(self, inner):
        super().__init__(inner)
        self.status = 200


class DropsAHeader(MutantResponse):
    def __init__(self, inner):
        super().__init__(inner)
        self.headers = tuple(item for item in inner.headers if item[0] != "retry-after")


class MendsLineEnds(MutantResponse):
    async def read(self):
        return (await self.inner.read()).replace(b"\r\n", b"\n")


class RaisesAfterTheEnd(MutantResponse):
    ended = False

    async def read(self):
        if self.ended:
            raise TransportError(ErrorKind.CUT, "ended")
        piece = await self.inner.read()
        self.ended = not piece
        return piece


class TakesACutForTheEnd(MutantResponse):
    async def read(self):
        try:
            return await self.inner.read()
        except TransportError:
            return b""


class LosesWhatCameBeforeACut(MutantResponse):
    async def read(self):
        piece = await self.inner.read()
        return piece + await self.inner.read()


class IgnoresAbort(MutantResponse):
    def abort(self):
        pass


class AbortsOnceOnly(MutantResponse):
    aborted = False

    def abort(self):
        if self.aborted:
            raise RuntimeError("aborted already")
        self.aborted = True
        self.inner.abort()


class LosesACancelledRead(MutantResponse):
    async def read(self):
        piece = await self.inner.read()
        await asyncio.sleep(0.01)
        return piece


class ReadsAhead(MutantResponse):
    def __init__(self, inner):
        super().__init__(inner)
        self.queue = asyncio.Queue()
        self.task = asyncio.ensure_future(self.pump())

    async def pump(self):
        while piece := await self.inner.read():
            self.queue.put_nowait(piece)

    async def read(self):
        return await self.queue.get()

    def abort(self):
        self.task.cancel()
        self.inner.abort()


class SwapsAnswers(Mutant):
    """Gives two requests each other's answer."""

    waiting = None

    async def send(self, request):
        response = await self.inner.send(request)
        if self.waiting is None:
            self.waiting = asyncio.get_running_loop().create_future(), response
            return await self.waiting[0]
        (other, answer), self.waiting = self.waiting, None
        other.set_result(response)
        return answer


class ShieldsTheSending(Mutant):
    async def send(self, request):
        return await asyncio.shield(asyncio.ensure_future(self.inner.send(request)))


class StaysOpen(Mutant):
    async def aclose(self):
        pass


NOTICED = [
    (spoiling(ChangesTheStatus), "head", AssertionError),
    (spoiling(DropsAHeader), "head", AssertionError),
    (spoiling(MendsLineEnds), "body", AssertionError),
    (spoiling(RaisesAfterTheEnd), "body", TransportError),
    (spoiling(BuffersTheBody), "order", TimeoutError),
    (spoiling(TakesACutForTheEnd), "cut", AssertionError),
    (spoiling(LosesWhatCameBeforeACut), "cut", AssertionError),
    (spoiling(IgnoresAbort), "abort", TimeoutError),
    (spoiling(AbortsOnceOnly), "abort", RuntimeError),
    (ShieldsTheSending, "cancelled_send", TimeoutError),
    (spoiling(LosesACancelledRead), "cancelled_read", AssertionError),
    (StaysOpen, "close", TimeoutError),
    (SwapsAnswers, "concurrent", AssertionError),
    (spoiling(ReadsAhead), "back_pressure", AssertionError),
]
"""A mutant, the check that notices it, and how. TimeoutError: the check waits in vain."""


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("mutant", [Mutant, spoiling(MutantResponse)])
def test_control_a_mutant_that_changes_nothing_passes(mutant, check):
    asyncio.run(within(SECONDS, CHECKS[check](wrapped(mutant, live))))


@pytest.mark.parametrize(
    ("mutant", "check", "how"), NOTICED, ids=lambda value: getattr(value, "__name__", value)
)
def test_every_mutant_is_noticed(mutant, check, how):
    seconds = 1 if how is TimeoutError else SECONDS
    with pytest.raises(how):
        asyncio.run(within(seconds, CHECKS[check](wrapped(mutant, live))))


def test_every_check_has_a_mutant():
    assert {check for _, check, _ in NOTICED} == set(CHECKS)
