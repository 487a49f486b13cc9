"""Legal event orders: one table of states, and the set of open parts.

Two rules: all order logic lives here; the table does not know which dialect made the events.

    FRESH --ResponseStart--> OPEN --ResponseEnd--> ENDED
      |                       |
      +-----StreamError-------+--StreamError--> ENDED

KeepAlive and Opaque are legal until the end and change nothing. Inside OPEN a part must be
started before its deltas and its end, is started once, and every part is ended before
ResponseEnd (a StreamError may leave parts open: that is what a cut looks like).
"""

from __future__ import annotations

from enum import Enum

from arno.canon.events import (
    ChoiceEnd,
    Event,
    KeepAlive,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamError,
    UsageUpdate,
)
from arno.canon.failure import OrderError
from arno.canon.parts import (
    MediaPart,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)


class State(Enum):
    """Where a sequence stands."""

    FRESH = "fresh"
    OPEN = "open"
    ENDED = "ended"


TRANSITIONS: dict[State, dict[type, State]] = {
    State.FRESH: {
        ResponseStart: State.OPEN,
        StreamError: State.ENDED,
        KeepAlive: State.FRESH,
        Opaque: State.FRESH,
    },
    State.OPEN: {
        PartStart: State.OPEN,
        PartDelta: State.OPEN,
        PartEnd: State.OPEN,
        UsageUpdate: State.OPEN,
        ChoiceEnd: State.OPEN,
        KeepAlive: State.OPEN,
        Opaque: State.OPEN,
        ResponseEnd: State.ENDED,
        StreamError: State.ENDED,
    },
    State.ENDED: {},
}

SLOTS: dict[type, frozenset[str]] = {
    TextPart: frozenset({"text", "annotation", "logprobs", "signature"}),
    RefusalPart: frozenset({"text", "logprobs", "signature"}),
    ReasoningPart: frozenset({"text", "signature", "sealed"}),
    ToolCallPart: frozenset({"arguments", "signature"}),
    ToolResultPart: frozenset({"media", "text"}),
    MediaPart: frozenset({"media", "transcript", "signature"}),
    OpaquePart: frozenset(),
}
"""Which slots a part of each kind can be extended in."""


class OrderChecker:
    """Accepts one event sequence; raises `OrderError` at the first event the table forbids."""

    def __init__(self) -> None:
        self.state = State.FRESH
        self._open: dict[int, type] = {}
        self._seen: set[int] = set()

    def feed(self, event: Event) -> None:
        """Check one event and move on."""
        following = TRANSITIONS[self.state].get(type(event))
        if following is None:
            raise OrderError(f"{type(event).__name__} is not allowed when {self.state.value}")
        if isinstance(event, PartStart):
            self._start(event)
        elif isinstance(event, PartDelta):
            self._delta(event)
        elif isinstance(event, PartEnd):
            self._end(event)
        elif isinstance(event, ResponseEnd) and self._open:
            raise OrderError(f"parts {sorted(self._open)} are still open at the end")
        self.state = following

    def _start(self, event: PartStart) -> None:
        if event.index in self._seen:
            raise OrderError(f"part {event.index} is started twice")
        self._seen.add(event.index)
        self._open[event.index] = type(event.part)

    def _delta(self, event: PartDelta) -> None:
        kind = self._open.get(event.index)
        if kind is None:
            raise OrderError(f"delta for part {event.index}, which is not open")
        if event.slot not in SLOTS[kind]:
            raise OrderError(f"{kind.__name__} has no slot {event.slot}")

    def _end(self, event: PartEnd) -> None:
        if self._open.pop(event.index, None) is None:
            raise OrderError(f"end of part {event.index}, which is not open")
