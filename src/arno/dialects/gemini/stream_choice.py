"""One candidate of a stream while it arrives: wire parts to events.

Wire parts have no index: a piece of text goes on with the part before it unless one is thought or
signed and the other is not; anything else is whole. Two rules serve the streams of `stream_encode`,
and no others: a tag opens a thought of its own, and a tag that `ends` closes the open one with its
artefact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

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
from arno.dialects.bounds import MAX_HELD, PIECE, Budget
from arno.dialects.gemini import signatures
from arno.dialects.gemini.citations import MOST_CITATIONS, MOST_CITED, Cited, Segment, citations_of
from arno.dialects.gemini.ids import Ids
from arno.dialects.gemini.merging import may_join
from arno.dialects.gemini.parts import decode_part
from arno.dialects.gemini.pieces import Pieces
from arno.dialects.gemini.residue import residue_of
from arno.dialects.residue import Document
from arno.wire import json

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


class Kept:
    """Members that are kept for an end: at most some names, and what a budget allows.

    Later ones replace earlier ones, since hosts tell them again as they grow.
    """

    __slots__ = ("_budget", "_most", "_sizes", "document")

    def __init__(self, budget: Budget, most: int) -> None:
        self.document: Document = {}
        self._budget = budget
        self._most = most
        self._sizes: dict[str, int] = {}

    def put(self, name: str, value: Json) -> bool:
        """Keep a member if there is room for its name. False if it is too long."""
        before = self._sizes.get(name)
        if before is None and len(self._sizes) >= self._most:
            return True
        size = PIECE + len(name) + len(json.dumps(value))
        self._budget.release(before or 0)
        if not self._budget.take(size):
            return False
        self._sizes[name] = size
        self.document[name] = value
        return True


class Choice:
    """What one candidate has open, and what is kept of it for its end."""

    __slots__ = (
        "_cited",
        "_kept",
        "_length",
        "_numbers",
        "_pieces",
        "_split",
        "called",
        "ids",
        "number",
        "open",
        "part",
        "word",
    )

    def __init__(
        self, number: int, ids: Ids, numbers: Numbers, budget: Budget | None = None
    ) -> None:
        budget = budget or Budget(MAX_HELD)
        self.number = number
        self.ids = ids
        self.called = False
        self.word: str | None = None
        self._kept = Kept(budget, KEPT_ONCE)
        self._split = Pieces(budget)
        self.open: int | None = None
        self.part: Part | None = None
        self._numbers = numbers
        self._pieces: list[str] = []
        self._length = 0
        self._cited: set[tuple[int, Segment | None, str]] = set()

    @property
    def residue(self) -> Document:
        """What is kept of the candidate for its end."""
        return self._kept.document

    @property
    def is_waiting(self) -> bool:
        """True while a call has begun and not ended."""
        return self._split.is_open

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
        """The events of one wire part. Raises BadPieces for one of a call that cannot be made."""
        for whole in self._split.feed(wire):
            yield from self._part(whole)

    def _part(self, wire: Json) -> Iterator[Event]:
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

    def cut(self) -> Iterator[Event]:
        """The call that has not ended, as far as it came."""
        if self._split.is_open:
            yield from self.close()
            wire, arguments = self._split.cut()
            part = decode_part(wire, self.ids)
            if isinstance(part, ToolCallPart):
                part = msgspec.structs.replace(part, arguments=arguments)
            yield from self._whole(part)

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
        whole: Cited | None = None
        for number, citation in enumerate(islice(citations_of(candidate), MOST_CITATIONS)):
            segment = citation.segment
            key = number, segment, citation.source["url"]
            if key in self._cited or len(self._cited) >= MOST_CITATIONS:
                continue
            whole = whole or Cited("".join(self._pieces))
            bare = segment is None or segment.is_bare
            where = None if segment is None or bare else whole.place(segment)
            if where is not None or bare:
                self._cited.add(key)
                yield PartDelta(self._index, Slot.ANNOTATION, citation.annotation(*(where or ())))

    def keep(self, candidate: Mapping[str, Json]) -> bool:
        """Keep what says something for the candidate's end. False if that is too much."""
        return all(
            self._kept.put(name, value)
            for name, value in candidate.items()
            if value and name not in ("content", "finishReason", "index")
        )


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
