"""One choice of a stream while it is decoded: its open parts, and what waits for others.

A sealed detail whose id no part is known by yet may sign a call that comes later (one host family
sends it first), so it waits, its place among the parts kept, until the call or the end comes.
"""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.events import PartDelta, Slot
from arno.canon.ext import NO_EXT, Ext, Json
from arno.canon.parts import ReasoningPart
from arno.canon.response import FinishReason
from arno.dialects.chat import signatures
from arno.dialects.chat.quick import CallPiece
from arno.dialects.chat.reasoning import ITEM_FORMATS
from arno.dialects.chat.residue import keep, residue_of
from arno.dialects.chat.tool_calls import CallAssembler, OpenCall
from arno.dialects.residue import items

TEXT, REFUSAL, AUDIO, LEGACY = "text", "refusal", "audio", "function_call"
"""Keys of the parts that a choice has at most one of open at a time."""

LOGPROBS = ("content", "refusal")
"""Lists of log probabilities that pieces of a choice add to."""


class OpenChoice:
    """What one choice has open.

    open: a part's key to its index; formats: who reads the signature of a part, by index; images:
    index of each image, None for one that was not understood; held: details that wait, with the
    index they have if they are parts of their own; reason: once the choice has ended.
    """

    __slots__ = (
        "_logprobs",
        "assembler",
        "audio",
        "call_parts",
        "formats",
        "has_legacy",
        "held",
        "images",
        "legacy_has_arguments",
        "number",
        "open",
        "reason",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.open: dict[object, int] = {}
        self.assembler = CallAssembler()
        self.call_parts: dict[OpenCall, int] = {}
        self.formats: dict[int, str | None] = {}
        self.images: list[int | None] = []
        self.held: list[tuple[int, ReasoningPart]] = []
        self.audio: dict[str, Json] = {}
        self.has_legacy = self.legacy_has_arguments = False
        self.reason: FinishReason | None = None
        self._logprobs: dict[str, list[Json]] = {}

    @property
    def has_calls(self) -> bool:
        """True if the choice asks for a tool, in whatever words."""
        return self.has_legacy or bool(self.assembler.calls)

    def more(self, key: object, piece: str) -> PartDelta | None:
        """More text for an open part, None if it is not open."""
        index = self.open.get(key)
        return None if index is None else PartDelta(index, Slot.TEXT, piece)

    def go_on(self, piece: CallPiece) -> PartDelta | None:
        """More arguments for the call at this index, None if it is not that simple."""
        arguments = piece.function.arguments
        call = self.assembler.at(piece.index)
        if call is None or call.position != piece.index or not arguments:
            return None
        index = self.call_parts.get(call)
        if index is None or call.is_whole:
            return None
        call.take(arguments)
        return PartDelta(index, Slot.ARGUMENTS, arguments)

    def signed_by(self, detail_id: str) -> int | None:
        """The part that the detail of this id signs, None if it is none that is open."""
        for call, index in self.call_parts.items():
            if call.id == detail_id and index not in self.formats:
                return index
        place = signatures.place_of(detail_id)
        if place is None:
            return None
        member, number = place
        if member == signatures.IMAGES:
            image = self.images[number] if number < len(self.images) else None
            return image if image in self.open.values() else None
        return self.open.get({signatures.CONTENT: TEXT}.get(member, member))

    def hold(self, detail: ReasoningPart, index: int) -> bool:
        """Keep a detail that may sign a call that comes later; False if it never can."""
        if (detail.format or "").endswith(ITEM_FORMATS) or signatures.place_of(detail.id or ""):
            return False
        place = residue_of(detail.ext).get("index")
        for number, (taken, known) in enumerate(self.held):
            if known.id == detail.id and residue_of(known.ext).get("index") == place:
                self.held[number] = (taken, detail)
                return True
        self.held.append((index, detail))
        return True

    def release(self, call_id: str) -> ReasoningPart | None:
        """The detail that has waited for this call."""
        for number, (_, detail) in enumerate(self.held):
            if detail.id == call_id:
                del self.held[number]
                return detail
        return None

    def note_logprobs(self, document: Json) -> None:
        """Keep log probabilities that came while no text was open."""
        if isinstance(document, Mapping):
            for name in LOGPROBS:
                self._logprobs.setdefault(name, []).extend(items(document.get(name)))

    def take_ext(self) -> Ext:
        """What the end of the choice tells beside the reason."""
        found = {name: values or None for name, values in self._logprobs.items()}
        self._logprobs = {}
        return keep({"logprobs": found}) if any(found.values()) else NO_EXT
