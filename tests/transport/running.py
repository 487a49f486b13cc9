"""Runs a scenario on the standard event loop and on uvloop, and reads bodies to their end."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest

from arno.transport.base import ErrorKind, HttpRequest, HttpResponse, TransportError
from arno.transport.live import LiveLimits, LivePool


def _runners() -> dict[str, Callable[[Coroutine], object]]:
    runners: dict[str, Callable[[Coroutine], object]] = {"asyncio": asyncio.run}
    try:
        import uvloop
    except ImportError:
        return runners
    return runners | {"uvloop": uvloop.run}


RUNNERS = _runners()

on_both_loops = pytest.mark.parametrize("run", RUNNERS.values(), ids=RUNNERS.keys())
"""Gives the test an argument `run`, to be used like `asyncio.run`."""


def within(seconds: float, scenario: Coroutine) -> Coroutine:
    """`scenario` with a bound that only a hang can meet."""
    return asyncio.wait_for(scenario, seconds)


@asynccontextmanager
async def pool(**limits):
    """A LivePool that is closed at the end."""
    live = LivePool(LiveLimits(**limits))
    try:
        yield live
    finally:
        await live.aclose()


def get(url: str, path: str = "/") -> HttpRequest:
    return HttpRequest("GET", url + path)


def post(url: str, body: bytes = b"{}", headers=()) -> HttpRequest:
    return HttpRequest("POST", url + "/v1/chat/completions", headers, body)


async def read_all(response: HttpResponse) -> bytes:
    pieces = []
    while piece := await response.read():
        pieces.append(piece)
    return b"".join(pieces)


async def read_to_fault(response: HttpResponse) -> tuple[bytes, ErrorKind | None]:
    """What arrived, and how it ended: None for the announced end."""
    pieces = []
    try:
        while piece := await response.read():
            pieces.append(piece)
    except TransportError as error:
        return b"".join(pieces), error.kind
    return b"".join(pieces), None


async def fault_of(attempt: Awaitable[object]) -> TransportError:
    """The TransportError that `attempt` must end with."""
    with pytest.raises(TransportError) as caught:
        await attempt
    return caught.value
