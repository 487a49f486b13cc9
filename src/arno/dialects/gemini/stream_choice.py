"""One candidate of a stream while it arrives: wire parts to events.

Wire parts have no index: a piece of text goes on with the part before it unless one is thought or
signed and the other is not; anything else is whole. Two rules serve the streams of `stream_encode`,
and no others: a tag opens a thought of its own, and a tag that `ends` closes the open one with its
artefact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from arno.canon.events import Event, PartDelta, PartEnd, PartStart, Slot
from arno.canon.ext import Json
from arno.canon.parts import (
    Executor,
    Part,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.canon.response import FinishReason
from arno.dialects.gemini import signatures
from arno.dialects.gemini.citations import citations_of, place
from arno.dialects.gemini.ids import Ids
from arno.dialects.gemini.merging import may_join
from arno.dialects.gemini.parts import decode_part
from arno.dialects.gemini.residue import residue_of
from arno.dialects.residue import Document
from arno.wire import json

MOST_CITED = 1024 * 1024
"""Characters of a text that are kept to find cited segments in; a longer one is not searched."""

KEPT_ONCE = 64
"""Members of a candidate that are kept for its end, at most; a candidate has about ten."""


Words = TextPart | ReasoningPart | RefusalPart
"""Parts that go on piece by piece."""


class Numbers:
    """Indices of parts in their order; begun: how many there are."""

    __slots__ = ("begun",)

    def __init__(self) -> None:
        self.begun = 0

    def take(self) -> int:
        """The index of the next part."""
        self.begun += 1
        return self.begun - 1


class Choice:
    """What one candidate has open, and what is kept of it for its end."""

    __slots__ = (
        "_cited",
        "_length",
        "_numbers",
        "_pieces",
        "called",
        "ids",
        "number",
        "open",
        "part",
        "reason",
        "residue",
    )

    def __init__(self, number: int, ids: Ids, numbers: Numbers) -> None:
        self.number = number
        self.ids = ids
        self.called = False
        self.reason: FinishReason | None = None
        self.residue: Document = {}
        self.open: int | None = None
        self.part: Part | None = None
        self._numbers = numbers
        self._pieces: list[str] = []
        self._length = 0
        self._cited: set[tuple[int, bytes]] = set()

    def go_on(self, text: str, *, thought: bool) -> PartDelta | None:
        """More of the open text, None if it is not that simple."""
        part = self.part
        if self.open is None or not text or part is None or part.signature is not None:
            return None
        if thought:
            if not isinstance(part, ReasoningPart) or part.sealed is not None:
                return None
        elif not isinstance(part, TextPart):
            return None
        if not thought:
            self._collect(text)
        return PartDelta(self.open, Slot.TEXT, text)

    def feed(self, wire: Json) -> Iterator[Event]:
        """The events of one wire part."""
        piece = decode_part(wire, self.ids)
        if isinstance(piece, ReasoningPart) and _ends(wire):
            yield from self._end_thought(piece)
        elif isinstance(piece, TextPart | ReasoningPart | RefusalPart):
            yield from self._text(piece, tagged=is_tagged(wire))
        else:
            yield from self.close()
            yield from self._whole(piece)

    def _text(self, piece: Words, *, tagged: bool) -> Iterator[Event]:
        says_nothing = not (piece.text or piece.signature or residue_of(piece.ext))
        if says_nothing:
            return
        part = self.part
        if self._signs_open_thought(piece) and not tagged:
            yield PartDelta(self._index, Slot.SIGNATURE, piece.signature)
            yield from self.close(piece.format)
            return
        opens = tagged and isinstance(piece, ReasoningPart)
        if opens or part is None or not self._continues(part, piece):
            yield from self.close()
            yield self._start(piece)
        if piece.text:
            if isinstance(piece, TextPart):
                self._collect(piece.text)
            yield PartDelta(self._index, Slot.TEXT, piece.text)

    def _continues(self, part: Part, piece: Words) -> bool:
        """True if the piece goes on with the open part, which a tag may have opened."""
        if isinstance(part, ReasoningPart) and isinstance(piece, ReasoningPart):
            unsigned = part.signature is None and part.sealed is None and piece.signature is None
            return unsigned and _is_bare(piece) and not residue_of(piece.ext)
        return may_join(part, piece)

    def _signs_open_thought(self, piece: Part) -> bool:
        if not isinstance(piece, ReasoningPart) or not isinstance(self.part, ReasoningPart):
            return False
        return not piece.text and piece.signature is not None and self.part.signature is None

    def _end_thought(self, piece: ReasoningPart) -> Iterator[Event]:
        """The artefact of the open thought; without one it is a thought of its own."""
        if not isinstance(self.part, ReasoningPart):
            yield from self.close()
            yield self._start(msgspec.structs.replace(piece, signature=None, sealed=None))
        if piece.text:
            yield PartDelta(self._index, Slot.TEXT, piece.text)
        if piece.sealed is not None:
            yield PartDelta(self._index, Slot.SEALED, piece.sealed)
        if piece.signature is not None:
            yield PartDelta(self._index, Slot.SIGNATURE, piece.signature)
        yield from self.close(piece.format)

    @property
    def _index(self) -> int:
        return 0 if self.open is None else self.open

    def _start(self, piece: Words) -> PartStart:
        self.open = self._numbers.take()
        self.part = msgspec.structs.replace(piece, text="")
        self._pieces = []
        self._length = 0
        return PartStart(self.open, self.part, self.number)

    def _whole(self, part: Part) -> Iterator[Event]:
        index = self._numbers.take()
        if isinstance(part, ToolCallPart):
            self.called = self.called or part.executor is Executor.CLIENT
            yield PartStart(index, msgspec.structs.replace(part, arguments=""), self.number)
            if part.arguments:
                yield PartDelta(index, Slot.ARGUMENTS, part.arguments)
        else:
            yield PartStart(index, part, self.number)
        yield PartEnd(index)

    def close(self, format_: str | None = None) -> Iterator[Event]:
        """The end of the open text, if there is one."""
        if self.open is None:
            return
        ended, self.open, self.part = self.open, None, None
        self._pieces = []
        yield PartEnd(ended, format=format_)

    def _collect(self, text: str) -> None:
        if self._length <= MOST_CITED:
            self._pieces.append(text)
            self._length += len(text)

    def cite(self, candidate: Mapping[str, Json]) -> Iterator[Event]:
        """Citations of the open text; hosts repeat what they have told, which counts once."""
        if not isinstance(self.part, TextPart) or self._length > MOST_CITED:
            return
        whole = ""
        for number, citation in enumerate(citations_of(candidate)):
            segment = citation.segment
            whole = whole or "".join(self._pieces)
            bare = segment is None or segment.is_bare
            where = None if segment is None or bare else place(segment, whole)
            if where is None and not bare:
                continue
            annotation = citation.annotation(*(where or ()))
            key = number, json.canonical(annotation)
            if key not in self._cited:
                self._cited.add(key)
                yield PartDelta(self._index, Slot.ANNOTATION, annotation)

    def keep(self, candidate: Mapping[str, Json]) -> None:
        """Members that say something, for the end of the candidate; later ones replace earlier."""
        for name, value in candidate.items():
            room = name in self.residue or len(self.residue) < KEPT_ONCE
            if value and room and name not in ("content", "finishReason", "index"):
                self.residue[name] = value


def _tag_of(wire: Json) -> signatures.Proof:
    if not isinstance(wire, Mapping):
        return signatures.NONE
    return signatures.read(wire.get("thoughtSignature") or wire.get("thought_signature"))


def is_tagged(wire: Json) -> bool:
    """True for a wire part whose artefact, or kind, is another wire's."""
    proof = _tag_of(wire)
    return proof.tagged


def _ends(wire: Json) -> bool:
    proof = _tag_of(wire)
    return proof.tagged and proof.tag.ends


def _is_bare(part: ReasoningPart) -> bool:
    return part.form is ReasoningForm.FULL and part.sealed is None and part.id is None
