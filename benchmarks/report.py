"""The table of `compare` as it is printed, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import msgspec

from benchmarks import compare, machine
from benchmarks.children import Server
from benchmarks.compare import HEADINGS, Figures, Gate, line, middle
from benchmarks.measure import CASES, RATE, REQUEST
from benchmarks.subjects import FLOOR
from benchmarks.table import Line, Text

LEGEND = (
    f"Medians of CPU microseconds of all threads and processes on one core: "
    f"{'; '.join(f'{case.short}: {case.what}' for case in CASES)}. "
    f"first byte and event: what is added to the medians without a gateway at {RATE:g} streams a "
    "second. MB: resident, all processes; open: with 1,000 streams open. start: from starting the "
    "process to its first answer. *: the pace was too much, events waited and were "
    "taken together. ~: some events were written together, since somebody was too busy, and cost "
    "less. x ours: a request's CPU time relative to the first row of ours."
)


def reference(rows: Sequence[Figures]) -> float | None:
    """What `x ours` is relative to: a request of the first row that has gates."""
    return next((middle(row, REQUEST.short) for row in rows if row.gated), None)


def table(rows: Sequence[Figures], upstream: Server) -> Text:
    """The one table."""
    ours = reference(rows)
    under = f"Upstream: {upstream.what}. {LEGEND}"
    lines = [line(row, ours) for row in rows]
    return Text(title="The gateway beside others", under=under, tables=((HEADINGS, lines),))


def remarks(rows: Sequence[Figures]) -> Text:
    """What was switched on for each row, how steady it was, and what could not be measured."""
    lines: list[Line] = [
        (row.name, row.version, _spread(row), f"{row.spin:.1f}" if row.spin else "-", row.on or "-")
        for row in rows
    ]
    notes: list[Line] = [(row.name, note) for row in rows for note in row.notes]
    return Text(
        title="What was switched on",
        under=(
            "spread: of the windows of a request, least and most. spin: milliseconds that a fixed "
            "piece of work took on that core just before; where it differs, so did the machine."
        ),
        tables=(
            (("gateway", "version", "spread", "spin", "switched on"), lines),
            (("gateway", "not measured, or to be known"), notes or [("-", "nothing")]),
        ),
    )


def _spread(row: Figures) -> str:
    cost = row.costs.get(REQUEST.short)
    if cost is None:
        return "-"
    return f"{min(cost.samples):,.0f} to {max(cost.samples):,.0f}"


def gate_table(gates: Sequence[Gate]) -> Text:
    """Whether the budgets are met."""
    lines: list[Line] = [
        (gate.what, _value(gate), f"{gate.budget:g} {gate.unit}", gate.verdict) for gate in gates
    ]
    return Text(
        title="Gates",
        under="By the medians of this run.",
        tables=((("what", "measured", "at most", ""), lines),),
    )


def _value(gate: Gate) -> str:
    return "-" if gate.value is None else f"{gate.value:.3g}"


def ratios(rows: Sequence[Figures]) -> Iterator[str]:
    """A request of ours in words: beside the floor and beside each peer of this run."""
    ours = reference(rows)
    if not ours:
        return
    for row in rows:
        cost = middle(row, REQUEST.short)
        if cost is None or row.gated or (row.ours and row.name != FLOOR):
            continue
        yield f"- a request takes {ours / cost:.2f} times the CPU time of {row.name}"


def document(rows: Sequence[Figures], upstream: Server, began: datetime) -> bytes:
    """All of it as JSON, with every window."""
    found = {
        "date": began.isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "load": machine.load(),
        "upstream": upstream.what,
        "rows": [msgspec.to_builtins(row) for row in rows],
        "medians": {
            row.name: {name: median(cost.samples) for name, cost in row.costs.items()}
            for row in rows
        },
        "gates": [
            {**msgspec.to_builtins(gate), "verdict": gate.verdict} for gate in compare.gates(rows)
        ],
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def write(file: Path, rows: Sequence[Figures], upstream: Server) -> None:
    """Write the JSON file."""
    file.write_bytes(document(rows, upstream, datetime.now(UTC)))
