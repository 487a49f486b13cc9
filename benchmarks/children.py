"""The processes of a benchmark: started on a core, each says when it is ready, all are ended."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
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
START_S = 120.0
"""How long a program may take until it listens."""


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
    return launch([sys.executable, *arguments], core, errors=errors)


def launch(
    command: list[str],
    core: int,
    *,
    errors: IO[str] | None = None,
    out: IO[str] | None = None,
    settings: dict[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Start a program on a core; out: a file in place of the pipe; settings: environment."""
    allowed = machine.cores()
    machine.bind(core)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if out is None else out,
            stderr=errors,
            text=True,
            env={**environment(), **(settings or {})},
        )
    finally:
        machine.unbind(allowed)


def many_files() -> None:
    """Let this process, and those that it starts, open as many files as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def free_port() -> int:
    """A port that nobody listens on now, for programs that cannot choose one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def wait_for_port(port: int, child: subprocess.Popen[str]) -> None:
    """Wait until a child listens. Raises BenchmarkError if it ends, or takes too long."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if child.poll() is not None:
            raise BenchmarkError(f"ended with {child.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.005)
        else:
            return
    raise BenchmarkError(f"did not listen within {START_S:g} s")


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
    """A process that serves `url`, and over TLS `secure`; what serves there."""

    pid: int
    url: str
    secure: str = ""
    what: str = ""


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
