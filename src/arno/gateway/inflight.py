"""Generations under way, and how they end when the gateway shuts down or a client leaves.

Serves R10 (a client that leaves cancels the task that runs the engine) and R38 (drain: no new work,
open streams end by themselves within the grace period, the rest are cut with a failure).
"""

from __future__ import annotations

import asyncio
from enum import StrEnum

from arno.engine import call as engine_call
from arno.gateway.asgi import Inbound, OnGone, Receive


class Stop(StrEnum):
    """Why a generation was cancelled; also the message of the CancelledError."""

    CLIENT_GONE = "client gone"
    SHUTTING_DOWN = engine_call.SHUTTING_DOWN


class Flight:
    """One generation under way. stop: why its task was cancelled, None if it was not by us."""

    def __init__(self, task: asyncio.Task[object]) -> None:
        self.task = task
        self.stop: Stop | None = None
        self._settled = False
        self._watcher: asyncio.Task[None] | None = None
        self._on_gone: OnGone | None = None

    def cancel(self, stop: Stop) -> None:
        """Cancel the generation, once, unless its engine has already ended."""
        if self.stop is None and not self._settled:
            self.stop = stop
            self.task.cancel(stop)

    def settle(self) -> None:
        """The engine has ended: from now on nothing cancels the task."""
        self._settled = True
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        if self._on_gone is not None:
            self._on_gone(None)
            self._on_gone = None

    def watch(self, request: Inbound) -> None:
        """From now on, cancel when the client leaves; the request's body has been read."""
        if request.on_gone is None:
            self._watcher = asyncio.create_task(self._watch(request.receive))
            return
        self._on_gone = request.on_gone
        self._on_gone(self._gone)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone()

    def _gone(self) -> None:
        self.cancel(Stop.CLIENT_GONE)


class Inflight:
    """All generations under way. draining: no new one may start."""

    def __init__(self) -> None:
        self._flights: set[Flight] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._flights)

    def enter(self) -> Flight:
        """Register the current task as one generation."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a generation needs a task")
        flight = Flight(task)
        self._flights.add(flight)
        self._empty.clear()
        return flight

    def leave(self, flight: Flight) -> None:
        """The answer is complete or was given up."""
        flight.settle()
        self._flights.discard(flight)
        if not self._flights:
            self._empty.set()

    def cut(self) -> None:
        """Cancel all that is left, because of the shutdown."""
        for flight in tuple(self._flights):
            flight.cancel(Stop.SHUTTING_DOWN)

    async def wait_empty(self) -> None:
        """Wait until nothing is under way."""
        await self._empty.wait()
