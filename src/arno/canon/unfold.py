"""Unfold: one whole answer becomes the events that spell it.

Used where a client asked for a stream and the upstream answered whole, and by the Fold law.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from arno.canon.events import (
    ChoiceEnd,
    Event,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    Slot,
    UsageUpdate,
)
from arno.canon.parts import Part, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from arno.canon.response import Response

STREAMED: dict[type, tuple[tuple[Slot, str], ...]] = {
    TextPart: ((Slot.TEXT, "text"),),
    RefusalPart: ((Slot.TEXT, "text"),),
    ReasoningPart: ((Slot.TEXT, "text"), (Slot.SEALED, "sealed"), (Slot.SIGNATURE, "signature")),
    ToolCallPart: ((Slot.ARGUMENTS, "arguments"),),
}
"""Which fields of a part travel as deltas; all others stand in its start."""


def unfold(response: Response) -> Iterator[Event]:
    """Events of `response` in legal order."""
    yield ResponseStart(
        id=response.id,
        model=response.model,
        served_by=response.served_by,
        created=response.created,
        ext=response.ext,
    )
    index = 0
    for choice in response.choices:
        for part in choice.parts:
            yield from _part(index, part, choice.index)
            index += 1
        if choice.reason is not None:
            yield ChoiceEnd(choice.index, choice.reason, choice.native_reason, choice.ext)
    if response.usage is not None:
        yield UsageUpdate(response.usage)
    yield ResponseEnd()


def _part(index: int, part: Part, choice: int) -> Iterator[Event]:
    streamed = STREAMED.get(type(part), ())
    values = {field: getattr(part, field) for _, field in streamed}
    emptied = {
        field: type(value)() if isinstance(value, str) and field in ("text", "arguments") else None
        for field, value in values.items()
    }
    yield PartStart(index, msgspec.structs.replace(part, **emptied) if emptied else part, choice)
    for slot, field in streamed:
        if values[field]:
            yield PartDelta(index, slot, values[field])
    yield PartEnd(index)
