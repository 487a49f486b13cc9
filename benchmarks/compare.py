"""The table: every subject over the same upstream in one run, and whether the gates are met.

A subject is started twice: once for its start-up and its memory, once for CPU time and latency.
What cannot be measured is told in the row's notes; for ours it is a fault of the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from benchmarks import answers, machine, measure, mock
from benchmarks.children import BenchmarkError
from benchmarks.measure import CASES, EVENTS, REQUEST, Cost, Latency, Memory
from benchmarks.mock import Certificate
from benchmarks.nginx import Nginx
from benchmarks.subjects import DIRECT, Ground, Running, Subject
from benchmarks.table import Effort, Line

REST_MB = 80.0
STREAM_KB = 80.0


class Figures(msgspec.Struct, kw_only=True):
    """What was measured of one subject; what could not be is absent and told in `notes`.

    spin: CPU time of a fixed piece of work on the subject's core just before, in milliseconds: how
    fast the machine was then. costs: by the case's short name.
    """

    name: str
    version: str = ""
    on: str = ""
    ours: bool = False
    gated: bool = False
    spin: float = 0.0
    start_ms: float | None = None
    memory: Memory | None = None
    costs: dict[str, Cost] = {}
    direct: Latency | None = None
    latency: Latency | None = None
    notes: list[str] = []


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """A budget and what was measured."""

    what: str
    value: float | None
    budget: float
    unit: str

    @property
    def verdict(self) -> str:
        """Met, or missed by how much."""
        if self.value is None:
            return "not measured"
        if self.value <= self.budget:
            return "met"
        return f"missed by {self.value - self.budget:.3g} {self.unit}"


@contextmanager
def ground(nginx: Nginx | None) -> Iterator[Ground]:
    """An upstream, with TLS where a certificate can be made."""
    with TemporaryDirectory() as folder:
        certificate = Certificate(Path(folder)) if mock.has_tls() else None
        with mock.upstream(certificate=certificate, nginx=nginx) as upstream:
            yield Ground(upstream, certificate)


def figures(base: Ground, subject: Subject, effort: Effort) -> Figures:
    """All figures of one subject."""
    found = Figures(
        name=subject.name,
        version=subject.version,
        on=subject.on,
        ours=subject.ours,
        gated=subject.gated,
        notes=[subject.missing] if subject.missing else [],
    )
    if subject.start is None:
        return found
    found.spin = spin_ms()
    try:
        if subject.name != DIRECT:
            _at_start(base, subject, effort, found)
        _under_load(base, subject, effort, found)
    except BenchmarkError as error:
        found.notes.append(str(error))
    return found


def _at_start(base: Ground, subject: Subject, effort: Effort, found: Figures) -> None:
    assert subject.start is not None
    began = time.perf_counter()
    with subject.start(base) as running:
        _first_answer(running)
        found.start_ms = (time.perf_counter() - began) * 1000
        try:
            found.memory = measure.memory(running, effort)
        except BenchmarkError as error:
            found.notes.append(f"memory: {error}")
            return
    if found.memory.opened < effort.held:
        found.notes.append(f"{found.memory.opened} of {effort.held} streams were open")


def _first_answer(running: Running) -> None:
    """Ask until there is an answer. Raises BenchmarkError if there is none for long."""
    until = time.monotonic() + measure.PATIENCE_S
    while True:
        try:
            answers.ask(running, "whole", streamed=False)
        except BenchmarkError:
            if time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            return


def _under_load(base: Ground, subject: Subject, effort: Effort, found: Figures) -> None:
    assert subject.start is not None
    with subject.start(base) as running:
        answers.check(running)
        direct = Running(server=base.upstream, prefix="up/")
        for case in CASES:

            def one(case: measure.Case = case) -> None:
                found.costs[case.short] = measure.cost(base.upstream, running, case, effort)

            _try(found, case.short, one)
            _check_connections(found, case)

        def both() -> None:
            found.direct = measure.latency(base.upstream, direct, effort)
            found.latency = measure.latency(base.upstream, running, effort)

        _try(found, "latency", both)


def _try(found: Figures, what: str, take: Callable[[], None]) -> None:
    try:
        take()
    except BenchmarkError as error:
        found.notes.append(f"{what}: {error}")


def _check_connections(found: Figures, case: measure.Case) -> None:
    """Tell of a gateway that does not keep its upstream connections."""
    cost = found.costs.get(case.short)
    if cost is not None and cost.opened > case.clients:
        found.notes.append(f"{case.short}: {cost.opened} connections for {case.clients} clients")


def spin_ms() -> float:
    """CPU time of a fixed piece of work on the core of the subject: the least of three."""
    allowed = machine.cores()
    machine.bind(machine.SERVER_CORE)
    try:
        return min(map(_spin, range(3)))
    finally:
        machine.unbind(allowed)


def _spin(_: int) -> float:
    began = time.process_time_ns()
    sum(number * number for number in range(200_000))
    return (time.process_time_ns() - began) / 1e6


HEADINGS = (
    "gateway",
    *(f"us/{case.short}" for case in CASES),
    "first byte +us",
    "event +us",
    "MB at rest",
    "MB open",
    "KB/stream",
    "start ms",
    "x ours",
)


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cost(found: Figures, short: str) -> str:
    """The median of a case, with a mark where its events did not come one by one."""
    cost = found.costs.get(short)
    if cost is None:
        return "-"
    # The upstream itself sends in a way that is not counted as a write.
    joined = cost.joined and found.name != DIRECT
    return _figure(middle(found, short)) + ("*" if cost.late else "~" if joined else "")


def middle(found: Figures, short: str) -> float | None:
    """The median of a case."""
    cost = found.costs.get(short)
    return None if cost is None else median(cost.samples)


def _added(found: Figures) -> tuple[float | None, float | None]:
    if found.latency is None or found.direct is None:
        return None, None
    first = found.latency.first_byte.p50 - found.direct.first_byte.p50
    return first, found.latency.event.p50 - found.direct.event.p50


def line(found: Figures, ours: float | None) -> Line:
    """A row of the table. ours: microseconds of a request that `x ours` is relative to."""
    memory, request = found.memory, middle(found, REQUEST.short)
    times = None if request is None or not ours or found.name == DIRECT else request / ours
    return (
        found.name,
        *(_cost(found, case.short) for case in CASES),
        *map(_figure, _added(found) if found.name != DIRECT else (None, None)),
        *map(_figure, (memory.rest, memory.full, memory.each_kb) if memory else (None,) * 3),
        _figure(found.start_ms),
        "-" if times is None else f"{times:.2f}",
    )


def gates(rows: Sequence[Figures]) -> list[Gate]:
    """The budgets of the ways that they are meant for."""
    found: list[Gate] = []
    for row in rows:
        if not row.gated:
            continue
        found += [
            Gate(
                what=f"{row.name}: {case.what}",
                value=middle(row, case.short),
                budget=case.budget or 0.0,
                unit="us CPU",
            )
            for case in (REQUEST, *EVENTS)
        ]
        rest = row.memory.rest if row.memory else None
        each = row.memory.each_kb if row.memory else None
        what = f"{row.name}: memory at rest"
        found.append(Gate(what=what, value=rest, budget=REST_MB, unit="MB"))
        opened = row.memory.opened if row.memory else 0
        what = f"{row.name}: one of {opened:,} open streams"
        found.append(Gate(what=what, value=each, budget=STREAM_KB, unit="KB"))
    return found
