"""The gateway under load: CPU time per request and event, added latency, memory.

CPU time is that of all the gateway's threads (the ledger's and the log's included), divided by the
work that the upstream counted meanwhile. Wall time plays no part, so that a busy machine disturbs
little; what it still disturbs shows between median and least.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks import machine
from benchmarks.children import BenchmarkError, Server, counts, loading, serving
from benchmarks.gateway import KINDS
from benchmarks.load import Plan, Spread, Tally
from benchmarks.table import Effort, Row, Section

SWITCHED_ON = (
    "Switched on: client keys, routing, ledger (journal, SQLite), request log. One process, plain "
    "TCP. verbatim: an upstream that speaks the contract; restamped: a plain one. floor: the same "
    "server and upstream pool with nothing switched on and nothing between them."
)
FLOOR = "floor"
RATE = 50.0
"""Requests a second where latency is measured."""

PATIENCE_S = 10.0
"""How long a window may stay without any work."""

MEMORY_BUDGET_MB = 80.0


class Bench(msgspec.Struct, frozen=True):
    """The servers of a run. floor: the gateway's server and upstream pool alone."""

    upstream: Server
    gateway: Server
    floor: Server


@contextmanager
def bench(profile: Path | None = None) -> Iterator[Bench]:
    """An upstream, a gateway before it with a ledger in a folder of its own, and the floor.

    profile: where the gateway writes its profile when it is told to.
    """
    options = [] if profile is None else ["--profile", str(profile)]
    with (
        tempfile.TemporaryDirectory() as data,
        serving(["-m", "benchmarks.upstream"], machine.OTHER_CORE) as upstream,
        serving(
            ["-m", "benchmarks.gateway", upstream.url, data, *options], machine.SERVER_CORE
        ) as gateway,
        serving(["-m", "benchmarks.floor", upstream.url], machine.SERVER_CORE) as floor,
    ):
        yield Bench(upstream, gateway, floor)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of load. work: what CPU time is divided by; budget: microseconds."""

    what: str
    script: str
    work: Literal["requests", "streams", "events"]
    clients: int
    streamed: bool = True
    prompt_bytes: int = 0
    budget: float | None = None


CASES = (
    Case(
        what="request, not streamed, 1 KB answer, 32 connections",
        script="whole",
        work="requests",
        clients=32,
        streamed=False,
        budget=150.0,
    ),
    Case(
        what="request with a 117 KB prompt, 8 connections",
        script="whole",
        work="requests",
        clients=8,
        streamed=False,
        prompt_bytes=117_000,
    ),
    Case(
        what="stream of 27 events, written one by one, 16 connections",
        script="burst",
        work="streams",
        clients=16,
    ),
    Case(
        what="stream of 27 events in one write, 16 connections",
        script="joined",
        work="streams",
        clients=16,
    ),
    Case(
        what="event, one each 5 ms, 20 streams",
        script="paced",
        work="events",
        clients=20,
        budget=40.0,
    ),
    Case(
        what="event, one each 5 ms, 100 streams",
        script="paced",
        work="events",
        clients=100,
        budget=40.0,
    ),
)


def cpu_rows(running: Bench, effort: Effort) -> Iterator[Row]:
    """CPU time of every case: the floor, and the gateway both ways."""
    for case in CASES:
        yield cpu_row(running, effort, case, FLOOR)
        for kind in KINDS:
            yield cpu_row(running, effort, case, kind)


def cpu_row(running: Bench, effort: Effort, case: Case, kind: str) -> Row:
    """CPU time of one case. Raises BenchmarkError if connections were not kept."""
    server = running.floor if kind == FLOOR else running.gateway
    plan = Plan(
        url=server.url,
        model=f"{kind}/{case.script}",
        streamed=case.streamed,
        clients=case.clients,
        prompt_bytes=case.prompt_bytes,
    )
    before = counts(running.upstream).connections
    samples, rates = [], []
    with loading(plan):
        time.sleep(effort.warmup_s)
        for _ in range(effort.windows):
            cost, rate = _window(running.upstream, server, effort.window_s, case.work)
            samples.append(cost)
            rates.append(rate)
        opened = counts(running.upstream).connections - before
    if opened > case.clients:
        raise BenchmarkError(f"{opened} upstream connections for {case.clients} clients")
    return Row(
        what=f"{case.what}: {kind}",
        unit="us CPU",
        samples=tuple(samples),
        budget=None if kind == FLOOR else case.budget,
        note=f"{max(rates):,.0f} {case.work}/s",
    )


def _window(upstream: Server, server: Server, seconds: float, work: str) -> tuple[float, float]:
    """Microseconds of CPU for one piece of work, and pieces a second."""
    done, used, began = _state(upstream, server, work)
    later, after, ended = done, used, began
    while later == done:
        if ended - began > PATIENCE_S:
            raise BenchmarkError(f"no {work} came to the upstream within {PATIENCE_S:g} s")
        time.sleep(seconds)
        later, after, ended = _state(upstream, server, work)
    return (after - used) / 1e3 / (later - done), (later - done) / (ended - began)


def _state(upstream: Server, server: Server, work: str) -> tuple[int, int, float]:
    done: int = getattr(counts(upstream), work)
    return done, machine.cpu_ns(server.pid), time.perf_counter()


def latency_rows(running: Bench, effort: Effort) -> Iterator[Row]:
    """Time to the first byte and per event: without a gateway, the floor, and both ways."""
    direct = _latency(running.upstream.url, "up", effort)
    yield from _spreads("directly from the upstream", direct, None)
    for kind in (FLOOR, *KINDS):
        url = running.floor.url if kind == FLOOR else running.gateway.url
        yield from _spreads(kind, _latency(url, kind, effort), direct)


def _latency(url: str, kind: str, effort: Effort) -> Tally:
    plan = Plan(url=url, model=f"{kind}/stamped", mode="open", clients=16, rate=RATE)
    with loading(plan) as run:
        time.sleep(effort.latency_s)
    if run.tally is None:
        raise BenchmarkError("a load told nothing")
    return run.tally


def _spreads(kind: str, tally: Tally, direct: Tally | None) -> Iterator[Row]:
    first, event = (None, None) if direct is None else (direct.first_byte, direct.event)
    yield _spread_row(f"first byte of a stream: {kind}", tally.first_byte, first)
    yield _spread_row(f"event, one way: {kind}", tally.event, event)


def _spread_row(what: str, found: Spread | None, base: Spread | None) -> Row:
    if found is None:
        raise BenchmarkError(f"nothing came back to measure: {what}")
    note = f"p99 {found.p99:,.0f}"
    if base is not None:
        note += f", adds {found.p50 - base.p50:,.0f} to the median"
    return Row(what=what, unit="us", samples=(found.p50,), note=note)


def memory_rows(running: Bench, effort: Effort) -> Iterator[Row]:
    """Memory before any request, then with streams open: for a gateway that has served nothing."""
    pid, held = running.gateway.pid, effort.held
    at_rest = machine.resident_mb(pid)
    plan = Plan(url=running.gateway.url, model="verbatim/held", mode="held", clients=held)
    with loading(plan):
        full = machine.resident_mb(pid)
    yield _memory_row("at rest, before any request", at_rest, budget=MEMORY_BUDGET_MB)
    note = f"{(full - at_rest) * 1024 / held:,.0f} KB a stream"
    yield _memory_row(f"with {held} open streams", full, note=note)


def _memory_row(what: str, value: float, budget: float | None = None, note: str = "") -> Row:
    return Row(what=what, unit="MB", samples=(value,), budget=budget, note=note)


def sections(effort: Effort) -> Iterator[Section]:
    """All that is measured on one running gateway."""
    with bench() as running:
        memory = tuple(memory_rows(running, effort))
        cpu = tuple(cpu_rows(running, effort))
        yield Section(title="CPU time of the gateway", under=SWITCHED_ON, rows=cpu)
        yield Section(
            title=f"Latency at {RATE:g} requests/s",
            under="Switched on: as above. 20 events, one each 5 ms; medians of all of them.",
            rows=tuple(latency_rows(running, effort)),
        )
        after = _memory_row("after all loads above", machine.resident_mb(running.gateway.pid))
        yield Section(
            title="Resident memory of the gateway",
            under="Switched on: as above. Open streams: verbatim, past their first events.",
            rows=(*memory, after),
        )


def request_sections(effort: Effort) -> Iterator[Section]:
    """Whole answers alone, in about ten seconds: many short windows by turns, so believe `least`.

    Each window of one kind is next to one of the other, so that a busy minute hits both.
    """
    samples: dict[str, list[float]] = {kind: [] for kind in (FLOOR, *KINDS)}
    case = CASES[0]
    rounds = msgspec.structs.replace(effort, windows=4, window_s=0.2, warmup_s=0.2)
    with bench() as running:
        for _ in range(3):
            for kind, found in samples.items():
                found += cpu_row(running, rounds, case, kind).samples
    yield Section(
        title="CPU time of a request",
        under=SWITCHED_ON,
        rows=tuple(
            Row(
                what=f"{case.what}: {kind}",
                unit="us CPU",
                samples=tuple(found),
                budget=None if kind == FLOOR else case.budget,
            )
            for kind, found in samples.items()
        ),
    )
