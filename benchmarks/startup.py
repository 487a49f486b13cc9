"""Start-up: from starting the process to its first answers, and what imports cost.

`arno serve` is started as a user starts it, over the built-in recording at no delay, with an empty
data folder each time, so that making the ledger's schema counts too.
"""

from __future__ import annotations

import http.client
import os
import tempfile
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from arno.cassette.recordings import built_in
from benchmarks import machine
from benchmarks.children import BenchmarkError, first_line, start, stop
from benchmarks.table import Effort, Row, Section
from benchmarks.traffic import PATH

FIRST_ANSWER_BUDGET_MS = 1000.0
MEMORY_BUDGET_MB = 80.0

IMPORTS = (
    "import arno",
    "from arno import Agent",
    "import arno.cli.serve",
)
_TIMED = """
import time
began = time.perf_counter_ns()
{statement}
print(time.perf_counter_ns() - began)
"""


def _ask(url: str, method: str, path: str, body: bytes | None) -> None:
    """One request that must be answered with 200."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
    finally:
        connection.close()
    if reply.status != 200 or (body is not None and b"data: [DONE]" not in text):
        raise BenchmarkError(f"{method} {path} was answered with {reply.status}")


def _start(data: str) -> tuple[float, float, float, float]:
    """Milliseconds to the URL, to a healthy answer and to a model's answer; MB at rest."""
    options = ["--port", "0", "--scale", "0", "--data", data]
    body = built_in().cassette.interactions[0].request.body
    began = time.perf_counter()

    def since() -> float:
        return (time.perf_counter() - began) * 1000

    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        child = start(["-m", "arno", "serve", *options], machine.SERVER_CORE, errors=nowhere)
        try:
            url = first_line(child)
            told = since()
            memory = machine.resident_mb(child.pid)
            _ask(url, "GET", "/healthz", None)
            healthy = since()
            _ask(url, "POST", PATH, body)
            return told, healthy, since(), memory
        finally:
            stop(child)


def _starts(effort: Effort) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        runs = [_start(os.path.join(folder, str(number))) for number in range(effort.starts)]
        again = [_start(os.path.join(folder, "0")) for _ in range(effort.starts)]
    told, healthy, answered, memory = zip(*runs, strict=True)
    budget = FIRST_ANSWER_BUDGET_MS
    yield Row(what="start to the URL line", unit="ms", samples=told)
    yield Row(what="start to the first healthy answer", unit="ms", samples=healthy, budget=budget)
    yield Row(what="start to a model's first answer", unit="ms", samples=answered, budget=budget)
    yield Row(
        what="the same, with a ledger that is there already",
        unit="ms",
        samples=tuple(run[2] for run in again),
        budget=budget,
    )
    yield Row(
        what="resident at rest (built-in recording)",
        unit="MB",
        samples=memory,
        budget=MEMORY_BUDGET_MB,
    )


def _import_ms(statement: str) -> float:
    child = start(["-c", _TIMED.format(statement=statement)], machine.SERVER_CORE)
    try:
        return int(first_line(child)) / 1e6
    finally:
        stop(child)


def _imports(effort: Effort) -> Iterator[Row]:
    for statement in IMPORTS:
        samples = tuple(_import_ms(statement) for _ in range(effort.starts))
        yield Row(what=f"`{statement}`", unit="ms", samples=samples)


def sections(effort: Effort) -> Iterator[Section]:
    """Starts and imports; files are in the page cache and compiled."""
    _import_ms("import arno.cli.serve, arno.cli.demo")
    yield Section(
        title="Start-up of `arno serve`",
        under="Switched on: ledger (journal, SQLite; a new folder each time), request log, replay.",
        rows=tuple(_starts(effort)),
    )
    yield Section(
        title="Imports",
        under="In a fresh interpreter, whose own start does not count.",
        rows=tuple(_imports(effort)),
    )
