"""Whole answers alone, in about ten seconds: for whoever works on the hot path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import msgspec

from benchmarks import compare, measure
from benchmarks.measure import REQUEST
from benchmarks.subjects import FLOOR, own
from benchmarks.table import Effort, Row, Section

ROUNDS = 3


def sections(effort: Effort) -> Iterator[Section]:
    """Many short windows by turns, so that a busy moment hits all of them: believe `least`."""
    short = msgspec.structs.replace(effort, windows=4, window_s=0.2, warmup_s=0.2)
    with compare.ground(None) as base, ExitStack() as stack:
        running = {
            one.name: stack.enter_context(one.start(base))
            for one in own(certified=False)
            if (one.gated or one.name == FLOOR) and one.start is not None
        }
        samples: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(ROUNDS):
            for name, found in samples.items():
                found += measure.cost(base.upstream, running[name], REQUEST, short).samples
    yield Section(
        title="CPU time of a request",
        under="Switched on: as in the table. Windows of 0.2 s by turns; least is the steadiest.",
        rows=tuple(
            Row(
                what=f"{REQUEST.what}: {name}",
                unit="us CPU",
                samples=tuple(found),
                budget=None if name == FLOOR else REQUEST.budget,
            )
            for name, found in samples.items()
        ),
    )
