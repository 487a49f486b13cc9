"""Single steps of the hot path, in this process: no socket, no loop.

Each figure is CPU time (user and kernel) of the step alone over the recorded stream of 27 events;
what a step needs is made before, outside the measured part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from arno.dialects import DIALECTS
from arno.dialects.base import Batch, Stamp
from arno.exchange.machine import Exchange
from arno.exchange.writers import Restamp, Verbatim, Writer
from arno.wire.frame import Frame
from arno.wire.sse import SSEDecoder
from benchmarks import traffic
from benchmarks.table import Effort, Row, Section

DIALECT = DIALECTS["chat"]
STAMP = Stamp(id="gen-bench", model="bench/model", provider="bench", created=1773273600)
HEAD = (("content-type", "text/event-stream"),)
PROMPT_BYTES = 117_000

Step = Callable[[], object]
Make = Callable[[], Step]
"""Prepares one run of a step, and gives the step."""


def timed(make: Make, seconds: float) -> tuple[float, ...]:
    """Microseconds of CPU of each run, for about `seconds` in all; at least two runs."""
    samples: list[float] = []
    until = time.perf_counter() + seconds
    while len(samples) < 2 or time.perf_counter() < until:
        step = make()
        began = time.process_time_ns()
        step()
        samples.append((time.process_time_ns() - began) / 1e3)
    return tuple(samples)


def _frames() -> list[Frame]:
    return SSEDecoder().feed(b"".join(traffic.stream()))


def _sse() -> Step:
    decoder, chunks = SSEDecoder(), traffic.stream()
    return lambda: [decoder.feed(chunk) for chunk in chunks]


def _decode() -> Step:
    decoder, frames = DIALECT.stream_decoder(), _frames()
    return lambda: [decoder.feed(frame) for frame in frames]


def _batches() -> list[Batch]:
    decoder = DIALECT.stream_decoder()
    return [decoder.feed(frame) for frame in _frames()]


def _restamp() -> Step:
    # A restamper writes into the documents, so each run gets its own.
    batches = _batches()
    restamper = DIALECT.stream_restamper(STAMP, lambda *_: None, include_usage=True)
    return lambda: [restamper.feed(batch) for batch in batches]


def _machine(writer: Callable[[], Writer]) -> Make:
    chunks = traffic.stream()

    def make() -> Step:
        exchange = Exchange(DIALECT, writer(), streamed=True)
        exchange.head(200, HEAD)
        return lambda: [exchange.data(chunk) for chunk in chunks]

    return make


def _verbatim() -> Writer:
    return Verbatim(DIALECT, STAMP)


def _restamping() -> Writer:
    return Restamp(DIALECT, STAMP, lambda *_: None, include_usage=True)


def _whole(writer: Callable[[], Writer]) -> Make:
    body = traffic.whole()

    def make() -> Step:
        exchange = Exchange(DIALECT, writer(), streamed=False)
        exchange.head(200, (("content-type", "application/json"),))
        return lambda: (exchange.data(body), exchange.end())

    return make


def _request(prompt_bytes: int) -> Make:
    body = traffic.ask("bench/model", streamed=True, prompt_bytes=prompt_bytes)

    def step() -> object:
        DIALECT.peek(body)
        return DIALECT.edit_request(body, model="up/model", contract=False, ask_usage=True)

    return lambda: step


def _table() -> Iterator[tuple[str, Make, int]]:
    """What, how it is made, and how many pieces of work one run is."""
    events = len(traffic.stream())
    yield "SSE decode, a frame", _sse, events
    yield "chat stream decode, an event", _decode, events
    yield "restamp, an event", _restamp, events
    yield "exchange machine, an event: verbatim", _machine(_verbatim), events
    yield "exchange machine, an event: restamped", _machine(_restamping), events
    yield "exchange machine, 1 KB whole answer: verbatim", _whole(_verbatim), 1
    yield "exchange machine, 1 KB whole answer: restamped", _whole(_restamping), 1
    yield "request: look in and edit, 1 KB", _request(0), 1
    yield "request: look in and edit, 117 KB", _request(PROMPT_BYTES), 1


def sections(effort: Effort) -> Iterator[Section]:
    """All steps."""
    rows = tuple(
        Row(
            what=what,
            unit="us CPU",
            samples=tuple(sample / pieces for sample in timed(make, effort.micro_s)),
        )
        for what, make, pieces in _table()
    )
    yield Section(
        title="Single steps",
        under="Switched on: nothing but the step. The machine frames, decodes and writes.",
        rows=rows,
    )
