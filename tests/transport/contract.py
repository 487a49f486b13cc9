"""What every transport promises (`arno.transport.base`), as checks of an opened world.

Each check takes `opened`, which opens a world for a list of answers, and raises AssertionError for
a transport that breaks its promise. A broken one may also hang: run checks within a time. Nothing
here depends on how long anything takes.
"""

import asyncio

import pytest

from arno.transport.base import ErrorKind, TransportError
from tests.transport.running import fault_of, read_all, read_to_fault
from tests.transport.worlds import SSE, Answer

EVENTS = [b'data: {"n":%d}\n\n' % n for n in range(1, 6)]
BODY = b"".join(EVENTS)


async def read_at_least(response, size):
    got = b""
    while len(got) < size:
        piece = await response.read()
        assert piece, "the body ended early"
        got += piece
    return got


async def check_head(opened):
    """Status and headers are those that were sent."""
    answers = [
        Answer([BODY]),
        Answer(
            [b'{"error":{}}'], 429, (("content-type", "application/json"), ("retry-after", "2"))
        ),
        Answer((), 503, (("x-one", "a"), ("x-two", "b"))),
    ]
    async with opened(answers) as world:
        for number, answer in enumerate(answers):
            response = await world.transport.send(world.ask(number))
            assert response.status == answer.status
            assert [item for item in response.headers if item in answer.headers] == list(
                answer.headers
            )
            assert await read_all(response) == answer.body


async def check_body(opened):
    """The bytes are those that were sent, in order, and after the end there are none."""
    bodies = [
        EVENTS,
        [bytes(range(256)) * 700],
        [b"\r\n", b"data: x\r\n\r\n", b"0\r\n\r\n"],
        ["\u20ac".encode()[:1], "\u20ac".encode()[1:]],
        [],
    ]
    answers = [Answer(body) for body in bodies]
    async with opened(answers) as world:
        for number, answer in enumerate(answers):
            response = await world.transport.send(world.ask(number))
            assert await read_to_fault(response) == (answer.body, None)
            assert [await response.read() for _ in range(3)] == [b""] * 3


async def check_order(opened):
    """Event k is read before event k+1 leaves the sender."""
    gates = [asyncio.Event() for _ in EVENTS]
    steps = [step for pair in zip(gates, EVENTS, strict=True) for step in pair]
    async with opened([Answer(steps)]) as world:
        response = await world.transport.send(world.ask(0))
        for gate, event in zip(gates, EVENTS, strict=True):
            gate.set()
            assert await read_at_least(response, len(event)) == event
        assert await response.read() == b""


async def check_cut(opened):
    """What came before a cut is read first; then the fault, as often as one asks."""
    async with opened([Answer(EVENTS[:2], cut=True), Answer([], cut=True)]) as world:
        for number, body in enumerate([b"".join(EVENTS[:2]), b""]):
            response = await world.transport.send(world.ask(number))
            assert await read_to_fault(response) == (body, ErrorKind.CUT)
            assert await read_to_fault(response) == (b"", ErrorKind.CUT)
            response.abort()
            assert await read_to_fault(response) == (b"", ErrorKind.CUT)


async def check_abort(opened):
    """At any time, twice: the sender is let go, and nothing is read any more."""
    never = asyncio.Event()
    answers = [Answer([EVENTS[0], never, EVENTS[1]]) for _ in range(3)]
    async with opened([*answers, Answer(EVENTS)]) as world:
        for number, phase in enumerate(["before a read", "between reads", "in a read"]):
            response = await world.transport.send(world.ask(number))
            reading = None
            if phase != "before a read":
                await read_at_least(response, len(EVENTS[0]))
            if phase == "in a read":
                reading = asyncio.create_task(response.read())
                await asyncio.sleep(0.01)
                assert not reading.done()
            response.abort()
            response.abort()
            if reading is not None:
                assert (await fault_of(reading)).kind is ErrorKind.CUT
            assert await read_to_fault(response) == (b"", ErrorKind.CUT)
            await world.left(number)
        response = await world.transport.send(world.ask(3))
        assert await read_all(response) == BODY
        response.abort()
        assert await response.read() == b""


async def check_cancelled_send(opened):
    """The sender is let go, and the next request is as good as ever."""
    never = asyncio.Event()
    async with opened([Answer(EVENTS, before=[never]), Answer(EVENTS)]) as world:
        sending = asyncio.create_task(world.transport.send(world.ask(0)))
        await world.arrived(0)
        assert not sending.done()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await world.left(0)
        assert await read_all(await world.transport.send(world.ask(1))) == BODY


async def check_cancelled_read(opened):
    """Nothing is lost: the next read goes on. Cancelled later and later, so that an event is on its
    way, just arriving, or here.
    """
    events = [b"data: %d\n\n" % n for n in range(40)]
    gates = [asyncio.Event() for _ in events]
    steps = [step for pair in zip(gates, events, strict=True) for step in pair]
    async with opened([Answer(steps)]) as world:
        response = await world.transport.send(world.ask(0))
        got = b""
        for turns, gate in enumerate(gates):
            reading = asyncio.create_task(response.read())
            gate.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            [piece] = await asyncio.gather(reading, return_exceptions=True)
            got += b"" if isinstance(piece, asyncio.CancelledError) else piece
        assert got + await read_all(response) == b"".join(events)


async def check_close(opened):
    """Running responses are aborted; what comes later is refused."""
    never = asyncio.Event()
    async with opened([Answer([EVENTS[0], never, EVENTS[1]]), Answer(EVENTS)]) as world:
        response = await world.transport.send(world.ask(0))
        assert await read_at_least(response, len(EVENTS[0])) == EVENTS[0]
        reading = asyncio.create_task(response.read())
        await asyncio.sleep(0)
        await world.transport.aclose()
        with pytest.raises(TransportError):
            await reading
        with pytest.raises(TransportError):
            await response.read()
        await world.left(0)
        await world.transport.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await world.transport.send(world.ask(1))


async def check_concurrent(opened):
    """Answers that run at once do not mix."""
    count = 12
    gates = [asyncio.Event() for _ in EVENTS]
    bodies = [
        [b'data: {"of":%d,"n":%d}\n\n' % (n, k) for k in range(len(gates))] for n in range(count)
    ]
    answers = [
        Answer([step for pair in zip(gates, body, strict=True) for step in pair]) for body in bodies
    ]

    async def fetch(world, number):
        response = await world.transport.send(world.ask(number))
        got = []
        for gate, event in zip(gates, bodies[number], strict=True):
            gate.set()
            got.append(await read_at_least(response, len(event)))
        assert await response.read() == b""
        return got

    async with opened(answers) as world:
        got = await asyncio.gather(*(fetch(world, number) for number in range(count)))
        assert [b"".join(pieces) for pieces in got] == [answer.body for answer in answers]


async def check_back_pressure(opened):
    """A reader that stops reading stops the sender."""
    async with opened([Answer(())]) as world:
        flood, bound = world.flood, world.bound
    async with opened([Answer(flood, headers=(SSE,))]) as world:
        response = await world.transport.send(world.ask(0))
        await response.read()
        assert await world.sent(0) <= bound
        response.abort()
        await world.left(0)


CHECKS = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_head,
        check_body,
        check_order,
        check_cut,
        check_abort,
        check_cancelled_send,
        check_cancelled_read,
        check_close,
        check_concurrent,
        check_back_pressure,
    )
}
