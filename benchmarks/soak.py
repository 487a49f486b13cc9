"""A bounded soak: `python -m benchmarks.soak [--seconds N] [--seed N]` (`make soak`).

A gateway under a mix of good answers, upstreams that break off at any event, and clients that
leave, are slow, or reset. While it runs, memory, descriptors, tasks and upstream connections are
looked at; at the end their slopes are told, and everything must be accounted for. Exit code 1 if a
generation is not in the ledger, something is still under way, or an answer ended as it must not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import uvloop

from benchmarks import children, machine, mock
from benchmarks.children import Server, counts, first_line, start, stop
from benchmarks.fit import slope
from benchmarks.soak_clients import Client, Results
from benchmarks.soak_gateway import State
from benchmarks.table import Line, Text, render

SECONDS = 600
CLIENTS = 32
SAMPLES = 240
"""Looks in the whole time, at most one a second."""

SETTLE_S = 15.0
"""How long the gateway may take to end what was under way."""

WARM_SHARE = 0.2
WARM_S = 60.0
"""What is left out at the start: a share of the time, at most so many seconds."""


class Sample(msgspec.Struct, frozen=True):
    """One look. at: seconds since the start; answers: so far; rss_kb, descriptors, tasks: of the
    gateway; connections: open at the upstream."""

    at: float
    answers: int
    rss_kb: float
    descriptors: int
    tasks: int
    connections: int


class Gateway:
    """The child process."""

    def __init__(self, upstream: Server, data: Path) -> None:
        command = ["-m", "benchmarks.soak_gateway", upstream.url, str(data)]
        self._child = start(command, machine.SERVER_CORE)
        self.pid = self._child.pid
        self.url = first_line(self._child)

    def state(self) -> State:
        """What it says of itself. Raises BenchmarkError if it is gone."""
        os.kill(self.pid, signal.SIGUSR2)
        return msgspec.json.decode(first_line(self._child), type=State)

    def end(self) -> int:
        """Let it drain and end. Its exit code."""
        self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(2 * SETTLE_S)
        except subprocess.TimeoutExpired:
            return -1

    def close(self) -> None:
        """Make it end."""
        stop(self._child)


@contextmanager
def _gateway(upstream: Server, data: Path) -> Iterator[Gateway]:
    gateway = Gateway(upstream, data)
    try:
        yield gateway
    finally:
        gateway.close()


class Soak:
    """One run."""

    def __init__(self, upstream: Server, gateway: Gateway, seed: int) -> None:
        self._upstream = upstream
        self._gateway = gateway
        self._seed = seed
        self.results = Results()
        self.samples: list[Sample] = []

    async def run(self, seconds: float) -> None:
        """Let the clients work, and look at the gateway meanwhile."""
        stopping = asyncio.Event()
        clients = [
            Client(self._gateway.url, random.Random(f"{self._seed}/{number}"), self.results)
            for number in range(CLIENTS)
        ]
        tasks = [asyncio.create_task(client.run(stopping)) for client in clients]
        began, step = time.monotonic(), max(1.0, seconds / SAMPLES)
        while time.monotonic() - began < seconds:
            await asyncio.sleep(step)
            self.samples.append(await asyncio.to_thread(self._look, began))
        stopping.set()
        await asyncio.gather(*tasks)

    def _look(self, began: float) -> Sample:
        state = self._gateway.state()
        return Sample(
            at=time.monotonic() - began,
            answers=self.results.endings.total(),
            rss_kb=machine.resident_mb(self._gateway.pid) * 1024,
            descriptors=machine.descriptors(self._gateway.pid),
            tasks=state.tasks,
            connections=counts(self._upstream).open,
        )

    def settle(self) -> State:
        """Wait until nothing is under way; the state then, or when the time is over."""
        until = time.monotonic() + SETTLE_S
        while True:
            state = self._gateway.state()
            quiet = not state.inflight and not counts(self._upstream).active
            if quiet or time.monotonic() > until:
                return state
            time.sleep(0.1)


def stored(data: Path) -> list[str]:
    """The ids of the generations in the ledger's database."""
    with closing(sqlite3.connect(data / "ledger.db")) as database:
        return [row[0] for row in database.execute("select id from generation")]


class Ending(msgspec.Struct, frozen=True):
    """What is known when all is over. active: answers that the upstream still writes."""

    state: State
    active: int
    exit_code: int
    rows: list[str]


def faults(results: Results, end: Ending) -> list[str]:
    """What must not be, in words; empty for a good run."""
    rows = set(end.rows)
    unheard = len(results.heard - rows)
    least, most = results.sent - results.unsure, results.sent
    checks = (
        (unheard == 0, f"{unheard} answers had an id that is not in the ledger"),
        (results.twice == 0, f"{results.twice} ids were given twice"),
        (
            len(end.rows) == end.state.begun == end.state.appended,
            f"{end.state.begun} generations began, {end.state.appended} were written down, "
            f"{len(end.rows)} are in the ledger",
        ),
        (
            least <= len(end.rows) <= most,
            f"{len(end.rows)} rows for {least} to {most} requests",
        ),
        (end.state.inflight == 0, f"{end.state.inflight} generations are still under way"),
        (end.active == 0, f"{end.active} answers are still read from the upstream"),
        (end.state.failures == 0, f"the ledger's writer failed {end.state.failures} times"),
        (end.exit_code == 0, f"the gateway ended with {end.exit_code}"),
        (
            results.wrong_count == 0,
            f"{results.wrong_count} answers ended as they must not: {'; '.join(results.wrong)}",
        ),
    )
    return [words for good, words in checks if not good]


_Measured = tuple[str, str, Callable[[Sample], float], Callable[[Sample], float]]
_SLOPES: tuple[_Measured, ...] = (
    ("memory", "KiB per 1,000 requests", lambda s: s.answers / 1000, lambda s: s.rss_kb),
    ("descriptors", "per hour", lambda s: s.at / 3600, lambda s: s.descriptors),
    ("tasks", "per hour", lambda s: s.at / 3600, lambda s: s.tasks),
    ("upstream connections", "per hour", lambda s: s.at / 3600, lambda s: s.connections),
)


def slopes(samples: Sequence[Sample]) -> list[Line]:
    """How fast each grows, after the start is left out; memory in the second half, too.

    A heap that grows to its plateau rises less in the second half; one that leaks does not.
    """
    last = samples[-1].at if samples else 0.0
    kept = [s for s in samples if s.at >= min(WARM_S, last * WARM_SHARE)]
    half = [s for s in samples if s.at >= last / 2]
    memory, *others = _SLOPES
    lines = [_slope_line(memory, kept), _slope_line(("memory, second half", *memory[1:]), half)]
    return lines + [_slope_line(one, kept) for one in others]


def _slope_line(line: _Measured, samples: Sequence[Sample]) -> Line:
    what, unit, over, value = line
    found = slope([(over(s), value(s)) for s in samples])
    if found is None:
        return (what, "-", unit, "-", "-")
    values = [value(s) for s in samples]
    between = f"{min(values):,.0f} to {max(values):,.0f}"
    return (what, f"{found.rise:+,.1f}", unit, f"{found.error:,.1f}", between)


def report(soak: Soak, end: Ending, seconds: float) -> Text:
    """What is printed."""
    results = soak.results
    outcomes: list[Line] = [
        (kind, ending, f"{count:,}") for (kind, ending), count in sorted(results.endings.items())
    ]
    under = (
        f"{results.sent:,} requests in {seconds:.0f} s by {CLIENTS} clients, "
        f"{len(end.rows):,} rows in the ledger, {results.unsure:,} clients left before a head."
    )
    return Text(
        title="Soak",
        under=under,
        tables=(
            (("what", "slope", "unit", "error", "range"), slopes(soak.samples)),
            (("asked for", "ended", "times"), outcomes),
        ),
    )


def main(arguments: Sequence[str]) -> int:
    """Run a soak and print it. Returns the exit code of the process."""
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    children.many_files()
    with (
        tempfile.TemporaryDirectory() as name,
        mock.upstream(soak=True) as upstream,
        _gateway(upstream, Path(name)) as gateway,
    ):
        print(f"{machine.describe()}; upstream: {upstream.what}; seed {options.seed}", flush=True)
        soak = Soak(upstream, gateway, options.seed)
        uvloop.run(soak.run(options.seconds))
        state, active = soak.settle(), counts(upstream).active
        code = gateway.end()
        end = Ending(state, active, code, stored(Path(name)))
    print(render(report(soak, end, options.seconds)))
    wrong = faults(soak.results, end)
    for fault in wrong:
        print(f"FAULT: {fault}")
    if not wrong:
        print("all answers are accounted for, nothing is left under way")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
