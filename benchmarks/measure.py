"""One figure at a time: CPU per piece of work, added latency, memory, start-up.

CPU time is that of all threads and processes of what is measured, divided by the work that the
upstream counted meanwhile. Wall time plays no part, so that a busy machine disturbs little; what it
still disturbs shows between median and least.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Literal

import msgspec

from benchmarks import machine
from benchmarks.children import BenchmarkError, Server, counts, loading
from benchmarks.load import Plan, Spread, Tally
from benchmarks.scripts import PAUSE_S
from benchmarks.subjects import Running
from benchmarks.table import Effort

RATE = 50.0
"""Requests a second where latency is measured."""

PATIENCE_S = 10.0
"""How long a window may stay without any work."""

QUIET_S = 5.0
"""How long answers of an earlier load may go on."""

WARM_ANSWERS = 4
WARM_EVENTS = 40
"""How much each client has had before the first window."""

FULL_CORE = 0.97
"""CPU seconds a second above which a core is taken as full."""

KEPT_PACE = 0.9
"""Share of the events a second below which the pace was not kept."""

SINGLY = 0.85
"""Writes for an event below which events were joined."""

SETTLE_S = 0.5
"""Between a start and the look at the memory at rest."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of load. work: what CPU time is divided by; budget: microseconds; short: heading."""

    what: str
    short: str
    script: str
    work: Literal["requests", "streams", "events"]
    clients: int
    streamed: bool = True
    prompt_bytes: int = 0
    budget: float | None = None
    paced: bool = False


REQUEST = Case(
    what="request, not streamed, 1 KB answer, 32 connections",
    short="request",
    script="whole",
    work="requests",
    clients=32,
    streamed=False,
    budget=150.0,
)
EVENTS = tuple(
    Case(
        what=f"event, one each 5 ms, {clients} streams",
        short=f"event, {clients}",
        script="paced",
        work="events",
        clients=clients,
        budget=40.0,
        paced=True,
    )
    for clients in (20, 100)
)
CASES = (
    REQUEST,
    Case(
        what="request with a 117 KB prompt, 8 connections",
        short="117 KB",
        script="whole",
        work="requests",
        clients=8,
        streamed=False,
        prompt_bytes=117_000,
    ),
    Case(
        what="stream of 26 events, written one by one, 16 connections",
        short="26 events",
        script="burst",
        work="streams",
        clients=16,
    ),
    *EVENTS,
)


class Window(msgspec.Struct, frozen=True):
    """What was seen between two looks.

    cost: microseconds of CPU for a piece of work; rate: pieces a second; busy: CPU seconds a
    second; writes: for a piece of work, None where nobody tells.
    """

    cost: float
    rate: float
    busy: float
    writes: float | None


class Cost(msgspec.Struct, frozen=True):
    """CPU time of one case, by window.

    opened: connections that asked the upstream for the first time meanwhile; late: whether a load
    with a pace was too much, so that events waited; joined: whether events that should come one by
    one were written together, because somebody was too busy (the gateway or its neighbours).
    """

    samples: tuple[float, ...]
    rate: float
    opened: int
    late: bool = False
    joined: bool = False
    writes: float | None = None


def cost(upstream: Server, running: Running, case: Case, effort: Effort) -> Cost:
    """CPU time of one case. Raises BenchmarkError if answers were bad or no work came."""
    quiet(upstream)
    before = counts(upstream).connections
    with loading(plan_of(running, case)):
        _warm_up(upstream, case, effort)
        pids = machine.family(running.server.pid)
        found = [window(upstream, pids, effort.window_s, case.work) for _ in range(effort.windows)]
        opened = counts(upstream).connections - before
    rate = max(each.rate for each in found)
    busy = median(each.busy for each in found)
    writes = [each.writes for each in found if each.writes is not None]
    each_write = median(writes) if writes else None
    pace = case.clients / PAUSE_S if case.paced else 0.0
    return Cost(
        samples=tuple(each.cost for each in found),
        rate=rate,
        opened=opened,
        late=case.paced and (busy > FULL_CORE or rate < pace * KEPT_PACE),
        joined=case.paced and each_write is not None and each_write < SINGLY,
        writes=each_write,
    )


def _warm_up(upstream: Server, case: Case, effort: Effort) -> None:
    """Until each client has had some answers or events, but not for ever."""
    began, until = counts(upstream), time.monotonic() + effort.patience_s / 4
    time.sleep(effort.warmup_s)
    wanted = case.clients * (WARM_EVENTS if case.work == "events" else WARM_ANSWERS)
    while time.monotonic() < until:
        if getattr(counts(upstream), case.work) - getattr(began, case.work) >= wanted:
            return
        time.sleep(0.05)


def plan_of(running: Running, case: Case) -> Plan:
    """The load of a case."""
    return Plan(
        url=running.server.url,
        model=running.prefix + case.script,
        streamed=case.streamed,
        clients=case.clients,
        prompt_bytes=case.prompt_bytes,
        fields=running.fields,
    )


def quiet(upstream: Server) -> None:
    """Wait until no answer of an earlier load is on its way, but not for ever."""
    until = time.monotonic() + QUIET_S
    while counts(upstream).active and time.monotonic() < until:
        time.sleep(0.02)


def window(upstream: Server, pids: list[int], seconds: float, work: str) -> Window:
    """One look for so long, or until there is work. Raises BenchmarkError if there is none."""
    first = last = _look(upstream, pids, work)
    while last.done == first.done:
        if last.at - first.at > PATIENCE_S:
            raise BenchmarkError(f"no {work} came to the upstream within {PATIENCE_S:g} s")
        time.sleep(seconds)
        last = _look(upstream, pids, work)
    elapsed, spent, pieces = last.at - first.at, last.used - first.used, last.done - first.done
    written = (
        None
        if first.written is None or last.written is None
        else (last.written - first.written) / pieces
    )
    return Window(spent / 1e3 / pieces, pieces / elapsed, spent / 1e9 / elapsed, written)


class _Look(msgspec.Struct, frozen=True):
    done: int
    used: int
    written: int | None
    at: float


def _look(upstream: Server, pids: list[int], work: str) -> _Look:
    writes = [machine.writes(pid) for pid in pids]
    known = [each for each in writes if each is not None]
    return _Look(
        done=getattr(counts(upstream), work),
        used=sum(map(machine.cpu_ns, pids)),
        written=sum(known) if len(known) == len(writes) else None,
        at=time.perf_counter(),
    )


class Latency(msgspec.Struct, frozen=True):
    """To the first byte of a stream, and the way of an event."""

    first_byte: Spread
    event: Spread


def latency(upstream: Server, running: Running, effort: Effort) -> Latency:
    """Latency at a fixed rate of streams, each of 20 events, one each 5 ms."""
    quiet(upstream)
    plan = Plan(
        url=running.server.url,
        model=f"{running.prefix}stamped",
        mode="open",
        clients=16,
        rate=RATE,
        fields=running.fields,
    )
    tally = _run(plan, lambda: time.sleep(effort.latency_s))
    if tally.first_byte is None or tally.event is None:
        raise BenchmarkError("no answer came back to measure")
    return Latency(tally.first_byte, tally.event)


class Memory(msgspec.Struct, frozen=True):
    """Resident memory in MB (2**20 bytes) at rest and with `opened` streams open."""

    rest: float
    full: float
    opened: int

    @property
    def each_kb(self) -> float:
        """What a stream takes."""
        return (self.full - self.rest) * 1024 / max(self.opened, 1)


def memory(running: Running, effort: Effort) -> Memory:
    """Memory of what has just been started, before and while streams are open."""
    time.sleep(SETTLE_S)
    rest = resident_mb(running)
    plan = Plan(
        url=running.server.url,
        model=f"{running.prefix}held",
        mode="held",
        clients=effort.held,
        fields=running.fields,
        patience_s=effort.patience_s,
    )
    seen: list[float] = []

    def look() -> None:
        time.sleep(effort.held_s)
        seen.append(resident_mb(running))

    tally = _run(plan, look)
    return Memory(rest, seen[0], tally.begun)


def resident_mb(running: Running) -> float:
    """Resident memory of all processes of a subject."""
    return sum(map(machine.resident_mb, machine.family(running.server.pid)))


def _run(plan: Plan, body: Callable[[], None]) -> Tally:
    with loading(plan) as run:
        body()
    if run.tally is None:
        raise BenchmarkError("a load told nothing")
    return run.tally
