"""Results and how they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how often is measured.

    window_s, windows, warmup_s: of one load; latency_s: of one load at a fixed rate; held: streams
    open at a time, held_s: for how long, patience_s: until all of them are; starts: process
    starts; micro_s: per single step; profile_s: of one profile.
    """

    window_s: float
    windows: int
    warmup_s: float
    latency_s: float
    held: int
    held_s: float
    patience_s: float
    starts: int
    micro_s: float
    profile_s: float


FULL = Effort(
    window_s=0.5,
    windows=5,
    warmup_s=0.5,
    latency_s=4.0,
    held=1000,
    held_s=3.0,
    patience_s=60.0,
    starts=5,
    micro_s=0.4,
    profile_s=8.0,
)
QUICK = Effort(
    window_s=0.2,
    windows=2,
    warmup_s=0.2,
    latency_s=1.0,
    held=1000,
    held_s=1.5,
    patience_s=20.0,
    starts=2,
    micro_s=0.1,
    profile_s=3.0,
)
TINY = Effort(
    window_s=0.05,
    windows=1,
    warmup_s=0.05,
    latency_s=0.15,
    held=5,
    held_s=0.1,
    patience_s=10.0,
    starts=1,
    micro_s=0.002,
    profile_s=0.2,
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure: median and least of its samples; budget: None where none is set."""

    what: str
    unit: str
    samples: tuple[float, ...]
    budget: float | None = None
    note: str = ""

    @property
    def value(self) -> float:
        """The median."""
        return median(self.samples)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that were taken under the same conditions, which `under` tells."""

    title: str
    under: str
    rows: tuple[Row, ...]


Line = tuple[str, ...]


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """Tables of words under one heading. tables: the headings and the lines of each."""

    title: str
    under: str
    tables: tuple[tuple[Line, list[Line]], ...]


HEADINGS = ("what", "median", "least", "unit", "budget", "note")


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cells(row: Row) -> tuple[str, ...]:
    budget = "" if row.budget is None else _figure(row.budget)
    least = _figure(min(row.samples)) if len(row.samples) > 1 else ""
    return (row.what, _figure(row.value), least, row.unit, budget, row.note)


def render(section: Section | Text) -> str:
    """A section as Markdown: a heading, the conditions, tables with aligned columns."""
    if isinstance(section, Text):
        tables = section.tables
    else:
        tables = ((HEADINGS, [_cells(row) for row in section.rows]),)
    body = "\n".join(_table(*table) for table in tables)
    return f"### {section.title}\n\n{section.under}\n\n{body}"


def _table(headings: Line, lines: Sequence[Line]) -> str:
    rows = [headings, *lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |\n"
        for line in (headings, rule, *lines)
    )
