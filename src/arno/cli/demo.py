"""`arno demo`: the whole of it in four seconds, on this machine alone.

A gateway is started as a process of its own, with the built-in recording as its provider. The
agent talks to it over HTTP like any client. Every figure shown is read back from the gateway or
from the ledger it wrote; none is taken from the recording.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from arno.agent import (
    Agent,
    AgentEvent,
    RunError,
    RunFinished,
    StepFinished,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    ToolResult,
)
from arno.canon.ext import Json
from arno.cli.child import ChildError, GatewayChild
from arno.cli.scenario import INSTRUCTIONS, MAX_TOKENS, MODEL, PROMPT, departures
from arno.cli.serve import open_ledger
from arno.cli.terminal import BOLD, CYAN, DIM, GREEN, RED, YELLOW, Paint, inert
from arno.ledger.entry import LedgerRecord
from arno.ledger.money import format_usd
from arno.transport.base import HttpRequest, TransportError
from arno.transport.live import LivePool
from arno.wire import json
from arno.wire.errors import MalformedJSON

API = "/api/v1"
ANSWER = "answer    "


class DemoError(Exception):
    """The demonstration could not go on; the message says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options: what it shows needs none."""


def execute(options: argparse.Namespace) -> int:
    """Show it. Returns 0, or 1 with a message where something went wrong on the way."""
    stage = Stage(sys.stdout)
    try:
        with tempfile.TemporaryDirectory(prefix="arno-demo-") as folder:
            _show(stage, Path(folder))
    except (DemoError, ChildError, RunError, TransportError) as error:
        stage.fail(str(error))
        return 1
    return 0


def _show(stage: Stage, folder: Path) -> None:
    with GatewayChild(folder) as gateway:
        stage.say(f"gateway   {gateway.url}   (a process of its own; recorded model, no key)")
        stage.say(f"question  {PROMPT}", BOLD)
        total = asyncio.run(_converse(stage, gateway.url + API))
        gateway.stop()
    records = _ledger(folder)
    _show_ledger(stage, records)
    if total is None or total != _sum(records):
        raise DemoError("the ledger's sum is not what the gateway said while it answered")
    stage.say(f"total     {total:f} USD, the same over HTTP and in the ledger", BOLD)
    _show_next(stage)


async def _converse(stage: Stage, base_url: str) -> Decimal | None:
    """Run the agent; the sum of the costs that the gateway reports for its generations."""
    agent = Agent(
        MODEL,
        tools=[departures],
        instructions=INSTRUCTIONS,
        base_url=base_url,
        tool_choice="auto",
        max_output_tokens=MAX_TOKENS,
        extra={"usage": {"include": True}},
    )
    costs: list[Decimal | None] = []
    pool = LivePool()
    try:
        async with agent, agent.stream(PROMPT) as run:
            async for event in run:
                stage.event(event)
                if isinstance(event, StepFinished):
                    record = await _generation(pool, base_url, event.generation_id)
                    stage.step(event, record)
                    costs.append(record.get("total_cost"))
    finally:
        await pool.aclose()
    known = [Decimal(cost) for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None


async def _generation(pool: LivePool, base_url: str, id_: str | None) -> dict[str, Json]:
    """The gateway's own record of a generation."""
    response = await pool.send(HttpRequest("GET", f"{base_url}/generation?id={id_}"))
    body = b""
    while piece := await response.read():
        body += piece
    try:
        document = json.loads(body)
    except MalformedJSON:
        document = None
    if response.status != 200 or not isinstance(document, dict):
        raise DemoError(f"the gateway has no record of {id_} (status {response.status})")
    record: dict[str, Json] = document["data"]
    return record


def _ledger(folder: Path) -> list[LedgerRecord]:
    """The rows that the gateway's process wrote, oldest first."""
    with open_ledger(folder) as sink:
        return list(reversed(sink.recent(10)))


def _sum(records: list[LedgerRecord]) -> Decimal:
    nano = sum(record.generation.cost_nano or 0 for record in records)
    return Decimal(format_usd(nano))


def _show_ledger(stage: Stage, records: list[LedgerRecord]) -> None:
    stage.say("")
    stage.say("ledger    (SQLite, one row a generation)", BOLD)
    row = "  {:<34} {:<10} {:<10} {:>5} {:>6} {:>5}  {:>12}  {}"
    heads = ("generation", "state", "served by", "in", "cached", "out", "USD", "cost is")
    stage.say(row.format(*heads), DIM)
    for record in records:
        entry = record.generation
        cost = "unknown" if entry.cost_nano is None else format_usd(entry.cost_nano)
        counts = (entry.input_tokens, entry.cache_read_tokens, entry.output_tokens)
        shown = ("?" if count is None else count for count in counts)
        basis = entry.cost_basis
        stage.say(row.format(entry.id, entry.state, entry.served_by or "?", *shown, cost, basis))


def _show_next(stage: Stage) -> None:
    stage.say("")
    stage.say("Point what you have at it (the port is yours to choose):", BOLD)
    stage.say(f"  {program()} serve --port 8080")
    stage.say("  export OPENAI_BASE_URL=http://127.0.0.1:8080/api/v1 OPENAI_API_KEY=unused")
    stage.say('  or in your client: base_url="http://127.0.0.1:8080/api/v1", api_key="unused"')


def program() -> str:
    """How this program was called, for the user's next command."""
    called = Path(sys.argv[0])
    return os.path.relpath(called) if called.name == "arno" else "python -m arno"


class Stage:
    """Where the demonstration is shown: colours on a terminal, plain lines elsewhere."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._paint = Paint(out)
        self._open = False
        self._handlers: dict[type, Callable[..., None]] = {
            TextDelta: self._text,
            ToolCallStarted: self._call,
            ToolCallDelta: self._arguments,
            ToolResult: self._result,
        }

    def event(self, event: AgentEvent) -> None:
        """Show what happens as it happens."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)
        elif isinstance(event, RunFinished):
            self._close()

    def say(self, line: str, *codes: str) -> None:
        """One line."""
        self._close()
        print(self._paint(line, *codes), file=self._out, flush=True)

    def fail(self, message: str) -> None:
        """What went wrong, on stderr."""
        self._close()
        print(f"arno demo: {inert(message)}", file=sys.stderr, flush=True)

    def step(self, event: StepFinished, record: dict[str, Json]) -> None:
        """Who served a step, how fast, how much of what, and what it cost."""
        first = "?" if event.first_token_s is None else f"{event.first_token_s:.2f} s"
        sent, cached, made = (
            "?" if (count := record.get(f"native_tokens_{kind}")) is None else count
            for kind in ("prompt", "cached", "completion")
        )
        tokens = f"{sent} tokens in ({cached} cached), {made} out"
        cost = record.get("total_cost")
        shown = "cost unknown" if cost is None else f"{Decimal(cost):f} USD"
        line = f"  step {event.step}: {record.get('provider_name')}, first token {first}, "
        self.say(f"{line}{tokens}, {shown}", DIM)

    def _text(self, event: TextDelta) -> None:
        self._begin(ANSWER)
        self._write(event.text.replace("\n", "\n" + " " * len(ANSWER)), GREEN)

    def _call(self, event: ToolCallStarted) -> None:
        self._close()
        self._begin("calls     ")
        self._write(f"{event.name} ", YELLOW)

    def _arguments(self, event: ToolCallDelta) -> None:
        self._write(event.text, YELLOW)

    def _result(self, event: ToolResult) -> None:
        self._close()
        self.say(f"tool says {inert(event.text)}", RED if event.is_error else CYAN)

    def _begin(self, label: str) -> None:
        if not self._open:
            self._out.write(self._paint(label, DIM))
            self._open = True

    def _write(self, text: str, *codes: str) -> None:
        self._out.write(self._paint(inert(text), *codes))
        self._out.flush()

    def _close(self) -> None:
        if self._open:
            self._out.write("\n")
            self._open = False
