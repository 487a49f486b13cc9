"""One answer while it arrives: canonical events in, the agent's events out, the answer folded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from arno.agent.events import (
    AgentEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
)
from arno.agent.history import client_calls
from arno.canon.events import Event, PartDelta, PartEnd, PartStart, Slot
from arno.canon.failure import Failure
from arno.canon.fold import Fold
from arno.canon.parts import Part, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from arno.canon.response import Response

_TEXTS: dict[type, type[TextDelta] | type[ReasoningDelta] | type[RefusalDelta]] = {
    TextPart: TextDelta,
    ReasoningPart: ReasoningDelta,
    RefusalPart: RefusalDelta,
}
"""Which event tells the text of which part."""


class Watch:
    """Follows one answer. clock: seconds, monotonic; read once now and once at the first output."""

    def __init__(self, step: int, clock: Callable[[], float]) -> None:
        self.first_token_s: float | None = None
        self._step = step
        self._clock = clock
        self._began = clock()
        self._fold = Fold()
        self._shown: dict[int, Part] = {}
        self._open: set[int] = set()
        self._arguments: dict[int, list[str]] = {}

    @property
    def complete(self) -> bool:
        """Whether the answer ended well."""
        return self._fold.complete

    @property
    def failure(self) -> Failure | None:
        """How the answer failed, None if it did not (yet)."""
        return self._fold.failure

    @property
    def response(self) -> Response:
        """The answer as far as it came."""
        return self._fold.partial

    def feed(self, event: Event) -> Iterator[AgentEvent]:
        """Take one event in; yields what there is to show."""
        self._fold.feed(event)
        if isinstance(event, PartDelta):
            yield from self._delta(event)
        elif isinstance(event, PartStart) and event.choice == 0:
            yield from self._start(event)
        elif isinstance(event, PartEnd) and event.index in self._shown:
            yield from self._end(event.index)

    @property
    def settled_parts(self) -> tuple[Part, ...]:
        """What a history can keep of an answer that was given up.

        Finished parts, and text as far as it came; an unfinished call was never asked for, and
        unfinished reasoning lacks the signature that makes it acceptable again.
        """
        parts = self._fold.partial.choices[0].parts if self._shown else ()
        return tuple(
            part
            for index, part in zip(sorted(self._shown), parts, strict=True)
            if index not in self._open or (isinstance(part, TextPart | RefusalPart) and part.text)
        )

    def _start(self, event: PartStart) -> Iterator[AgentEvent]:
        part = event.part
        self._shown[event.index] = part
        self._open.add(event.index)
        if isinstance(part, ToolCallPart) and client_calls((part,)):
            self._output()
            self._arguments[event.index] = []
            yield ToolCallStarted(self._step, part.call_id, part.name)
            yield from self._piece(event.index, part.arguments)
        elif isinstance(part, TextPart | ReasoningPart | RefusalPart):
            yield from self._piece(event.index, part.text)

    def _delta(self, event: PartDelta) -> Iterator[AgentEvent]:
        if event.index in self._shown and event.slot in (Slot.TEXT, Slot.ARGUMENTS):
            yield from self._piece(event.index, event.value)

    def _piece(self, index: int, text: str) -> Iterator[AgentEvent]:
        """One piece of a part's text or arguments; empty ones say nothing."""
        if not text:
            return
        self._output()
        part = self._shown[index]
        if isinstance(part, ToolCallPart) and index in self._arguments:
            self._arguments[index].append(text)
            yield ToolCallDelta(self._step, part.call_id, text)
        elif type(part) in _TEXTS:
            yield _TEXTS[type(part)](self._step, text)

    def _end(self, index: int) -> Iterator[AgentEvent]:
        self._open.discard(index)
        part = self._shown[index]
        if isinstance(part, ToolCallPart) and index in self._arguments:
            arguments = "".join(self._arguments[index])
            yield ToolCall(self._step, part.call_id, part.name, arguments)

    def _output(self) -> None:
        if self.first_token_s is None:
            self.first_token_s = self._clock() - self._began
