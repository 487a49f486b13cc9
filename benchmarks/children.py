"""The processes of a benchmark: started on a core, each says when it is ready, all are ended."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import msgspec

from benchmarks import machine
from benchmarks.load import Plan, Tally
from benchmarks.upstream import Counts

ROOT = Path(__file__).resolve().parents[1]
STOP_S = 15.0


class BenchmarkError(Exception):
    """A benchmark could not be run, or did not do the work that it says it measures."""


def environment() -> dict[str, str]:
    """For child processes: this source tree first."""
    paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def start(
    arguments: list[str], core: int, *, errors: IO[str] | None = None
) -> subprocess.Popen[str]:
    """Start this Python with `arguments` on a core; standard input and output are pipes."""
    allowed = machine.cores()
    machine.bind(core)
    try:
        return subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(),
        )
    finally:
        machine.unbind(allowed)


def first_line(child: subprocess.Popen[str]) -> str:
    """What a child says first. Raises BenchmarkError if it ends instead."""
    assert child.stdout is not None
    line = child.stdout.readline().strip()
    if not line:
        raise BenchmarkError(f"a process ended before it was ready: {child.args!r}")
    return line


def stop(child: subprocess.Popen[str]) -> None:
    """End a child: asked first, then made to."""
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(STOP_S)
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()


class Server(msgspec.Struct, frozen=True):
    """A process that serves `url`."""

    pid: int
    url: str


@contextmanager
def serving(arguments: list[str], core: int) -> Iterator[Server]:
    """A server that prints its URL first."""
    child = start(arguments, core)
    try:
        yield Server(child.pid, first_line(child))
    finally:
        stop(child)


class Loading:
    """A load on its way; `tally` is there after the context."""

    def __init__(self) -> None:
        self.tally: Tally | None = None


@contextmanager
def loading(plan: Plan) -> Iterator[Loading]:
    """Run a load for as long as the context lasts. Raises BenchmarkError if an answer was bad."""
    text = msgspec.json.encode(plan).decode()
    child = start(["-m", "benchmarks.load", text], machine.OTHER_CORE)
    run = Loading()
    try:
        first_line(child)
        yield run
        out, _ = child.communicate("", timeout=STOP_S)
        run.tally = msgspec.json.decode(out, type=Tally)
    finally:
        stop(child)
    if run.tally.faults:
        raise BenchmarkError(f"{run.tally.faults} answers of {plan.model} were bad")


def counts(upstream: Server) -> Counts:
    """What the upstream has done so far."""
    with urllib.request.urlopen(f"{upstream.url}/counts") as reply:
        return msgspec.json.decode(reply.read(), type=Counts)
