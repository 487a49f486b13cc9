"""Fold: a stream's events become the one answer they spell.

Text-like slots collect pieces and are joined once, at the end, so a stream of n deltas costs n
appends. The fold holds for any legal sequence; what a failed stream had already said is kept in
`partial`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    StreamError,
    UsageUpdate,
)
from arno.canon.ext import NO_EXT, Ext, Json
from arno.canon.failure import Failure
from arno.canon.parts import MediaPart, Part, TextPart, ToolResultPart
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.usage import Usage

TEXT_FIELDS: dict[Slot, str] = {
    Slot.TEXT: "text",
    Slot.ARGUMENTS: "arguments",
    Slot.SIGNATURE: "signature",
    Slot.SEALED: "sealed",
    Slot.TRANSCRIPT: "transcript",
}
"""Slots whose deltas are text, and the field of the part they end in."""

REPLACED = frozenset({Slot.SIGNATURE, Slot.SEALED})
"""Slots where a later value replaces an earlier one; the others join their pieces."""


def merge_ext(first: Ext, second: Ext) -> Ext:
    """Both residues; the second wins where a key stands in both."""
    if not first or not second:
        return second or first
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in {*first, *second}}


class _Building:
    """One part while its deltas arrive."""

    __slots__ = ("choice", "lists", "part", "texts")

    def __init__(self, part: Part, choice: int) -> None:
        self.part = part
        self.choice = choice
        self.texts: dict[Slot, list[str]] = {}
        self.lists: dict[Slot, list[Json]] = {}

    def add(self, slot: Slot, value: Json) -> None:
        if slot not in TEXT_FIELDS:
            self.lists.setdefault(slot, []).append(value)
        elif slot in REPLACED:
            self.texts[slot] = [value]
        else:
            self.texts.setdefault(slot, []).append(value)

    def _initial(self, slot: Slot) -> str:
        """What the part's start already held, unless a delta replaces it."""
        return "" if slot in REPLACED else getattr(self.part, TEXT_FIELDS[slot]) or ""

    def close(self, event: PartEnd) -> None:
        changes: dict[str, Any] = {}
        if event.item is not None:
            changes["item"] = event.item
        if event.format is not None:
            changes["format"] = event.format
        if event.ext:
            changes["ext"] = merge_ext(self.part.ext, event.ext)
        if changes:
            self.part = msgspec.structs.replace(self.part, **changes)

    def build(self) -> Part:
        changes: dict[str, Any] = {}
        for slot, pieces in self.texts.items():
            if isinstance(self.part, ToolResultPart):
                text = TextPart(text="".join(pieces))
                changes["parts"] = (*self.part.parts, text)
            else:
                changes[TEXT_FIELDS[slot]] = "".join((self._initial(slot), *pieces))
        if self.lists:
            changes.update(self._list_changes(changes))
        return msgspec.structs.replace(self.part, **changes) if changes else self.part

    def _list_changes(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """said: what text deltas have already changed."""
        media = self.lists.get(Slot.MEDIA)
        changes: dict[str, Any] = {}
        if isinstance(self.part, TextPart) and Slot.ANNOTATION in self.lists:
            changes["annotations"] = self.part.annotations + tuple(self.lists[Slot.ANNOTATION])
        if isinstance(self.part, MediaPart) and media:
            changes["data"] = (self.part.data or "") + "".join(media)
        if isinstance(self.part, ToolResultPart) and media:
            changes["parts"] = (*said.get("parts", self.part.parts), *media)
        return changes


class Fold:
    """Collects events; `response` at the end, `failure` if the stream failed.

    `logprobs` pieces stay in `Fold.logprobs` by choice: no dialect but one has a place for them.
    """

    def __init__(self) -> None:
        self.start = ResponseStart()
        self.usage: Usage | None = None
        self.failure: Failure | None = None
        self.complete = False
        self.end = ResponseEnd()
        self.logprobs: dict[int, list[Json]] = {}
        self._parts: dict[int, _Building] = {}
        self._ends: dict[int, ChoiceEnd] = {}

    def feed(self, event: Event) -> None:
        """Take one event in; kinds without content (keep-alive, opaque) change nothing."""
        if isinstance(event, PartDelta):
            self._delta(event)
        elif isinstance(event, PartStart):
            self._parts[event.index] = _Building(event.part, event.choice)
        elif isinstance(event, PartEnd):
            self._parts[event.index].close(event)
        elif isinstance(event, UsageUpdate):
            self.usage = event.usage
        elif isinstance(event, ChoiceEnd):
            self._end_choice(event)
        elif isinstance(event, ResponseStart):
            self.start = event
        elif isinstance(event, StreamError):
            self.failure = event.failure
        elif isinstance(event, ResponseEnd):
            self.complete = True
            self.end = event

    def _delta(self, event: PartDelta) -> None:
        building = self._parts[event.index]
        if event.slot is Slot.LOGPROBS:
            self.logprobs.setdefault(building.choice, []).append(event.value)
        else:
            building.add(event.slot, event.value)

    def _end_choice(self, event: ChoiceEnd) -> None:
        """The first reason counts; a repeat may add what the first had not known."""
        known = self._ends.get(event.choice)
        if known is None:
            self._ends[event.choice] = event
        elif event.ext:
            ext = merge_ext(known.ext, event.ext)
            self._ends[event.choice] = msgspec.structs.replace(known, ext=ext)

    @property
    def partial(self) -> Response:
        """The answer as far as it came (complete or not)."""
        numbers = sorted({*self._ends, *(b.choice for b in self._parts.values())})
        return Response(
            id=self.start.id,
            model=self.start.model,
            served_by=self.start.served_by,
            created=self.start.created,
            choices=tuple(self._choice(number) for number in numbers),
            usage=self.usage,
            ext=merge_ext(self.start.ext, self.end.ext),
        )

    @property
    def response(self) -> Response:
        """The whole answer. Raises ValueError if the stream did not end well."""
        if not self.complete:
            raise ValueError("the stream did not complete")
        return self.partial

    def _choice(self, number: int) -> Choice:
        end = self._ends.get(number)
        reason: FinishReason | None = end.reason if end else None
        return Choice(
            index=number,
            parts=tuple(b.build() for _, b in sorted(self._parts.items()) if b.choice == number),
            reason=reason,
            native_reason=end.native_reason if end else None,
            ext=end.ext if end else NO_EXT,
        )


def fold(events: list[Event]) -> Fold:
    """Fold a whole sequence."""
    result = Fold()
    for event in events:
        result.feed(event)
    return result
